"""The result of an evaluation; ``writing`` makes its files, ``html`` its page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from casapose_ros.evaluation.delivery import Delivery
from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.statistics.calibration import Reliability
from casapose_ros.evaluation.summary import Summary

if TYPE_CHECKING:
    from casapose_ros.evaluation.bop19 import BopScores
    from casapose_ros.evaluation.statistics.bootstrap import Intervals
    from casapose_ros.evaluation.statistics.confusion import Confusion
    from casapose_ros.evaluation.statistics.coverage import Coverage
    from casapose_ros.evaluation.statistics.detection import Detection

OPTIONAL = ("intervals", "bop", "detection", "coverage", "confusion")
"""The parts of a report that a run may be unable to measure."""


@dataclass(frozen=True)
class Origin:
    """Where the figures come from: what it takes to measure them again.

    Attributes:
        model: Name of the model bundle, or of the method whose estimates were read.
        data: Name of the data set's folder or of the bag.
        created: When, as ISO 8601 text.
        parts: The split of the data set, or the names of several bags.
        network_size: (width, height) px of the network's input; None without a network.
        weights_sha256: Of the weights, if there are any.
        settings: Those of the estimator, as far as they are known, by name.
        records_sha256: Of the log with the frames; empty if there is none.
        software: Versions by name.
        machine: What it ran on, text by name.
    """

    model: str
    data: str
    created: str
    parts: tuple[str, ...] = ()
    network_size: tuple[int, int] | None = None
    weights_sha256: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    records_sha256: str = ""
    software: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Model and data in a few words."""
        if len(self.parts) == 1:
            return f"{self.model} on {self.data}/{self.parts[0]}"
        return f"{self.model} on {self.data}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that is said about one run.

    Attributes:
        origin: What was measured, on what, with what.
        frames: Images evaluated.
        min_visibility: Visible fraction from which a true object is a target.
        summaries: Per object, the total last.
        judgements: What became of every estimate and every true object.
        times: (N,) seconds per stage, one number per image, NaN where an image has none; no
            entry where times are unknown.
        reliability: Of the score.
        intervals: How far the summaries would move with other images.
        bop: The scores of the BOP challenge.
        detection: Precision over recall.
        coverage: How often the truth is where the covariances say.
        confusion: Which true objects the estimates lie on.
        not_measured: Why, for each of the five above that is None.
        delivery: Of a live replay; None for any other run.
        problems: What was lost or skipped, a sentence each.
        ignored: True objects per BOP id that the model does not know.
        sources: All objects together, per scene or bag; empty where there is only one.

    Raises:
        ValueError: A part is missing and nothing says why.
    """

    origin: Origin
    frames: int
    min_visibility: float
    summaries: list[Summary]
    judgements: Judgements
    times: dict[str, np.ndarray]
    reliability: Reliability
    intervals: Intervals | None = None
    bop: BopScores | None = None
    detection: Detection | None = None
    coverage: Coverage | None = None
    confusion: Confusion | None = None
    not_measured: dict[str, str] = field(default_factory=dict)
    delivery: Delivery | None = None
    problems: tuple[str, ...] = ()
    ignored: dict[int, int] = field(default_factory=dict)
    sources: tuple[Summary, ...] = ()

    def __post_init__(self) -> None:
        for part in OPTIONAL:
            if getattr(self, part) is None and not self.not_measured.get(part):
                raise ValueError(f"the report has no {part}, and not_measured does not say why")

    @property
    def total(self) -> Summary:
        """The summary over all objects."""
        return self.summaries[-1]

    @property
    def names(self) -> list[str]:
        """The objects, without the total."""
        return [summary.name for summary in self.summaries[:-1]]

    @property
    def time_per_image(self) -> np.ndarray:
        """(N,) seconds per image, all stages; NaN where a stage is unknown."""
        return np.sum(list(self.times.values()), axis=0) if self.times else np.zeros(0)
