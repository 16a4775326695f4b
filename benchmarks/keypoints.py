"""Time and memory from the network's fields to keypoints, for 1, 8 and 30 objects.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/keypoints.py

The objects cover the same share of a 640x480 image however many they are, so a method whose cost
does not depend on the number of objects has equal columns. Prints a table; needs no network.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable

import cv2
import numpy as np

from casapose_ros.keypoints.components import find_regions
from casapose_ros.keypoints.regression import regress_keypoints
from casapose_ros.keypoints.voting import vote_keypoints
from casapose_ros.types import NUM_KEYPOINTS, Fields

HEIGHT, WIDTH = 480, 640
OBJECT_COUNTS = (1, 8, 30)


def noisy_fields(num_objects: int, covered: float, rng: np.random.Generator) -> Fields:
    """Square objects on a grid that cover a share of the image, with noisy vectors."""
    columns = int(np.ceil(np.sqrt(num_objects * WIDTH / HEIGHT)))
    rows = -(-num_objects // columns)
    side = int(np.sqrt(covered * HEIGHT * WIDTH / num_objects))
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for i in range(num_objects):
        y, x = i // columns * HEIGHT // rows, i % columns * WIDTH // columns
        labels[y : y + side, x : x + side] = i + 1
    keypoints = rng.uniform(0, HEIGHT, (num_objects + 1, NUM_KEYPOINTS, 2))
    centres = np.stack(np.mgrid[:HEIGHT, :WIDTH], axis=-1)[:, :, None] + 0.5
    vectors = keypoints[labels] - centres
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors += rng.normal(0, 0.05, vectors.shape)
    return Fields(
        logits=8 * np.eye(num_objects + 1, dtype=np.float32)[labels],
        vectors=vectors.astype(np.float32),
        confidence=rng.normal(0, 1, (HEIGHT, WIDTH, NUM_KEYPOINTS)).astype(np.float32),
        labels=labels,
    )


def measure(function: Callable[[], object], runs: int) -> tuple[float, float]:
    """Median milliseconds, and the peak of memory allocated meanwhile in MiB."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return 1000 * statistics.median(times), peak / 2**20


def stages(fields: Fields) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    regions = find_regions(fields.labels)
    return {
        "regions, all pixels": lambda: find_regions(fields.labels, "all"),
        "regions, largest component": lambda: find_regions(fields.labels, "largest"),
        "DKR": lambda: regress_keypoints(fields, regions),
        "regions + DKR": lambda: regress_keypoints(fields, find_regions(fields.labels)),
        "RANSAC voting": lambda: vote_keypoints(fields, regions, np.random.default_rng(0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="runs per number (%(default)s)")
    parser.add_argument(
        "--covered", type=float, default=0.3, help="share of the image (%(default)s)"
    )
    args = parser.parse_args()
    cv2.setNumThreads(1)
    columns = {}
    for count in OBJECT_COUNTS:
        fields = noisy_fields(count, args.covered, np.random.default_rng(0))
        columns[count] = {n: measure(f, args.runs) for n, f in stages(fields).items()}
    heads = "".join(f"{f'K = {count}':>22}" for count in OBJECT_COUNTS)
    print(f"{WIDTH}x{HEIGHT}, objects cover {args.covered:.0%}, median of {args.runs} runs")
    print(f"{'':28}{heads}")
    for name in columns[OBJECT_COUNTS[0]]:
        cells = [columns[count][name] for count in OBJECT_COUNTS]
        row = "".join(f"{f'{ms:7.1f} ms {mib:5.1f} MiB':>22}" for ms, mib in cells)
        print(f"{name:28}{row}")


if __name__ == "__main__":
    main()
