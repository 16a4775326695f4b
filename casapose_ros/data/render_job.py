"""Rendering a whole data set in several processes, the same for any number of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from casapose_ros.config import to_dict
from casapose_ros.data.bop_writer import BopWriter, write_image, write_json
from casapose_ros.data.frames import LabelledFrame, render_frame
from casapose_ros.data.meshes import load_object_set
from casapose_ros.data.primitives import primitive_meshes
from casapose_ros.data.rendering import Renderer
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.scenes import load_bodies, sample_scene
from casapose_ros.errors import CasaposeError, DatasetError, RenderError

BYTES_PER_PIXEL = {"jpg": 0.6, "png": 2.2, "depth": 0.8}
"""Generous estimates for noisy images, to see beforehand whether the disk has room."""
SHEET_COLUMNS, SHEET_ROWS, TILE = 4, 5, (256, 192)
COLOURS = np.array([[230, 60, 60], [60, 200, 60], [70, 110, 250], [240, 200, 40]], np.uint8)
POLL_S = 0.5


@dataclass(frozen=True)
class RenderJob:
    """What to render.

    Attributes:
        objects: Folder of the object set.
        config: The scenario.
        frames: Number of images.
        seed: Frame i depends on (seed, i) alone.
        writer: Where to.
    """

    objects: Path
    config: SceneConfig
    frames: int
    seed: int
    writer: BopWriter

    def missing(self) -> list[int]:
        """Frames that are not on disk yet."""
        written = self.writer.written()
        return [i for i in range(self.frames) if i not in written]

    def describe(self) -> dict[str, object]:
        """What has to be the same when a job is resumed."""
        return {
            "seed": self.seed,
            "objects": [obj.name for obj in load_object_set(self.objects).objects],
            "jpg": self.writer.jpg,
            "depth": self.writer.depth,
            "config": to_dict(self.config),
        }


def prepare(job: RenderJob, resume: bool) -> list[int]:
    """Check everything that can be checked before hours of work.

    Returns:
        The frames to render.

    Raises:
        DatasetError: The split exists and is not to be resumed, it was rendered with other
            settings, or the disk is too small.
    """
    folder = job.writer.path / job.writer.split
    note = folder / "render.json"
    if folder.exists() and not resume:
        raise DatasetError(f"{folder} exists: give --resume to go on, or another folder")
    if note.exists():
        _compare(json.loads(note.read_text()), json.loads(json.dumps(job.describe())), note)
    missing = job.missing()
    camera = job.config.camera
    parts = ["jpg" if job.writer.jpg else "png", *(["depth"] if job.writer.depth else [])]
    each = camera.width * camera.height * sum(BYTES_PER_PIXEL[p] for p in parts)
    job.writer.path.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(job.writer.path).free
    if each * len(missing) > free:
        raise DatasetError(
            f"{job.writer.path}: {len(missing)} frames need about {each * len(missing) / 1e9:.1f} "
            f"GB, but only {free / 1e9:.1f} GB are free"
        )
    write_json(note, job.describe())
    return missing


def render_frames(job: RenderJob, indices: list[int]) -> Iterator[int]:
    """Render and write frames one after another; yields each index when it is on disk."""
    for index, frame in iterate_frames(job, indices):
        job.writer.write(index, frame)
        yield index


def iterate_frames(job: RenderJob, indices: list[int]) -> Iterator[tuple[int, LabelledFrame]]:
    """Render frames one after another in this process."""
    loaded = load_bodies(load_object_set(job.objects), job.config.objects)
    bodies = [body for body, _ in loaded.values()]
    meshes = primitive_meshes() | {name: mesh for name, (_, mesh) in loaded.items()}
    camera = job.config.camera
    with Renderer(camera.width, camera.height, meshes) as renderer:
        for index in indices:
            for_scene, for_effects = np.random.default_rng([job.seed, index]).spawn(2)
            scene = sample_scene(for_scene, job.config, bodies)
            yield index, render_frame(renderer, scene, job.config.effects, for_effects)


def render_parallel(
    job: RenderJob, indices: list[int], workers: int, done: Callable[[], None]
) -> None:
    """Render and write frames in several processes; ``done`` is called after each frame.

    Raises:
        CasaposeError: What a worker raised; the others are stopped.
    """
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    shares = [indices[i::workers] for i in range(workers)]
    processes = [context.Process(target=_work, args=(job, s, results)) for s in shares if s]
    for process in processes:
        process.start()
    try:
        for _ in indices:
            error = _next_result(results, processes)
            if error is not None:
                raise error
            done()
    finally:
        for process in processes:
            process.terminate()
            process.join()


def finish(job: RenderJob) -> Path:
    """Complete the data set and draw its contact sheet; returns the sheet's path."""
    job.writer.finish(job.config.camera.model(), job.objects)
    path = job.writer.path / job.writer.split / "contact_sheet.png"
    write_image(path, contact_sheet(job)[..., ::-1])
    return path


def contact_sheet(job: RenderJob) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the first frames, each above its masks."""
    count = min(SHEET_COLUMNS * SHEET_ROWS, job.frames)
    tiles = []
    for _, frame in iterate_frames(job, list(range(count))):
        labelled = frame.image // 3
        for i, mask in enumerate(frame.masks):
            labelled[mask] = labelled[mask] + COLOURS[i % len(COLOURS)] // 3 * 2
        pair = (cv2.resize(x, TILE, interpolation=cv2.INTER_AREA) for x in (frame.image, labelled))
        tiles.append(np.concatenate(list(pair)))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    rows = [np.hstack(tiles[i : i + SHEET_COLUMNS]) for i in range(0, len(tiles), SHEET_COLUMNS)]
    return np.vstack(rows)


def _work(job: RenderJob, indices: list[int], results: multiprocessing.Queue) -> None:
    # One thread each: the processes already fill the cores. Read when Mesa starts.
    os.environ["LP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    try:
        for _ in render_frames(job, indices):
            results.put(None)
            if not parent.is_alive():  # killed: nobody waits for the rest
                return
    except KeyboardInterrupt:
        return
    except CasaposeError as error:
        results.put(error)
    except Exception:  # shown by the parent, whatever it is
        results.put(RenderError(f"a render process failed:\n{traceback.format_exc()}"))


def _next_result(results: multiprocessing.Queue, processes: list) -> CasaposeError | None:
    while True:
        try:
            return results.get(timeout=POLL_S)
        except queue.Empty:
            codes = [p.exitcode for p in processes]
            if any(code not in (None, 0) for code in codes):
                raise RenderError(f"a render process died (exit codes {codes})") from None


def _compare(before: dict, now: dict, path: Path) -> None:
    different = [key for key in now if before.get(key) != now[key]]
    if different:
        raise DatasetError(
            f"{path}: begun with other settings ({', '.join(different)}): "
            "resume with the same, or render into another folder"
        )
