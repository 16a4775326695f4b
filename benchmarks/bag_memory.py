"""Memory while the frames of a large bag are read, one after the other.

    python benchmarks/bag_memory.py --gigabytes 0.25 2 --folder /tmp --picture memory.png

Makes a bag of each size (640x480 raw images, each another one, with calibration and ground truth),
reads all its frames in a process of their own as ``casapose bag evaluate`` does, and deletes it.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.frames import BagSource
from casapose_ros.bags.writing import BagWriter
from casapose_ros.types import CameraModel, ObjectModel, ObjectPose

CAMERA = CameraModel(np.array([[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1.0]]), 640, 480)
FRAME_BYTES = CAMERA.height * CAMERA.width * 3
MIB = 2**20
SAMPLES = 400
OBJECT = ObjectModel("box", 1, 1, np.zeros((9, 3)), 0.1, np.zeros(3), np.ones(3))
POSE = ObjectPose(
    "box", 1, 0, 1.0, np.eye(3), np.array([0, 0, 1.0]), np.zeros((6, 6)), np.zeros((9, 2)),
    np.zeros((9, 2, 2)), (0, 0, 1, 1), 1, 0.0,
)  # fmt: skip


def write(path: Path, gigabytes: float) -> int:
    """Write a bag of this size; returns the number of frames."""
    count = round(gigabytes * 1e9 / FRAME_BYTES)
    noise = np.random.default_rng(0).integers(0, 256, 2 * FRAME_BYTES, dtype=np.uint8)
    with BagWriter(path) as writer:
        for index in range(count):
            stamp = (10**9 + index) * types.NANOSECONDS
            head = messages.header(stamp, "camera_optical_frame")
            truth = messages.ground_truth(head, [POSE] * 8)
            writer.write("/ground_truth", types.OBJECT_POSE_ARRAY, stamp, truth)
            info = messages.camera_info(head, CAMERA)
            writer.write("/camera/camera_info", types.CAMERA_INFO, stamp, info)
            first = index * 7919 % FRAME_BYTES
            rgb = noise[first : first + FRAME_BYTES].reshape(CAMERA.height, CAMERA.width, 3)
            writer.write("/camera/image_raw", types.IMAGE, stamp, messages.image(head, rgb))
    return count


def read(path: Path) -> None:
    """Read all frames; print what that took as JSON."""
    before = resident()
    start = time.perf_counter()
    source = BagSource(path, [OBJECT])
    every = max(1, len(source) // SAMPLES)
    opened = time.perf_counter()
    curve, count = [], 0
    for frame in source.frames():
        assert len(frame.truths) == 8 and frame.image.nbytes == FRAME_BYTES
        if count % every == 0:
            curve.append((count, resident()))
        count += 1
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "frames": count,
                "problems": source.problems,
                "before": before,
                "peak": peak,
                "open_seconds": opened - start,
                "read_seconds": end - opened,
                "curve": curve,
            }
        )
    )


def resident() -> float:
    """Memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def measure(gigabytes: float, folder: Path) -> dict:
    """Write, read in another process, delete."""
    scratch = Path(tempfile.mkdtemp(dir=folder))
    try:
        start = time.perf_counter()
        count = write(scratch / "big", gigabytes)
        written = time.perf_counter() - start
        command = [sys.executable, __file__, "--read", str(scratch / "big")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        size = (scratch / "big" / "big.mcap").stat().st_size
    finally:
        shutil.rmtree(scratch)
    result = json.loads(done.stdout) | {"gigabytes": size / 1e9, "write_seconds": written}
    assert result["frames"] == count and not result["problems"], result["problems"]
    return result


def draw(results: list[dict], path: Path) -> None:
    """The curves over the frames."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4))
    for result in results:
        frames, memory = zip(*result["curve"], strict=True)
        axes.plot(frames, memory, label=f"bag of {result['gigabytes']:.2f} GB")
    top = 1.3 * max(result["peak"] for result in results)
    axes.set(xlabel="frame", ylabel="resident memory, MiB", ylim=(0, top))
    axes.set_title("Memory of the process that reads a bag frame by frame")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.25, 2.0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--picture", type=Path, help="PNG file for the curves")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        read(args.read)
        return
    results = [measure(gigabytes, args.folder) for gigabytes in args.gigabytes]
    print("   GB  frames  before  first  median    last    peak   write    open    read")
    for r in results:
        memory = [value for _, value in r["curve"]]
        print(
            f"{r['gigabytes']:5.2f} {r['frames']:7d} {r['before']:7.0f} {memory[0]:6.0f} "
            f"{np.median(memory):7.0f} {memory[-1]:7.0f} {r['peak']:7.0f} MiB "
            f"{r['write_seconds']:5.1f} {r['open_seconds']:7.1f} {r['read_seconds']:7.1f} s"
        )
    if args.picture:
        draw(results, args.picture)
        print(f"wrote {args.picture}")


if __name__ == "__main__":
    main()
