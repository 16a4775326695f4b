"""Rendering a whole data set in several processes, the same for any number of them."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import queue
import shutil
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from casapose_ros.config import differences, from_dict, to_dict
from casapose_ros.data.bop import RENDER_NOTE, BopDataset
from casapose_ros.data.bop_writer import MODELS, BopWriter, write_json
from casapose_ros.data.contact_sheet import SHEET_FRAMES, tile, write_sheet
from casapose_ros.data.fitting import check_same_objects
from casapose_ros.data.frames import LabelledFrame, render_frame
from casapose_ros.data.meshes import load_object_set
from casapose_ros.data.photos import photos_digest
from casapose_ros.data.props import check_photos, props_for
from casapose_ros.data.rendering import Renderer
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.scenes import load_bodies, sample_scene
from casapose_ros.errors import CasaposeError, DatasetError, RenderError
from casapose_ros.files import make_folder
from casapose_ros.objects import objects_digest

BYTES_PER_PIXEL = {"jpg": 0.6, "png": 2.2, "depth": 0.8}
"""Generous estimates for noisy images, to see beforehand whether the disk has room."""
BYTES_PER_OBJECT = 6000
"""Of a mask and the records, whole blocks of the disk."""
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
        photos: Folder of photographs, if the scenario asks for them.

    Raises:
        ConfigError: It does, and there are none.
    """

    objects: Path
    config: SceneConfig
    frames: int
    seed: int
    writer: BopWriter
    photos: Path | None = None

    def __post_init__(self) -> None:
        check_photos(self.config, self.photos)

    def missing(self) -> list[int]:
        """Frames that are not on disk yet."""
        written = self.writer.written()
        return [i for i in range(self.frames) if i not in written]

    def describe(self) -> dict[str, object]:
        """What has to be the same when a job is resumed."""
        objects = load_object_set(self.objects).objects
        shown = {"photos": photos_digest(self.photos)} if self.config.photo_probability else {}
        return shown | {
            "seed": self.seed,
            "objects": [obj.name for obj in objects],
            "object_set": objects_digest(objects),
            "jpg": self.writer.jpg,
            "depth": self.writer.depth,
            "config": to_dict(self.config),
        }


@dataclass(frozen=True)
class Plan:
    """What is left to do, and the room it takes.

    Attributes:
        indices: The frames to render.
        needed: Bytes that they will take, generously estimated.
        free: Bytes that the disk has.
    """

    indices: list[int]
    needed: float
    free: int


def prepare(job: RenderJob, resume: bool) -> Plan:
    """Check everything that can be checked before hours of work.

    Raises:
        DatasetError: The split exists and is not to be resumed, it was rendered with other
            settings or not by this package, it has more frames, the data set has other objects,
            or the disk is too small.
    """
    folder = job.writer.path / job.writer.split
    note = folder / RENDER_NOTE
    if folder.exists() and not resume:
        raise DatasetError(f"{folder} exists: give --resume to go on, or another folder")
    check_begun(job)
    missing = job.missing()
    needed = len(missing) * bytes_per_frame(job)
    make_folder(job.writer.path)
    free = shutil.disk_usage(job.writer.path).free
    if needed > free:
        raise DatasetError(
            f"{job.writer.path}: {len(missing)} frames need about {needed / 1e9:.1f} GB, "
            f"but only {free / 1e9:.1f} GB are free"
        )
    write_json(note, job.describe())
    return Plan(missing, needed, free)


def complete(note: dict[str, Any]) -> dict[str, Any]:
    """What was rendered, also as older versions noted it: new settings were as by default."""
    if "config" not in note:
        return note
    config = to_dict(from_dict(SceneConfig, note["config"]))
    return note | {"config": json.loads(json.dumps(config))}


def check_begun(job: RenderJob) -> None:
    """Whether the job can go on with what is on the disk, if anything is.

    Raises:
        DatasetError: The split was rendered with other settings or not by this package, it has
            more frames, or the data set has other objects.
    """
    folder = job.writer.path / job.writer.split
    note = folder / RENDER_NOTE
    if folder.resolve().is_relative_to(job.objects.resolve()):
        raise DatasetError(
            f"{folder} is inside the object set {job.objects}, which is copied to beside the "
            "images: render into another folder"
        )
    written = job.writer.written()
    if job.photos is not None and folder.resolve().is_relative_to(job.photos.resolve()):
        raise DatasetError(
            f"{folder} is inside the folder of photos {job.photos}, which would get the images as "
            "well: render into another folder"
        )
    if note.exists() and written:
        now, before = json.loads(json.dumps(job.describe())), complete(json.loads(note.read_text()))
        different = differences({**now, **before}, now)
        if different:
            raise DatasetError(
                f"{note}: begun with other settings ({'; '.join(different)}): "
                "resume with the same, or render into another folder"
            )
    elif not note.exists() and any(folder.glob("[0-9]*")):
        raise DatasetError(
            f"{folder} has scenes that 'casapose render' has not made: render into another folder"
        )
    if written and max(written) >= job.frames:
        raise DatasetError(
            f"{folder} has {len(written)} frames already, and {job.frames} are asked for: ask for "
            "as many at least, or render into another folder"
        )
    models = job.writer.path / MODELS
    if models.is_dir() and models.resolve() != job.objects.resolve():
        check_same_objects(models, load_object_set(job.objects).objects)


def bytes_per_frame(job: RenderJob) -> float:
    """A generous estimate, for noisy images."""
    camera = job.config.camera
    parts = ["jpg" if job.writer.jpg else "png", *(["depth"] if job.writer.depth else [])]
    pixels = camera.width * camera.height
    count = job.config.object_count[1] * job.config.instances_per_object[1]
    return pixels * sum(BYTES_PER_PIXEL[p] for p in parts) + count * BYTES_PER_OBJECT


def render_frames(job: RenderJob, indices: list[int]) -> Iterator[int]:
    """Render and write frames one after another; yields each index when it is on disk."""
    for index, frame in iterate_frames(job, indices):
        job.writer.write(index, frame)
        yield index


def iterate_frames(job: RenderJob, indices: Iterable[int]) -> Iterator[tuple[int, LabelledFrame]]:
    """Render frames one after another in this process."""
    loaded = load_bodies(load_object_set(job.objects), job.config.objects)
    bodies = [body for body, _ in loaded.values()]
    props = props_for(job.config, [mesh for _, mesh in loaded.values()], job.seed, job.photos)
    meshes = props.shapes | {name: mesh for name, (_, mesh) in loaded.items()}
    camera = job.config.camera
    with Renderer(camera.width, camera.height, meshes) as renderer:
        for index in indices:
            for_scene, for_effects = np.random.default_rng([job.seed, index]).spawn(2)
            scene = sample_scene(for_scene, job.config, bodies, props)
            yield (
                index,
                render_frame(renderer, scene, job.config.effects, for_effects, job.writer.depth),
            )


def render_parallel(
    job: RenderJob, indices: list[int], jobs: int, done: Callable[[], None]
) -> None:
    """Render and write frames in several processes; ``done`` is called after each frame.

    Raises:
        CasaposeError: What a worker raised; the others are stopped.
    """
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    shares = [indices[i::jobs] for i in range(jobs)]
    processes = [
        context.Process(target=_work, args=(job, share, results, number == 0))
        for number, share in enumerate(shares)
        if share
    ]
    for process in processes:
        process.start()
    try:
        for _ in indices:
            _check_alive(processes)
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
    frames = itertools.islice(BopDataset(job.writer.path, job.writer.split), SHEET_FRAMES)
    tiles = [
        tile(f.load_image(), [(t.bop_id, f.load_mask(i)) for i, t in enumerate(f.objects)])
        for f in frames
    ]
    write_sheet(tiles, path)
    return path


def preview(job: RenderJob, path: Path) -> None:
    """Render the first frames into a contact sheet and nothing else."""
    indices = list(range(min(SHEET_FRAMES, job.frames)))
    tiles = [
        tile(f.image, [(t.bop_id, m) for t, m in zip(f.truths, f.masks, strict=True)])
        for _, f in iterate_frames(job, indices)
    ]
    write_sheet(tiles, path)


def _work(job: RenderJob, indices: list[int], results: multiprocessing.Queue, speaks: bool) -> None:
    if not speaks:  # all would say the same about the meshes
        warnings.simplefilter("ignore")
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
            _check_alive(processes)


def _check_alive(processes: list) -> None:
    codes = [p.exitcode for p in processes]
    if any(code not in (None, 0) for code in codes):
        raise RenderError(f"a render process died (exit codes {codes})")
