"""What ``casapose train`` measures itself on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from casapose_ros.commands._training_data import TrainingData, TrainingSet, print_problems
from casapose_ros.commands._training_start import TrainingStart
from casapose_ros.errors import DatasetError

if TYPE_CHECKING:
    from casapose_ros.data.bop import BopDataset, BopFrame
    from casapose_ros.estimator import PoseEstimator
    from casapose_ros.training.validation import ValidationResult
    from casapose_ros.types import ObjectModel


def validation_set(data: TrainingData) -> BopDataset:
    """The held-out data set.

    Raises:
        DatasetError: There is none.
    """
    from casapose_ros.data.bop import BopDataset

    if data.validation is not None:
        return BopDataset(data.validation, data.validation_split, data.skip_broken)
    for path in data.paths:
        if (path / data.validation_split).is_dir():
            return BopDataset(path, data.validation_split, data.skip_broken)
    raise DatasetError(
        f"no split {data.validation_split} to validate on in {', '.join(map(str, data.paths))}: "
        "name a data set with --validation, or another split with --validation-split"
    )


def check_held_out(data: TrainingData, sets: Sequence[TrainingSet], validation: BopDataset) -> None:
    """Rendered frames to validate on must not be those to learn from.

    Raises:
        DatasetError: They have the same scenario and the same seed.
    """
    from casapose_ros.data.bop import RENDER_NOTE

    path = validation.path / validation.split / RENDER_NOTE
    if not path.exists():
        return
    notes = [each.dataset.path / each.dataset.split / RENDER_NOTE for each in sets]
    learned = [(str(note), json.loads(note.read_text())) for note in notes if note.exists()]
    learned += [("the settings", json.loads(json.dumps(job.describe()))) for job in data.live]
    held_out = json.loads(path.read_text())
    for name, rendered in learned:
        if all(held_out.get(key) == rendered.get(key) for key in ("seed", "objects", "config")):
            raise DatasetError(
                f"{path} and {name} have the same scenario and the same seed, {rendered['seed']}: "
                "the network would be validated on what it learns; render one of them with another"
            )


class Validator:
    """Measures an estimator on the first frames of the held-out split.

    Args:
        dataset: The held-out data set.
        start: Settings and objects.

    Raises:
        DatasetError: A frame cannot be read, and the data set is not to skip what is broken.

    Attributes:
        instances: How many of one object are asked for in an image, at most.
    """

    def __init__(self, dataset: BopDataset, start: TrainingStart) -> None:
        from casapose_ros.evaluation.datasets import load_references

        self._objects = start.objects
        self._frames = _readable_frames(dataset, start)
        print_problems(dataset)
        present = {truth.bop_id for frame in self._frames for truth in frame.objects}
        self._references = load_references(dataset.path, start.objects, present, start.folder)
        self.instances = max(_most_instances(frame, start.objects) for frame in self._frames)

    def __call__(self, estimator: PoseEstimator) -> ValidationResult:
        from casapose_ros.evaluation.datasets import read_frame
        from casapose_ros.training.validation import validate

        frames = (read_frame(frame, self._objects) for frame in self._frames)
        return validate(estimator, frames, self._references)


def _most_instances(frame: BopFrame, objects: Sequence[ObjectModel]) -> int:
    """Of one object, at least 1 and no more than an estimator can be asked for."""
    from casapose_ros.settings import MAX_INSTANCES
    from casapose_ros.training.validation import MIN_VISIBILITY

    known = {model.bop_id for model in objects}
    counts = Counter(
        truth.bop_id
        for truth in frame.objects
        if truth.bop_id in known
        and (truth.visib_fract is None or truth.visib_fract >= MIN_VISIBILITY)
    )
    return min(max(counts.values(), default=1), MAX_INSTANCES)


def _readable_frames(dataset: BopDataset, start: TrainingStart) -> list[BopFrame]:
    """As many as the settings say; each is read once, so that no validation stops the run."""
    from casapose_ros.evaluation.datasets import read_frame

    found = []
    for frame in dataset:
        try:
            read_frame(frame, start.objects)
        except DatasetError as error:
            if not dataset.skip_broken:
                raise
            dataset.problems.append(str(error))
            continue
        found.append(frame)
        if len(found) == start.config.validation_frames:
            break
    return found
