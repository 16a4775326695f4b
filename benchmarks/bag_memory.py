"""Memory of ``casapose bag evaluate`` on large bags, of its reader alone, and of its report alone.

    casapose objects --demo --out objects
    casapose render --objects objects --config config/scenes/demo.yaml --frames 100 --split test \
        --out frames
    python benchmarks/bag_memory.py frames --model models/demo --gigabytes 0.25 1 2 \
        --images 1100 11000 --folder /tmp --picture memory.png

Makes a bag of each size (the frames of the data set over and over, raw, with calibration and ground
truth), lets one process read it frame by frame and another one run the whole command on it, and
deletes it. Then the report is made of the last run's records, repeated until there is one for each
of so many images: what a longer bag would add, without the hours of its network.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from casapose_ros.bags.frames import BagSource
from casapose_ros.bags.recording import RecordingOptions, bop_shots, record
from casapose_ros.bags.writing import BagWriter
from casapose_ros.data.bop import BopDataset
from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.objects import read_objects
from casapose_ros.types import ObjectModel

INTERVAL = 0.2
"""Seconds between two looks at a process."""
GOAL = 10.0
"""Gigabytes for which the growth is worked out."""
READ, REPORT = "--read", "--report-of"


@dataclass(frozen=True)
class Watched:
    """A process from its start to its end.

    Attributes:
        seconds: (N,) when it was looked at, from its start.
        resident: (N,) its resident memory then, MiB.
        peak: Most resident memory that it ever had, MiB.
        output: What it printed.
    """

    seconds: np.ndarray
    resident: np.ndarray
    peak: float
    output: str


@dataclass(frozen=True)
class Measured:
    """One bag.

    Attributes:
        gigabytes: Its size.
        images: In it.
        reader: The process that read it.
        command: The process that evaluated a model on it.
    """

    gigabytes: float
    images: int
    reader: Watched
    command: Watched


def watch(command: Sequence[str]) -> Watched:
    """Run a command and look at its memory; raises CalledProcessError if it fails."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True)
        start, seconds, resident, peak = time.perf_counter(), [], [], 0.0
        while process.poll() is None:
            found = dict(_status(process.pid))
            if "VmRSS" in found:
                seconds.append(time.perf_counter() - start)
                resident.append(found["VmRSS"])
                peak = max(peak, found["VmHWM"])
            time.sleep(INTERVAL)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, text)
    return Watched(np.array(seconds), np.array(resident), peak, text)


def _status(pid: int | str) -> Iterator[tuple[str, float]]:
    """The sizes in a process' status, MiB."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return  # It has just ended.
    for name, size in re.findall(r"(\w+):\s+(\d+) kB", text):
        yield name, int(size) / 1024


def objects_of(dataset: Path) -> tuple[ObjectModel, ...]:
    """What is in the images."""
    return read_objects(dataset / "models" / "objects.json")


def write(path: Path, dataset: Path, gigabytes: float) -> int:
    """Write a bag of this size; returns the number of images."""
    frames = tuple(BopDataset(dataset, "test"))
    bytes_per_image = 3 * frames[0].camera.width * frames[0].camera.height
    shots = cycle(bop_shots(frames, objects_of(dataset)))
    with BagWriter(path) as writer:
        return record(
            writer, islice(shots, round(gigabytes * 1e9 / bytes_per_image)), RecordingOptions()
        )


def read(bag: Path, dataset: Path) -> None:
    """Read all frames and print how many there are."""
    source = BagSource(bag, objects_of(dataset))
    count = sum(1 for _ in source.frames())
    assert not source.problems, source.problems
    print(count)


def report_of(log: Path, count: int, dataset: Path, model: Path) -> None:
    """Make the report of so many records, which are those of a log over and over."""
    # Here, so that the reader is without them.
    from casapose_ros.bundle import load_bundle
    from casapose_ros.commands._bag_evaluation import load_bag_references
    from casapose_ros.evaluation import bop19
    from casapose_ros.evaluation.record_log import RecordLog, RunHeader, read_log
    from casapose_ros.evaluation.reporting.assembling import report_on
    from casapose_ros.evaluation.reporting.report import Origin

    records = read_log(log)[1]
    source = _SameFrames(records)
    references = load_bag_references(dataset, load_bundle(model).objects, [source])
    with tempfile.TemporaryDirectory(dir=log.parent) as folder:
        out = Path(folder)
        with RecordLog(out / "frames.jsonl", RunHeader("", "", ())) as new:
            for index, old in enumerate(islice(cycle(records), count)):
                new.append(replace(old, name=f"{old.name}/{index}", source=source.name))
            again = new.records([source.name])
            scores = bop19.evaluate(again, references)
            report_on(again, [source], references, Origin("", "", ""), 0.4, out, bop=scores)


class _SameFrames:
    """Stands for the bag where the worst frames are drawn."""

    name = "bag"

    def __init__(self, records: Sequence[FrameRecord]) -> None:
        self._camera = records[0].camera
        self.counts = {truth.name: 1 for record in records for truth in record.truths}

    def find(self, names: Sequence[str]) -> dict[str, Frame]:
        image = np.zeros((self._camera.height, self._camera.width, 3), np.uint8)
        return {name: Frame(name, image, self._camera, ()) for name in names}


def measure(gigabytes: float, args: argparse.Namespace, scratch: Path) -> Measured:
    """Write a bag, read it, evaluate on it, delete it."""
    bag, out = scratch / "big", scratch / "report"
    images = write(bag, args.dataset, gigabytes)
    try:
        size = (bag / "big.mcap").stat().st_size / 1e9
        common = ("--model", str(args.model))
        reader = watch([sys.executable, __file__, str(args.dataset), *common, READ, str(bag)])
        assert int(reader.output.split()[-1]) == images
        where = ("--objects", str(args.dataset), "--report", str(out), "--jobs", "1")
        command = [sys.executable, "-m", "casapose_ros.cli", "bag", "evaluate", str(bag)]
        command = watch([*command, *common, *where])
        assert json.loads((out / "report.json").read_text())["frames"] == images
    finally:
        shutil.rmtree(bag)
    print(
        f"{size:5.2f} GB, {images:5d} images | reader: peak {reader.peak:5.0f} MiB, "
        f"{reader.seconds[-1]:4.0f} s | command: peak {command.peak:5.0f} MiB, "
        f"{command.seconds[-1]:5.0f} s",
        flush=True,
    )
    return Measured(size, images, reader, command)


def measure_reports(args: argparse.Namespace, log: Path) -> list[tuple[int, float]]:
    """Peak memory, MiB, by number of images."""
    peaks = []
    for count in args.images:
        start = [sys.executable, __file__, str(args.dataset), "--model", str(args.model)]
        report = watch([*start, REPORT, str(log), "--images", str(count)])
        print(f"report alone, {count:6d} images: peak {report.peak:5.0f} MiB", flush=True)
        peaks.append((count, report.peak))
    return peaks


def growth(what: str, images: Sequence[int], peaks: Sequence[float], per_gigabyte: float) -> None:
    """Print by how much memory grows with the number of images."""
    slope = np.polyfit(images, peaks, 1)[0]
    print(
        f"{what}: {slope * 2**20:.0f} bytes per image, {slope * per_gigabyte * GOAL:.1f} MiB "
        f"in {GOAL:.0f} GB ({per_gigabyte * GOAL:.0f} images)"
    )


def draw(results: Sequence[Measured], path: Path) -> None:
    """Memory over time, and its peak over the size of the bag."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for number, result in enumerate(results):
        colour, label = f"C{number}", f"{result.gigabytes:.2f} GB, {result.images} images"
        left.plot(result.command.seconds, result.command.resident, color=colour, label=label)
        left.plot(result.reader.seconds, result.reader.resident, color=colour, linestyle="--")
    left.set(xlabel="seconds", ylabel="resident memory, MiB")
    left.set_title("Solid: casapose bag evaluate; dashed: its reader alone", fontsize=10)
    left.legend(loc="center right", fontsize=8)
    sizes = [result.gigabytes for result in results]
    for name, marker in (("command", "o-"), ("reader", "s--")):
        peaks = [getattr(result, name).peak for result in results]
        right.plot(sizes, peaks, marker, color="black", label=name)
        for size, peak in zip(sizes, peaks, strict=True):
            place = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            right.annotate(f"{peak:.0f}", (size, peak), fontsize=8, **place)
    highest = max(result.command.peak for result in results)
    right.set(xlabel="size of the bag, GB", xlim=(0, None), ylim=(0, 1.12 * highest))
    right.set_title("Peak", fontsize=10)
    right.legend(loc="center right", fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="folder in BOP form of the model's objects")
    parser.add_argument("--model", required=True, type=Path, help="folder of the bundle")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.25, 1.0, 2.0])
    parser.add_argument("--images", type=int, nargs="+", default=[1100, 11000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--picture", type=Path, help="PNG file for the curves")
    parser.add_argument(READ, dest="read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(REPORT, dest="report_of", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        return read(args.read, args.dataset)
    if args.report_of:
        return report_of(args.report_of, args.images[0], args.dataset, args.model)
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        results = [measure(size, args, Path(scratch)) for size in args.gigabytes]
        reports = measure_reports(args, Path(scratch) / "report" / "frames.jsonl")
    per_gigabyte = results[-1].images / results[-1].gigabytes
    images = [result.images for result in results]
    if len(results) > 1:
        for name in ("reader", "command"):
            growth(name, images, [getattr(r, name).peak for r in results], per_gigabyte)
    if len(reports) > 1:
        growth("report alone", *zip(*reports, strict=True), per_gigabyte)
    if args.picture:
        draw(results, args.picture)
        print(f"wrote {args.picture}")
    return None


if __name__ == "__main__":
    main()
