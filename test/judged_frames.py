"""Judgements of frames from matches that a test has chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import Judgement, Match


def judged(judgements: Iterable[Judgement]) -> Judgements:
    """A frame for each judgement."""
    return Judgements.of((f"{number:06d}", one) for number, one in enumerate(judgements))


def judged_matches(matches: Sequence[Match]) -> Judgements:
    """The frames that the matches name."""
    frames: dict[str, list[Match]] = {}
    for match in matches:
        frames.setdefault(match.frame, []).append(match)
    return Judgements.of((name, Judgement(mine, {})) for name, mine in frames.items())
