"""What a training run starts from: nothing, or a trained model that goes on or learns more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from casapose_ros.training.extending import Trained
    from casapose_ros.training.settings import TrainConfig
    from casapose_ros.types import ObjectModel


@dataclass(frozen=True)
class TrainingStart:
    """What is known before any data are read.

    Attributes:
        config: Settings; they name all objects, so that a run that goes on later with another
            object set, or another order, is refused by its checkpoint.
        objects: The objects, class ids 1..K in order.
        folder: Of the object set, with its meshes.
        trained: What the run takes over from a trained model; None if it starts from nothing.
    """

    config: TrainConfig
    objects: tuple[ObjectModel, ...]
    folder: Path
    trained: Trained | None = None

    def check_shown(self, counts: Mapping[int, int]) -> None:
        """Refuse data in which an object never appears.

        Args:
            counts: How often each object appears in the training data, by BOP id.

        Raises:
            DatasetError: A known object would be forgotten, or another has nothing to learn from.
        """
        known = self.trained.known if self.trained else 0
        for obj in self.objects:
            if not counts.get(obj.bop_id):
                reason = (
                    "the model would forget it; render all known objects"
                    if obj.class_id <= known
                    else "there is nothing to learn it from; show it, or name the others alone in "
                    "the settings' objects"
                )
                raise DatasetError(
                    f"no training frame shows {obj.name} (BOP id {obj.bop_id}): {reason}"
                )


def start_of(
    config: TrainConfig, objects: Path, bundle: Path | None = None, extend: bool = False
) -> TrainingStart:
    """Choose the objects to learn.

    Args:
        config: Settings.
        objects: Folder of the object set.
        bundle: Trained model to go on from; None starts from nothing.
        extend: Add the set's other objects to those that the model knows.

    Raises:
        CasaposeError: An object is not in the set, or set and settings do not fit the model.
    """
    trained = None
    if bundle is None:
        if config.freeze_encoder and config.encoder_weights is None:
            raise ConfigError(
                "freeze_encoder: there is no encoder to keep; give --encoder-weights FILE, or a "
                "trained model to start from"
            )
        chosen = _choose_objects(objects, config.objects)
    else:
        trained = _go_on(bundle, objects, config, extend)
        chosen = trained.objects
    named = replace(config, objects=tuple(obj.name for obj in chosen))
    return TrainingStart(named, chosen, objects, trained)


def _go_on(bundle: Path, objects: Path, config: TrainConfig, extend: bool) -> Trained:
    from casapose_ros.bundle import load_bundle
    from casapose_ros.data.meshes import load_object_set
    from casapose_ros.training.extending import continue_bundle, extend_bundle

    found = load_object_set(objects).objects
    take = extend_bundle if extend else continue_bundle
    return take(load_bundle(bundle), found, config, str(objects))


def _choose_objects(path: Path, names: tuple[str, ...]) -> tuple[ObjectModel, ...]:
    """Objects of the set, in the order named, with class ids 1..K."""
    from casapose_ros.data.meshes import load_object_set

    by_name = {model.name: model for model in load_object_set(path).objects}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ConfigError(f"{path} has no object {unknown[0]!r}; it has {', '.join(by_name)}")
    chosen = names or tuple(by_name)
    return tuple(replace(by_name[n], class_id=i) for i, n in enumerate(chosen, start=1))
