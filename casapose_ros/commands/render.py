"""``casapose render``: pictures of an object set in random scenes, as a BOP data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from casapose_ros.data.render_job import RenderJob

NAME = "render"
HELP = "render training or test images of an object set as a BOP data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--objects", type=Path, required=True, help="object set folder")
    parser.add_argument("--config", type=Path, required=True, help="scenario, config/scenes/*.yaml")
    parser.add_argument("--out", type=Path, required=True, help="BOP data set folder to write")
    parser.add_argument("--frames", type=int, default=1000, help="number of images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other seed, other images")
    parser.add_argument("--split", default="train_pbr", help="for example test (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--jpg", action="store_true", help="JPEG instead of PNG")
    parser.add_argument("--depth", action="store_true", help="write depth images too")
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from casapose_ros.config import load_yaml
    from casapose_ros.data.bop_writer import BopWriter
    from casapose_ros.data.render_job import RenderJob, finish, prepare
    from casapose_ros.data.scene_config import SceneConfig
    from casapose_ros.errors import ConfigError

    for name in ("frames", "workers"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} must be at least 1, got {getattr(args, name)}")
    writer = BopWriter(args.out, args.split, args.jpg, args.depth)
    config = load_yaml(SceneConfig, args.config)
    job = RenderJob(args.objects, config, args.frames, args.seed, writer)
    indices = prepare(job, args.resume)
    console = Console()
    _render(job, indices, args.workers, console)
    console.print(f"contact sheet: {finish(job)}", soft_wrap=True)
    return 0


def _render(job: RenderJob, indices: list[int], workers: int, console: Console) -> None:
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from casapose_ros.data.render_job import render_frames, render_parallel

    columns = ("rendering", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=job.frames, completed=job.frames - len(indices))
        if workers == 1:
            for _ in render_frames(job, indices):
                progress.advance(task)
        else:
            render_parallel(job, indices, workers, lambda: progress.advance(task))
    seconds = time.perf_counter() - start
    rate = f"{len(indices) / seconds:.1f}/s"
    console.print(f"{len(indices)} frames in {seconds:.1f} s ({rate}) with {workers} processes")
