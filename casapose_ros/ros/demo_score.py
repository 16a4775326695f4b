"""How well the demo goes: results joined with the truth by the image's stamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.evaluation.judgements import Collector
from casapose_ros.evaluation.matching import Judgement, Reference, TrueObject, match_frame
from casapose_ros.evaluation.summary import Summary, summarise
from casapose_ros.types import CameraModel, ObjectPose

MIN_VISIBILITY = 0.4
"""Objects that show less than this fraction of themselves are not asked for."""
REQUIRED_RECALL = 0.8


@dataclass(frozen=True)
class Score:
    """The demo's figures; frames count from the first image that was answered.

    Attributes:
        seconds: Time from the first answered image to the last one.
        frames_in: Images that the camera published.
        frames_out: Images that were answered; the others gave way to newer ones.
        latency_p50: Median time from an image's stamp to its answer's arrival, seconds.
        latency_p95: 95th percentile of it.
        objects: One summary per object and the total at the end; see ``evaluation.summary``.
    """

    seconds: float
    frames_in: int
    frames_out: int
    latency_p50: float
    latency_p95: float
    objects: list[Summary]

    @property
    def input_hz(self) -> float:
        """Images published per second; NaN for a single one."""
        return _per_second(self.frames_in, self.seconds)

    @property
    def output_hz(self) -> float:
        """Images answered per second; NaN for a single one."""
        return _per_second(self.frames_out, self.seconds)

    @property
    def total(self) -> Summary:
        """All objects together."""
        return self.objects[-1]

    @property
    def passed(self) -> bool:
        """Whether enough was found; nothing asked for is nothing shown."""
        return self.total.recall_add_10 >= REQUIRED_RECALL


class Scoreboard:
    """Collects the truth and the answers, in any order.

    Stamps are nanoseconds and name an image.

    Args:
        references: By name, the objects that the model knows.
        camera: The camera of all images.
    """

    def __init__(self, references: Mapping[str, Reference], camera: CameraModel) -> None:
        self._references = dict(references)
        self._camera = camera
        self._truths: dict[int, Sequence[TrueObject]] = {}
        self._answers: dict[int, Sequence[ObjectPose]] = {}
        self._latencies: dict[int, float] = {}
        self._judgements: dict[int, Judgement] = {}

    def add_truth(self, stamp: int, truths: Sequence[TrueObject]) -> None:
        """What an image really shows."""
        self._truths[stamp] = truths
        self._judge(stamp)

    def add_answer(self, stamp: int, objects: Sequence[ObjectPose], latency: float) -> None:
        """What was found in an image, ``latency`` seconds after its stamp."""
        self._answers[stamp] = objects
        self._latencies[stamp] = latency
        self._judge(stamp)

    @property
    def frames_in(self) -> int:
        """Images published so far."""
        return len(self._truths)

    @property
    def frames_out(self) -> int:
        """Images answered so far."""
        return len(self._answers)

    def score(self) -> Score | None:
        """The figures so far; None before the first answer."""
        if not self._answers:
            return None
        first, last = min(self._answers), max(self._answers)
        p50, p95 = np.percentile(list(self._latencies.values()), [50, 95]).tolist()
        collector = Collector()
        for stamp, judgement in self._judgements.items():
            collector.add(str(stamp), judgement)
        return Score(
            seconds=(last - first) / 1e9,
            frames_in=sum(first <= stamp <= last for stamp in self._truths),
            frames_out=len(self._answers),
            latency_p50=p50,
            latency_p95=p95,
            objects=summarise(collector.result(), list(self._references), MIN_VISIBILITY),
        )

    def frames(self) -> list[tuple[int, float, Sequence[ObjectPose], Sequence[TrueObject]]]:
        """Per answered image its stamp, latency, answer and truth, oldest first."""
        return [
            (stamp, self._latencies[stamp], self._answers[stamp], self._truths.get(stamp, ()))
            for stamp in sorted(self._answers)
        ]

    def _judge(self, stamp: int) -> None:
        if stamp not in self._truths or stamp not in self._answers:
            return
        matches = match_frame(
            str(stamp),
            self._answers[stamp],
            self._truths[stamp],
            self._references,
            self._camera,
        )
        self._judgements[stamp] = Judgement(matches, {})


def _per_second(count: int, seconds: float) -> float:
    return (count - 1) / seconds if seconds > 0 else float("nan")
