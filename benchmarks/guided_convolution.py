"""Ways to compute a guided convolution: time and peak memory at 480x640 with 8 objects.

    python benchmarks/guided_convolution.py

For each block of decoder 2 at full width it runs, each in a process of its own: the ordinary
convolution as a yardstick; the class boundary computed anew after an ordinary convolution (what
the package does on TensorFlow); the sum of nine masked 1x1 convolutions (the ``keras.ops``
reference, for JAX and torch); and the unfolding of nine copies that one would write first.
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

HEIGHT, WIDTH, NUM_OBJECTS = 480, 640, 8
BLOCKS = ((8, 512, 256), (8, 384, 128), (4, 192, 64), (2, 128, 32), (1, 35, 32))
"""Stride, input and output channels of decoder 2's blocks."""
METHODS = ("plain", "boundary", "nine 1x1", "unfolded")


def label_map() -> np.ndarray:
    """(1, H, W) int32: eight overlapping discs that cover about a third of the image."""
    import cv2

    rng = np.random.default_rng(0)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for label in range(1, NUM_OBJECTS + 1):
        centre = (int(rng.integers(80, WIDTH - 80)), int(rng.integers(80, HEIGHT - 80)))
        cv2.circle(labels, centre, int(rng.integers(50, 85)), label, -1)
    return labels[None].astype(np.int32)


def unfolded(x, labels, kernel):
    """All nine taps side by side, masked, and one matrix product."""
    import tensorflow as tf

    from casapose_ros.network.guided import same_class

    patches = tf.image.extract_patches(x, [1, 3, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME")
    same = tf.cast(tf.stack(same_class(labels), axis=-1), x.dtype)
    patches = tf.reshape(patches, (*x.shape[:3], 9, x.shape[3])) * same[..., None]
    flat = tf.reshape(patches, (*x.shape[:3], -1))
    y = tf.matmul(flat, tf.reshape(kernel, (-1, kernel.shape[-1])))
    return y * (9 / tf.reduce_sum(same, axis=-1, keepdims=True))


def run_one(method: str, block: int, runs: int) -> None:
    """Print median milliseconds and MiB of memory that the method added to the process."""
    import tensorflow as tf

    from casapose_ros.network.guided import guided_convolution, guided_convolution_reference

    functions = {
        "plain": lambda x, labels, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"),
        "boundary": guided_convolution,
        "nine 1x1": guided_convolution_reference,
        "unfolded": unfolded,
    }
    stride, channels_in, channels_out = BLOCKS[block]
    rng = np.random.default_rng(1)
    labels = tf.constant(label_map()[:, ::stride, ::stride])
    x = tf.constant(rng.normal(size=(*labels.shape, channels_in)).astype(np.float32))
    kernel = tf.constant(rng.normal(size=(3, 3, channels_in, channels_out)).astype(np.float32))
    function = tf.function(functions[method])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        function(x, labels, kernel)
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{1000 * statistics.median(times[1:]):.2f} {(peak - before) / 1024:.0f}")


def main() -> None:
    """Run every combination and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "BLOCK"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_one(args.one[0], int(args.one[1]), args.runs)
        return
    covered = float(np.mean(label_map() > 0))
    print(f"480x640, {NUM_OBJECTS} objects on {covered:.0%} of the image, {os.cpu_count()} cores")
    print(f"{'block':28}" + "".join(f"{method:>24}" for method in METHODS))
    for block, (stride, channels_in, channels_out) in enumerate(BLOCKS):
        title = f"{block + 1}: 1/{stride}, {channels_in} -> {channels_out} channels"
        row, plain = f"{title:28}", None
        for method in METHODS:
            command = [sys.executable, __file__, "--runs", str(args.runs)]
            output = subprocess.run(
                [*command, "--one", method, str(block)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            ).stdout.split()
            milliseconds, mebibytes = float(output[0]), int(output[1])
            plain = plain or milliseconds
            row += f"{milliseconds:8.1f} ms{milliseconds / plain:4.1f}x{mebibytes:5d} MiB"
        print(row, flush=True)


if __name__ == "__main__":
    main()
