"""Time of a training step by precision and XLA, on the backend that KERAS_BACKEND names.

    KERAS_BACKEND=jax python benchmarks/training_step.py --width 0.25 --batch 8 --size 128

Prints one row of a Markdown table for each combination: seconds until the first step is done
(building and compiling), the median wall time of a step, and its CPU time on all cores.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter, process_time

import keras
import numpy as np

from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.precision import PRECISIONS
from casapose_ros.training.optimizers import Schedule, build_optimizer
from casapose_ros.training.trainer import LossWeights, Trainer

NUM_OBJECTS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=8, help="crops per step")
    parser.add_argument("--size", type=int, default=128, help="side of a crop, px")
    parser.add_argument("--pixels", type=int, default=1024, help="foreground pixels per crop")
    parser.add_argument("--steps", type=int, default=7, help="steps to measure")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    args = parser.parse_args()
    backend = keras.backend.backend()
    print("| backend | precision | XLA | first step, s | ms/step | CPU ms/step |")
    print("|---|---|---|---|---|---|")
    for jit in {"tensorflow": (False, True), "jax": (True,), "torch": (False,)}[backend]:
        for precision in args.precision:
            first, wall, cpu = measure(args, precision, jit)
            print(
                f"| {backend} | {precision} | {'yes' if jit else 'no'} | {first:.0f} "
                f"| {1000 * wall:.0f} | {1000 * cpu:.0f} |",
                flush=True,
            )


def measure(args: argparse.Namespace, precision: str, jit: bool) -> tuple[float, ...]:
    """Seconds until the first step is done, median wall and CPU seconds per step."""
    keras.utils.set_random_seed(0)
    started = perf_counter()
    network = build_network(NetworkConfig(NUM_OBJECTS, width=args.width), precision, jit)
    trainer = Trainer(network, LossWeights(), LossWeights(), 1000, 1.0)
    optimizer = build_optimizer("muon", Schedule("cosine", 1e-3, 1, 1000), 1e-4)
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=jit)
    inputs, targets = made_up_batch(args)
    trainer.train_on_batch(inputs, targets)
    first = perf_counter() - started
    walls, cpus = [], []
    for _ in range(args.steps):
        wall, cpu = perf_counter(), process_time()
        losses = trainer.train_on_batch(inputs, targets, return_dict=True)
        float(losses["loss"])  # waits for the device
        walls.append(perf_counter() - wall)
        cpus.append(process_time() - cpu)
    return first, median(walls), median(cpus)


def made_up_batch(args: argparse.Namespace) -> tuple[dict, dict]:
    """Crops of noise with three overlapping squares, of about the boundary that objects have."""
    rng = np.random.default_rng(0)
    side, count = args.size, args.batch
    labels = np.zeros((count, side, side), np.uint8)
    for index in range(NUM_OBJECTS):
        first, last = side * (1 + index) // 8, side * (4 + index) // 8
        labels[:, first:last, first:last] = index + 1
    foreground = np.flatnonzero(labels[0])
    pixels = rng.choice(foreground, (count, args.pixels)).astype(np.int32)
    keypoints = rng.uniform(0, side, (count, NUM_OBJECTS, 1, 9, 2)).astype(np.float32)
    image = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    inputs = {"image": image, "labels": labels, "guide": labels, "pixels": pixels}
    inputs["classes"] = np.tile(np.arange(1, NUM_OBJECTS + 1, dtype=np.uint8), (count, 1))
    inputs["step"] = np.zeros(len(labels), np.int32)
    return inputs, {"keypoints": keypoints}


if __name__ == "__main__":
    main()
