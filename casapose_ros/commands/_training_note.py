"""What a training run learns from, noted in its folder and compared when it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casapose_ros.commands._training_data import TrainingData, TrainingSet
from casapose_ros.commands._training_start import TrainingStart
from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.data.bop import BopFrame
    from casapose_ros.data.frame_cache import FrameCache
    from casapose_ros.data.frame_window import FrameWindow

DATA_FILE = "data.json"
"""In a run's folder."""


def note_data(
    out: Path,
    data: TrainingData,
    sets: Sequence[TrainingSet],
    frames: FrameCache | FrameWindow,
    start: TrainingStart,
) -> None:
    """Write down what a run starts and learns from; where that is written already, compare.

    Args:
        out: The run's folder.
        data: What the command line and the settings say.
        sets: The data sets, unless frames are rendered on the fly.
        frames: What batches are drawn from.
        start: Objects, and the model that the run goes on from, if any.

    Raises:
        ConfigError: The run began with other data.
    """
    from casapose_ros.config import differences
    from casapose_ros.files import replacing

    path = out / DATA_FILE
    now = json.loads(json.dumps(_describe(data, sets, frames, start)))
    if path.exists():
        before = json.loads(path.read_text())
        if before["source"] != now["source"]:
            raise ConfigError(
                f"{path}: the run began with {before['source']}, now it is to learn from "
                f"{now['source']}: go on with the same, or train into another folder"
            )
        before, now = _completed(before), _completed(now)
        told = [text for k in now if k in before for text in differences(before[k], now[k], k)]
        if told:
            raise ConfigError(
                f"{path}: the run began with other data ({'; '.join(told)}): go on with the same, "
                "or train into another folder"
            )
    with replacing(path) as part:
        part.write_text(json.dumps(now, indent=1) + "\n")


def _describe(
    data: TrainingData,
    sets: Sequence[TrainingSet],
    frames: FrameCache | FrameWindow,
    start: TrainingStart,
) -> dict[str, Any]:
    """What stays the same when data sets are copied, or rendered anew elsewhere."""
    from casapose_ros.config import to_dict
    from casapose_ros.data.bop import RENDER_NOTE
    from casapose_ros.objects import objects_digest

    known = {
        "objects": objects_digest(start.objects),
        "trained_model": start.trained.sha256[:16] if start.trained else None,
    }
    if data.live:
        jobs = [{"frames": job.frames, **job.describe()} for job in data.live]
        window = to_dict(data.window)
        return {"source": "frames on the fly", **known, "jobs": jobs, "window": window}
    notes = [path / data.split / RENDER_NOTE for path in data.paths]
    return {
        "source": "data sets",
        **known,
        "frames": len(frames),
        "data_sets": len(sets),
        # Where its scenario is known, a data set may be rendered anew, equal but for rounding.
        "poses": _digest(
            _poses(frame)
            for each in sets
            if not (each.dataset.path / data.split / RENDER_NOTE).exists()
            for frame in each.frames
        ),
        "rendered": [json.loads(note.read_text()) if note.exists() else None for note in notes],
    }


def _completed(noted: dict[str, Any]) -> dict[str, Any]:
    """With all that scenarios can say today, whatever version wrote it down."""
    from casapose_ros.data.render_job import complete

    return {
        key: [note and complete(note) for note in value] if key in ("rendered", "jobs") else value
        for key, value in noted.items()
    }


def _poses(frame: BopFrame) -> list[Any]:
    from casapose_ros.data.targets import main_instances

    truths = [(t.bop_id, t.R_cam_obj.tolist(), t.t_cam_obj.tolist()) for t in frame.objects]
    main = sorted(main_instances(frame.objects).values())
    return [frame.scene_id, frame.image_id, frame.camera.K.tolist(), truths, main]


def _digest(values: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for value in values:
        digest.update(json.dumps(value).encode() + b"\n")
    return digest.hexdigest()[:16]
