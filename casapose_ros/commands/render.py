"""``casapose render``: pictures of an object set in random scenes, as a BOP data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from casapose_ros.data.render_job import Plan, RenderJob

NAME = "render"
HELP = "render training or test images of an object set as a BOP data set"
MB = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--objects", type=Path, required=True, help="object set or BOP models")
    parser.add_argument("--config", type=Path, required=True, help="scenario, config/scenes/*.yaml")
    parser.add_argument("--out", type=Path, help="BOP data set folder to write")
    parser.add_argument("--frames", type=int, default=1000, help="number of images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other seed, other images")
    parser.add_argument("--split", default="train_pbr", help="for example test (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument(
        "--format",
        choices=("jpg", "png"),
        help="of the colour images (default: jpg, but png for test splits)",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="photographs for a scenario that surrounds the objects with some",
    )
    parser.add_argument("--depth", action="store_true", help="write depth images too")
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    parser.add_argument(
        "--contact-sheet",
        type=Path,
        metavar="FILE.png",
        help="only render the first 20 frames into one picture, to see what a scenario gives",
    )


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from casapose_ros.config import load_yaml
    from casapose_ros.data.bop_writer import BopWriter
    from casapose_ros.data.render_job import RenderJob, finish, prepare, preview
    from casapose_ros.data.scene_config import SceneConfig
    from casapose_ros.errors import ConfigError

    for name in ("frames", "jobs"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} must be at least 1, got {getattr(args, name)}")
    if args.seed < 0:
        raise ConfigError(f"--seed must not be negative, got {args.seed}")
    if args.contact_sheet and args.contact_sheet.suffix.lower() not in (".png", ".jpg"):
        raise ConfigError(f"--contact-sheet: expected a .png or .jpg, got {args.contact_sheet}")
    if (args.out is None) == (args.contact_sheet is None):
        raise ConfigError("give --out for a data set, or --contact-sheet for one picture")
    jpg = args.format == "jpg" if args.format else not args.split.startswith("test")
    writer = BopWriter(args.out or Path(), args.split, jpg, args.depth)
    config = load_yaml(SceneConfig, args.config)
    if args.photos is not None and not config.photo_probability:
        raise ConfigError(f"--photos: {args.config} shows none: its photo_probability is 0")
    job = RenderJob(args.objects, config, args.frames, args.seed, writer, args.photos)
    console = Console()
    if args.contact_sheet:
        preview(job, args.contact_sheet)
        console.print(f"contact sheet: {args.contact_sheet}", soft_wrap=True)
        return 0
    plan = prepare(job, args.resume)
    render_plan(job, plan, args.jobs, console)
    console.print(f"contact sheet: {finish(job)}", soft_wrap=True)
    return 0


def render_plan(job: RenderJob, plan: Plan, jobs: int, console: Console) -> None:
    """Render what is left to do in ``jobs`` processes, and show how far it is."""
    import os
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from casapose_ros.data.opengl import device_name
    from casapose_ros.data.render_job import render_frames, render_parallel

    count = len(plan.indices)
    console.print(f"{count} frames to render: about {plan.needed / MB:.0f} MB")
    console.print(f"OpenGL on {device_name()}", soft_wrap=True)
    columns = ("rendering", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=job.frames, completed=job.frames - count)
        if jobs == 1:
            for _ in render_frames(job, plan.indices):
                progress.advance(task)
        else:
            render_parallel(job, plan.indices, jobs, lambda: progress.advance(task))
    seconds = time.perf_counter() - start
    console.print(
        f"{count} frames in {seconds:.1f} s: {count / seconds:.1f} frames/s "
        f"with {jobs} process{'es' if jobs > 1 else ''} on {len(os.sched_getaffinity(0))} cores",
        soft_wrap=True,
    )
