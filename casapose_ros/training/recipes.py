"""The settings file of ``casapose train``: how to train, and what to render for it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from casapose_ros.config import load_yaml
from casapose_ros.data.bop_writer import BopWriter
from casapose_ros.data.frame_window import WindowConfig
from casapose_ros.data.render_job import RenderJob
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.errors import ConfigError
from casapose_ros.training.settings import TrainConfig


@dataclass(frozen=True)
class RenderRecipe:
    """One split to render.

    Attributes:
        scenes: The scenario's YAML, relative to the settings file.
        frames: Number of images.
        seed: Other seed, other images.
        split: ``train_pbr`` to learn from, ``val`` to validate on.
        name: Folder of the data set inside that of all data; the scenario's name if empty.
    """

    scenes: str
    frames: int
    seed: int = 0
    split: str = "train_pbr"
    name: str = ""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"frames must be at least 1, got {self.frames}")

    @property
    def folder(self) -> str:
        return self.name or Path(self.scenes).stem

    def job(
        self, settings: Path, objects: Path, data: Path, photos: Path | None = None
    ) -> RenderJob:
        """What ``casapose render`` would be asked for.

        Args:
            settings: The settings file.
            objects: Folder of the object set.
            data: Folder of all data.
            photos: Folder of photographs for scenarios that ask for them.

        Raises:
            ConfigError: The scenario is missing or wrong.
        """
        config = load_yaml(SceneConfig, settings.parent / self.scenes)
        writer = BopWriter(data / self.folder, self.split, jpg=True)
        return RenderJob(objects, config, self.frames, self.seed, writer, photos)


@dataclass(frozen=True)
class TrainingFile(TrainConfig):
    """All that a settings file may say: a :class:`TrainConfig`, and where frames come from.

    The latter is no part of what a resumed run compares as its settings: the frames themselves
    are compared.

    Attributes:
        render: Splits to render before the training, where they are not there yet.
        on_the_fly: The window of frames that are rendered during the training, where that is
            asked for.
    """

    render: tuple[RenderRecipe, ...] = ()
    on_the_fly: WindowConfig = field(default_factory=WindowConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for (folder, split), count in Counter((r.folder, r.split) for r in self.render).items():
            if count > 1:
                raise ConfigError(f"render: {folder}/{split} is named twice; give one a name")
        for (scenes, seed), count in Counter((r.scenes, r.seed) for r in self.render).items():
            if count > 1:
                raise ConfigError(
                    f"render: {scenes} with seed {seed} is named twice, which gives the same "
                    "images twice; give one another seed"
                )

    def training(self) -> TrainConfig:
        """The settings of the run alone."""
        names = [f.name for f in dataclasses.fields(TrainConfig)]
        return TrainConfig(**{name: getattr(self, name) for name in names})
