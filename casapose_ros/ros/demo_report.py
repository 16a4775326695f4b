"""What the demo shows and leaves: progress, the final table, ``poses.json``."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from casapose_ros.evaluation.matching import TrueObject
from casapose_ros.evaluation.summary import Summary
from casapose_ros.ros.demo_score import MIN_VISIBILITY, Score, Scoreboard
from casapose_ros.types import ObjectPose


def progress(board: Scoreboard, condition: str, elapsed: float | None, seconds: float) -> Table:
    """A few lines that tell how it goes.

    Args:
        board: What has come so far.
        condition: What the pose node says about itself.
        elapsed: Seconds since the first answer; None before it.
        seconds: Seconds to go in all.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_row("images", f"{board.frames_in} published, {board.frames_out} answered")
    grid.add_row("pose node", condition)
    score = board.score()
    if score is not None and elapsed is not None:
        total = score.total
        grid.add_row("latency", _milliseconds(score.latency_p50))
        grid.add_row("recall", f"{_percent(total.recall_add_10)} of {total.targets} objects")
        grid.add_row("time", f"{elapsed:.0f} of {seconds:.0f} s, Ctrl-C ends")
    return grid


def headline(score: Score) -> str:
    """The demo's figures about images."""
    return (
        f"{score.frames_in} images in ({score.input_hz:.1f} Hz), {score.frames_out} answered "
        f"({score.output_hz:.1f} Hz)\n"
        f"latency {_milliseconds(score.latency_p50)} median, {_milliseconds(score.latency_p95)} p95"
    )


def table(score: Score) -> Table:
    """The demo's figures about objects: a row per object and the total."""
    result = Table(
        caption=(
            f"asked: visible by {MIN_VISIBILITY:.0%} or more; recall: ADD(-S) below 10 % of the "
            "diameter; false positives: of absent objects, or with a wrong pose; median errors"
        )
    )
    columns = ("asked", "found", "recall", "absent", "wrong", "rotation", "translation")
    result.add_column("object")
    for column in columns:
        result.add_column(column, justify="right", no_wrap=True)
    for summary in score.objects:
        result.add_row(*_cells(summary), end_section=summary is score.objects[-2])
    return result


def write_poses(path: Path, model_name: str, board: Scoreboard, score: Score) -> None:
    """Write every answer with its truth; metres, seconds, px, rotations row by row."""
    frames = [
        {
            "stamp_ns": stamp,
            "latency": latency,
            "objects": [_pose(o) for o in objects],
            "truth": [_truth(t) for t in truths],
        }
        for stamp, latency, objects, truths in board.frames()
    ]
    figures = dataclasses.asdict(score) | {"passed": score.passed}
    document = {"model": model_name, "score": figures, "frames": frames}
    path.write_text(json.dumps(_finite(document), indent=1, allow_nan=False) + "\n")


def _cells(summary: Summary) -> list[str]:
    return [
        summary.name,
        str(summary.targets),
        str(summary.found),
        _percent(summary.recall_add_10),
        str(summary.absent),
        str(summary.wrong),
        f"{summary.median_rotation:.1f}°",
        f"{1e3 * summary.median_translation:.1f} mm",
    ]


def _pose(found: ObjectPose) -> dict[str, Any]:
    return {
        "name": found.name,
        "instance_id": found.instance_id,
        "score": found.score,
        "R": found.R_cam_obj.ravel().tolist(),
        "t": found.t_cam_obj.tolist(),
        "covariance": found.covariance.ravel().tolist(),
        "keypoints": found.keypoints.tolist(),
        "box": list(found.box),
    }


def _truth(truth: TrueObject) -> dict[str, Any]:
    return {
        "name": truth.name,
        "visibility": truth.visibility,
        "R": truth.R_cam_obj.ravel().tolist(),
        "t": truth.t_cam_obj.tolist(),
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _percent(fraction: float) -> str:
    return "-" if np.isnan(fraction) else f"{fraction:.0%}"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"
