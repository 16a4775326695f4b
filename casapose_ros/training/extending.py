"""Going on from a trained model: with the objects that it knows, or with more of them.

What the network has per class grows by one row: the segmentation head and the tables of decoder
2's class-adaptive normalisation; everything else is shared by all objects (paper section 3.2).
Known objects keep their class ids and their rows, so that the extended network gives the same
masks and the same fields as before until it is trained.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from casapose_ros.bundle import WEIGHTS_FILE, Bundle, bundle_surfaces
from casapose_ros.errors import ConfigError
from casapose_ros.network.model import NetworkConfig
from casapose_ros.network.weights import read_weights
from casapose_ros.objects import reference_keypoints
from casapose_ros.training.settings import TrainConfig
from casapose_ros.types import ObjectModel

SAME_POINT = 1e-4
"""Metres; keypoints farther apart are other keypoints."""


@dataclass(frozen=True)
class Trained:
    """What a run starts from that goes on from a trained model.

    Attributes:
        objects: The known objects with their class ids, then the new ones, if any.
        known: How many of them are known.
        weights: Of the network for all of them, by name.
        sha256: Of the file with the trained model's weights.
        surfaces: Of the known objects, as in a bundle; None if the trained model has none.
    """

    objects: tuple[ObjectModel, ...]
    known: int
    weights: dict[str, np.ndarray]
    sha256: str
    surfaces: tuple[np.ndarray, ...] | None = None


def continue_bundle(
    bundle: Bundle, objects: Sequence[ObjectModel], config: TrainConfig, where: str
) -> Trained:
    """Go on training a model with the objects that it knows, and no others.

    Args:
        bundle: The trained model.
        objects: An object set that has all of them.
        config: Settings of the run; its ``objects`` are the model's, or empty.
        where: What to call the object set in messages.

    Raises:
        ConfigError: The settings are for another network or for other objects, or an object is
            not the one that the model knows by this name.
        WeightsError: The bundle's weights are bad.
    """
    _check_network(bundle, config)
    known = [obj.name for obj in bundle.objects]
    if config.objects and list(config.objects) != known:
        raise ConfigError(
            f"the settings name the objects {', '.join(config.objects)}; {bundle.path} knows "
            f"{', '.join(known)}, in this order: leave 'objects' out, or add objects with --extend"
        )
    by_name = {obj.name: obj for obj in objects}
    missing = [name for name in known if name not in by_name]
    if missing:
        raise ConfigError(
            f"{where} has no object {missing[0]!r}, which {bundle.path} knows; it has "
            f"{', '.join(by_name)}"
        )
    same = tuple(
        replace(_same_object(obj, by_name[obj.name], where), class_id=obj.class_id)
        for obj in bundle.objects
    )
    weights = read_weights(bundle.path / WEIGHTS_FILE)
    return Trained(same, len(same), weights, bundle.weights_sha256, bundle_surfaces(bundle))


def extend_bundle(
    bundle: Bundle, more: Sequence[ObjectModel], config: TrainConfig, where: str
) -> Trained:
    """Add objects to a trained model.

    Args:
        bundle: The trained model.
        more: An object set, with or without the known objects; ``config.objects`` says which of
            its new ones to add and in which order, all if it is empty.
        config: Settings of the run that goes on.
        where: What to call the object set in messages.

    Raises:
        ConfigError: The settings are for another network, there is nothing to add, or an object
            is not the one that the model knows by this name.
        WeightsError: The bundle's weights are bad.
    """
    _check_network(bundle, config)
    objects = extend_objects(bundle.objects, more, config.objects, where)
    # Read, not built: hosts have not met yet, and nothing may be computed before they have.
    weights = read_weights(bundle.path / WEIGHTS_FILE)
    return Trained(
        objects,
        len(bundle.objects),
        extend_weights(weights, bundle.network, len(objects) - len(bundle.objects)),
        bundle.weights_sha256,
        bundle_surfaces(bundle),
    )


def extend_objects(
    known: Sequence[ObjectModel],
    more: Sequence[ObjectModel],
    names: Sequence[str],
    where: str,
) -> tuple[ObjectModel, ...]:
    """The known objects with their class ids, then the new ones; see :func:`extend_bundle`."""
    set_names = [obj.name for obj in more]
    for name in names:
        if name not in set_names:
            near = difflib.get_close_matches(name, set_names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(set_names)}"
            raise ConfigError(f"{where} has no object {name!r}; {hint}")
    by_name = {obj.name: obj for obj in more}
    old = [_same_object(obj, by_name.get(obj.name, obj), where) for obj in known]
    old_names = [obj.name for obj in old]
    added = [by_name[name] for name in names or set_names if name not in old_names]
    if not added:
        raise ConfigError(f"{where}: nothing to add, the model knows {', '.join(old_names)}")
    objects = [replace(obj, class_id=i) for i, obj in enumerate([*old, *added], start=1)]
    by_bop_id: dict[int, str] = {}
    for obj in objects:
        if obj.bop_id in by_bop_id:
            raise ConfigError(
                f"{where}: {obj.name} has BOP id {obj.bop_id}, by which data sets know "
                f"{by_bop_id[obj.bop_id]}; give its mesh another number"
            )
        by_bop_id[obj.bop_id] = obj.name
    return tuple(objects)


def extend_weights(
    weights: Mapping[str, np.ndarray], config: NetworkConfig, added: int
) -> dict[str, np.ndarray]:
    """Weights of the network for ``added`` more objects.

    A new object starts as the mean of the known ones. Its logit is then nowhere the highest, so
    no pixel changes its class, but not far below either, so it is quickly learned.

    Args:
        weights: Of the trained network, by name.
        config: What that network is.
        added: Number of new objects.

    Returns:
        All weights by name, float32.
    """
    classes = config.num_classes
    extended = {}
    for name, value in weights.items():
        *_, layer, kind = name.split("/")
        if name == "segmentation_decoder/head/kernel":
            value = _insert_mean(value, classes, added, axis=-1)
        elif layer.endswith("_clade") and kind in ("gamma", "beta"):
            value = _insert_mean(value, classes, added, axis=0)
        elif layer.startswith("mask_"):
            value = _insert_identity(value, added)
        extended[name] = value
    return extended


def _check_network(bundle: Bundle, config: TrainConfig) -> None:
    """The run's network has to be the bundle's, but for the number of objects."""
    there, here = bundle.network, config.network(bundle.network.num_objects)
    values = {
        "encoder": (there.encoder, here.encoder),
        "variant": (there.variant, here.variant),
        "width": (there.width, here.width),
        "vector_decoder": (there.vector_channels(), here.vector_channels()),
    }
    different = [f"{name}: {a!r} there, {b!r} here" for name, (a, b) in values.items() if a != b]
    if different:
        raise ConfigError(
            f"the settings are for another network than {bundle.path}'s ({'; '.join(different)}); "
            "a trained network goes on as it is"
        )
    if config.encoder_weights is not None:
        raise ConfigError("encoder_weights: a trained model has its encoder already")


def _same_object(known: ObjectModel, given: ObjectModel, where: str) -> ObjectModel:
    """The object as the set gives it, with the keypoints that the model knows.

    Those of a scan that was aligned to the model's are the same points of the object, in a frame of
    their own, which is that of the poses to learn from: they stay.
    """
    if given.T_reference_obj is not None:
        apart = np.linalg.norm(known.keypoints - reference_keypoints(given), axis=1).max()
        if apart <= SAME_POINT:
            return given
    distance = np.linalg.norm(known.keypoints - given.keypoints, axis=1).max()
    if distance > SAME_POINT:
        raise ConfigError(
            f"{where}: {known.name} has other keypoints than the model knows, up to "
            f"{1000 * distance:.1f} mm away: another scan or another object; align its mesh with "
            "'casapose objects --align-to', or give it another name"
        )
    return replace(given, keypoints=known.keypoints)


def _insert_mean(value: np.ndarray, classes: int, added: int, axis: int) -> np.ndarray:
    """New classes after the last one, each the mean of all but the background."""
    mean = np.take(value, range(1, classes), axis).mean(axis, keepdims=True)
    return np.insert(value, [classes] * added, mean, axis)


def _insert_identity(kernel: np.ndarray, added: int) -> np.ndarray:
    """A (1, 1, K+1, K+1) kernel that hands new classes on as they are."""
    classes = kernel.shape[-1]
    extended = np.zeros((1, 1, classes + added, classes + added), kernel.dtype)
    extended[0, 0] = np.eye(classes + added)
    extended[..., :classes, :classes] = kernel
    return extended
