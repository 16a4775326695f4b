"""BOP-19's average recall of everything that a run says about a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.bop19.comparing import TargetErrors, compare
from casapose_ros.evaluation.bop19.depth import DepthSource
from casapose_ros.evaluation.bop19.scores import NOTHING, Hits, count_hits, recall
from casapose_ros.evaluation.bop19.targets import Target, count_visible
from casapose_ros.evaluation.matching import Reference
from casapose_ros.evaluation.records import FrameRecord

NO_DEPTH = "the data set has no depth images"


@dataclass(frozen=True)
class AverageRecalls:
    """The benchmark's figures, 0..1; NaN where nothing was asked for.

    Attributes:
        name: The object's name; ``all`` for the pooled targets of all objects.
        targets: True instances asked for.
        average_recall: AR, the mean of the next three, or of two where there is no VSD.
        vsd: AR over the tolerances and thresholds of VSD; None where there is no depth.
        mssd: AR over the thresholds of MSSD.
        mspd: AR over the thresholds of MSPD.
    """

    name: str
    targets: int
    average_recall: float
    vsd: float | None
    mssd: float
    mspd: float


@dataclass(frozen=True)
class BopScores:
    """How a run does on a data set by the rules of BOP-19.

    Attributes:
        total: Over the pooled targets of all objects; what the benchmark reports.
        objects: Per object, in the order of the references.
        without_vsd: Why AR is without VSD; empty where it is with it.
        targets_from_truth: Whether the data set has no targets file, so that every object with
            visible instances is a target.
        unknown: Instances that the targets file asks for but that no reference describes, by BOP
            id; they are not counted above.
        absent_images: Images of the targets file that the run left out; not counted above.
        vsd_recalls: Recall per tolerance tau (10) and threshold (10); None without VSD.
        mssd_recalls: Recall per threshold, 0.05 .. 0.50 of the diameter.
        mspd_recalls: Recall per threshold, 5 .. 50 px in an image 640 px wide.
    """

    total: AverageRecalls
    objects: tuple[AverageRecalls, ...]
    without_vsd: str
    targets_from_truth: bool
    unknown: dict[int, int]
    absent_images: int
    vsd_recalls: tuple[tuple[float, ...], ...] | None
    mssd_recalls: tuple[float, ...]
    mspd_recalls: tuple[float, ...]


def evaluate(
    records: Iterable[FrameRecord],
    references: Mapping[str, Reference],
    targets: Sequence[Target] | None = None,
    depth: DepthSource | None = None,
    without_vsd: str = NO_DEPTH,
) -> BopScores:
    """Judge a run by the rules of BOP-19, over the objects that the references describe.

    Args:
        records: Every image of the run, also those without estimates, in any order.
        references: The objects by name, as the data set describes them.
        targets: From :func:`~casapose_ros.evaluation.bop19.targets.read_targets`; None asks for
            every true instance that is visible enough.
        depth: For VSD; None leaves it out.
        without_vsd: Why there is no ``depth``.

    Raises:
        DatasetError: There are targets but a record is not of a BOP image, or a depth image has a
            wrong size.
    """
    asked = None if targets is None else _Asked(targets, references)
    hits = dict.fromkeys(references, NOTHING)
    frames, blind, first_blind = 0, 0, ""
    for record in records:
        counts = count_visible(record.truths) if asked is None else asked.counts(record)
        compared = compare_frame(record, references, counts, depth)
        frames += bool(compared)
        if any(target.vsd is None for target in compared):
            blind, first_blind = blind + 1, first_blind or record.name
        for target in compared:
            hits[target.name] += count_hits(target)
    total = sum(hits.values(), NOTHING)
    with_vsd = depth is not None and not blind
    why = without_vsd if depth is None else _why_blind(blind, frames, first_blind)
    return BopScores(
        total=_average("all", total, with_vsd),
        objects=tuple(_average(name, mine, with_vsd) for name, mine in hits.items()),
        without_vsd="" if with_vsd else why,
        targets_from_truth=asked is None,
        unknown={} if asked is None else asked.unknown,
        absent_images=0 if asked is None else len(asked.images - asked.seen),
        vsd_recalls=tuple(map(_floats, recall(total.vsd, total.asked))) if with_vsd else None,
        mssd_recalls=_floats(recall(total.mssd, total.asked)),
        mspd_recalls=_floats(recall(total.mspd, total.asked)),
    )


def compare_frame(
    record: FrameRecord,
    references: Mapping[str, Reference],
    counts: Mapping[str, int],
    depth: DepthSource | None,
) -> list[TargetErrors]:
    """The errors of every target of one image.

    Args:
        record: The image.
        references: The objects by name.
        counts: Instances asked for by object name; objects without a reference are left out.
        depth: For VSD; None leaves it out.
    """
    known = [name for name in references if counts.get(name)]
    if not known:
        return []
    measured = None if depth is None else depth.measured(record.name)
    render = None if depth is None else depth.render
    return [compare(record, references[n], counts[n], measured, render) for n in known]


class _Asked:
    """A targets file by image, and which of its images came by."""

    def __init__(self, targets: Sequence[Target], references: Mapping[str, Reference]) -> None:
        names = {reference.model.bop_id: name for name, reference in references.items()}
        self.images = {(target.scene_id, target.image_id) for target in targets}
        self.seen: set[tuple[int, int]] = set()
        self.unknown: dict[int, int] = {}
        self._counts: dict[tuple[int, int], dict[str, int]] = {}
        for target in targets:
            image = (target.scene_id, target.image_id)
            if target.bop_id in names:
                self._counts.setdefault(image, {})[names[target.bop_id]] = target.count
            else:
                self.unknown[target.bop_id] = self.unknown.get(target.bop_id, 0) + target.count

    def counts(self, record: FrameRecord) -> dict[str, int]:
        """Instances asked for in an image, by object name."""
        if record.scene_id is None or record.image_id is None:
            raise DatasetError(
                f"{record.name}: not an image of a BOP data set; a targets file does not fit it"
            )
        image = (record.scene_id, record.image_id)
        self.seen.add(image)
        return self._counts.get(image, {})


def _average(name: str, hits: Hits, with_vsd: bool) -> AverageRecalls:
    found = ([hits.vsd] if with_vsd else []) + [hits.mssd, hits.mspd]
    averages = [float(np.mean(recall(values, hits.asked))) for values in found]
    vsd = averages[0] if with_vsd else None
    overall = float(np.mean(averages))
    return AverageRecalls(name, hits.asked, overall, vsd, averages[-2], averages[-1])


def _why_blind(blind: int, frames: int, example: str) -> str:
    """Why there is no VSD where so many of so many images have no depth image."""
    if blind == frames:
        return NO_DEPTH
    return f"{blind} of {frames} images have no depth image, for example {example}"


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(map(float, values))
