"""CPU time of a rendered frame by stage, and frames per second by number of processes.

    python benchmarks/rendering.py --objects OBJECTS --config config/scenes/demo.yaml

Software OpenGL draws in the calling thread here, so that CPU time can be told apart by stage; the
second table is wall time and depends on what else the machine does. Writes to a temporary folder.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

# Read when Mesa starts: before anything draws.
os.environ["LP_NUM_THREADS"] = "0"

import cv2

from casapose_ros.config import load_yaml
from casapose_ros.data import frames, render_job, rendering
from casapose_ros.data.bop_writer import BopWriter
from casapose_ros.data.opengl import device_name
from casapose_ros.data.render_job import RenderJob, render_frames, render_parallel
from casapose_ros.data.scene_config import SceneConfig

STAGES = {
    "scene": (render_job, "sample_scene"),
    "shadow maps": (rendering.ShadowMaps, "update"),
    "floor, background": (rendering.Floor, "draw"),
    "objects": (rendering.Renderer, "_draw_centres"),
    "outlines": (rendering.Renderer, "_draw_corners"),
    "composition": (rendering, "composed"),
    "silhouettes": (rendering.Renderer, "silhouette"),
    "camera effects": (frames, "photograph"),
    "encoding, writing": (BopWriter, "write"),
}


def time_stages() -> dict[str, float]:
    """Make every stage add its CPU seconds to the result."""
    spent: dict[str, float] = defaultdict(float)

    def timed(function, name):
        @functools.wraps(function)
        def call(*args, **kwargs):
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.process_time() - start

        return call

    for name, (owner, attribute) in STAGES.items():
        setattr(owner, attribute, timed(getattr(owner, attribute), name))
    return spent


def print_stages(job: RenderJob) -> None:
    spent = time_stages()
    rendered = render_frames(job, list(range(job.frames)))
    start = time.process_time()
    next(rendered)
    print(f"{'first frame and start':24s}{time.process_time() - start:8.1f} s")
    spent.clear()
    start = time.process_time()
    count = sum(1 for _ in rendered)
    total = time.process_time() - start
    for name in STAGES:
        print(f"{name:24s}{spent[name] / count * 1e3:8.1f} ms")
    print(f"{'rest':24s}{(total - sum(spent.values())) / count * 1e3:8.1f} ms")
    print(f"{'CPU per frame':24s}{total / count * 1e3:8.1f} ms")


def frames_per_second(job: RenderJob, jobs: int) -> float:
    """Without what the processes need to start."""
    done: list[float] = []
    indices = list(range(job.frames))
    render_parallel(job, indices, jobs, lambda: done.append(time.perf_counter()))
    started = 4 * jobs
    return (len(done) - started) / (done[-1] - done[started - 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--photos", type=Path, help="for a scenario that shows some")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    config = load_yaml(SceneConfig, args.config)
    print(f"OpenGL on {device_name()}; {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:

        def job(name: str) -> RenderJob:
            writer = BopWriter(Path(folder) / name, "train_pbr", jpg=True)
            return RenderJob(args.objects, config, args.frames, 0, writer, args.photos)

        for jobs in args.jobs:
            rate = frames_per_second(job(f"jobs{jobs}"), jobs)
            print(f"{jobs} process{'es' if jobs > 1 else ''}: {rate:.1f} frames/s")
        print_stages(job("stages"))


if __name__ == "__main__":
    main()
