"""What became of all frames of a run, in columns: some 170 bytes per estimate or missed object.

The objects that :func:`~casapose_ros.evaluation.matching.match_frame` makes take ten times as much
memory, which a run over a recording of hours would not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from casapose_ros.evaluation.deviation import Deviation
from casapose_ros.evaluation.matching import Judgement, Match, Outcome, PoseErrors
from casapose_ros.types import NUM_KEYPOINTS

OUTCOMES = tuple(Outcome)
MEASURES = tuple(f.name for f in fields(PoseErrors))
NO_TRUTH = -1
ROW = np.dtype(
    [
        ("frame", np.int32),
        ("object", np.int16),
        ("outcome", np.int8),
        ("score", np.float64),
        ("visibility", np.float64),
        ("truth", np.int32),
        *((measure, np.float64) for measure in MEASURES),
        ("deviation", np.float64),
        ("deviation_dof", np.int8),
        ("keypoint_deviations", np.float64, (NUM_KEYPOINTS,)),
        ("candidates", np.int16),
    ]
)
"""One match: places among the frames, the objects and ``OUTCOMES``; then as in ``Match`` and
``Deviation``, NaN for an unknown score or visibility, ``NO_TRUTH`` without a true object, 0 degrees
of freedom without a deviation; how many rows of ``CANDIDATE`` are the match's."""
CANDIDATE = np.dtype([("truth", np.int32), ("error", np.float64)])
"""One of a match's candidates."""
MASK = np.dtype([("frame", np.int32), ("object", np.int16), ("iou", np.float64)])
"""One mask of a judgement."""


@dataclass(frozen=True)
class Judgements:
    """The judgements of F frames.

    Attributes:
        frames: (F,) their names.
        objects: Names of the objects that occur.
        rows: (N,) ``ROW``, all matches, frame by frame.
        candidates: (C,) ``CANDIDATE``, those of all matches one after the other.
        masks: (M,) ``MASK``, frame by frame.
    """

    frames: tuple[str, ...]
    objects: tuple[str, ...]
    rows: np.ndarray
    candidates: np.ndarray
    masks: np.ndarray

    @classmethod
    def of(cls, judgements: Iterable[tuple[str, Judgement]]) -> Judgements:
        """The same as pairs of a frame's name and its judgement, which may be a generator."""
        collector = Collector()
        for name, judgement in judgements:
            collector.add(name, judgement)
        return collector.result()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def is_estimate(self) -> np.ndarray:
        """(N,) bool, whether the model said something."""
        return ~self.has(Outcome.MISSED)

    def has(self, outcome: Outcome) -> np.ndarray:
        """(N,) bool, which matches have an outcome."""
        return self.rows["outcome"] == OUTCOMES.index(outcome)

    def is_target(self, min_visibility: float) -> np.ndarray:
        """(N,) bool, which matches are about a true object that shows enough of itself."""
        return self.rows["visibility"] >= min_visibility  # and not NaN

    def place(self, name: str) -> int:
        """Which of the objects this is; -1 if it does not occur."""
        return self.objects.index(name) if name in self.objects else -1

    def matches(self, name: str | None = None) -> Iterator[Match]:
        """All matches, or those of one object, without their poses."""
        ends = np.cumsum(self.rows["candidates"])
        mine = np.arange(len(self.rows))
        if name is not None:
            mine = np.flatnonzero(self.rows["object"] == self.place(name))
        for index in mine:
            row = self.rows[index]
            candidates = self.candidates[ends[index] - row["candidates"] : ends[index]]
            yield self._match(row, candidates)

    def select(self, chosen: np.ndarray) -> Judgements:
        """Some of the frames, (F,) bool; of a frame left out, the name alone stays."""
        rows = chosen[self.rows["frame"]]
        candidates = np.repeat(rows, self.rows["candidates"])
        masks = self.masks[chosen[self.masks["frame"]]]
        return Judgements(
            self.frames, self.objects, self.rows[rows], self.candidates[candidates], masks
        )

    def _match(self, row: np.void, candidates: np.ndarray) -> Match:
        missed = OUTCOMES[row["outcome"]] is Outcome.MISSED
        dof, keypoints = int(row["deviation_dof"]), row["keypoint_deviations"]
        return Match(
            frame=self.frames[row["frame"]],
            name=self.objects[row["object"]],
            outcome=OUTCOMES[row["outcome"]],
            score=None if missed else float(row["score"]),
            visibility=None if np.isnan(row["visibility"]) else float(row["visibility"]),
            errors=PoseErrors(*(float(row[measure]) for measure in MEASURES)),
            truth=None if row["truth"] == NO_TRUTH else int(row["truth"]),
            candidates=dict(candidates.tolist()),
            deviation=Deviation(float(row["deviation"]), dof, keypoints) if dof else None,
        )


class Collector:
    """Takes up judgements one by one."""

    def __init__(self) -> None:
        self._frames: list[str] = []
        self._objects: dict[str, int] = {}
        self._rows, self._candidates, self._masks = bytearray(), bytearray(), bytearray()

    def add(self, frame: str, judgement: Judgement) -> None:
        """Take up what became of a frame.

        Args:
            frame: Its name.
            judgement: Its judgement; nothing of it is kept as it is.
        """
        number = len(self._frames)
        self._frames.append(frame)
        rows = [self._row(number, match) for match in judgement.matches]
        self._rows += np.array(rows, dtype=ROW).tobytes()
        for match in judgement.matches:
            candidates = np.array(list(match.candidates.items()), dtype=CANDIDATE)
            self._candidates += candidates.tobytes()
        masks = [(number, self._place(name), iou) for name, iou in judgement.mask_ious.items()]
        self._masks += np.array(masks, dtype=MASK).tobytes()

    def result(self) -> Judgements:
        """All that was taken up; there is no adding to it afterwards."""
        return Judgements(
            tuple(self._frames),
            tuple(self._objects),
            np.frombuffer(self._rows, ROW),
            np.frombuffer(self._candidates, CANDIDATE),
            np.frombuffer(self._masks, MASK),
        )

    def _place(self, name: str) -> int:
        return self._objects.setdefault(name, len(self._objects))

    def _row(self, frame: int, match: Match) -> tuple:
        fit = match.deviation
        unknown = np.full(NUM_KEYPOINTS, np.nan)
        return (
            frame,
            self._place(match.name),
            OUTCOMES.index(match.outcome),
            np.nan if match.score is None else match.score,
            np.nan if match.visibility is None else match.visibility,
            NO_TRUTH if match.truth is None else match.truth,
            *(getattr(match.errors, measure) for measure in MEASURES),
            *((np.nan, 0, unknown) if fit is None else (fit.pose, fit.pose_dof, fit.keypoints)),
            len(match.candidates),
        )
