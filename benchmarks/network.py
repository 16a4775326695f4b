"""Time and peak memory of the whole network for one 640x480 image, K = 8, full width.

    python benchmarks/network.py [--variants c_gcu5 base] [--threads 2]

Each variant runs in a process of its own, so that the peak of its memory can be read. Weights are
random, so the predicted label map would be noise, which is the slowest case a guided network can
meet; ``objects`` guides decoder 2 by eight discs instead, as a trained network would.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from guided_convolution import HEIGHT, NUM_OBJECTS, WIDTH, label_map

VARIANTS = ("base", "c", "c_gu", "c_gcu3", "c_gcu4", "c_gcu5")


def run_one(variant: str, labels: str, runs: int, threads: int) -> None:
    """Print the median milliseconds and the peak of the process's memory in MiB."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from casapose_ros.network import NetworkConfig, build_network

    network = build_network(NetworkConfig(NUM_OBJECTS, variant))
    guide = tf.constant(label_map()) if labels == "objects" else None
    image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, HEIGHT, WIDTH, 3)), tf.float32)
    forward = tf.function(lambda x: network(x, guide))
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        forward(image)
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{1000 * statistics.median(times[1:]):.0f} {peak:.0f}")


def main() -> None:
    """Run every variant and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--one", nargs=2, metavar=("VARIANT", "LABELS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_one(*args.one, args.runs, args.threads)
        return
    print(f"{WIDTH}x{HEIGHT}, K = {NUM_OBJECTS}, {args.threads} threads, {os.cpu_count()} cores")
    print(f"{'variant':10}{'label map':12}{'time':>10}{'peak memory':>14}")
    for variant in args.variants:
        for labels in ("objects", "noise"):
            output = subprocess.run(
                [sys.executable, __file__, "--one", variant, labels]
                + ["--runs", str(args.runs), "--threads", str(args.threads)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            ).stdout.split()
            print(f"{variant:10}{labels:12}{output[0]:>7} ms{output[1]:>10} MiB", flush=True)


if __name__ == "__main__":
    main()
