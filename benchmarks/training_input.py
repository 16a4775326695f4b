"""How fast training batches are made, against how fast a network uses them up.

    python benchmarks/training_input.py --config TRAIN.yaml --objects OBJECTS --data DATA

prints crops per second for 1, 2, 4, .. threads with nothing beside them, then the time of a
training step and the share of it that is spent waiting for its batch.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from casapose_ros.commands._training_data import TrainingData, open_frames, training_sets
from casapose_ros.commands._training_start import start_of
from casapose_ros.config import load_yaml
from casapose_ros.training.batches import default_workers, prefetch_batches
from casapose_ros.training.recipes import TrainingFile


def measure_input(frames, config, batches: int) -> None:
    """Print crops per second and CPU time per crop for growing numbers of threads."""
    workers, cores = 1, len(os.sched_getaffinity(0))
    print(f"{config.batch_size} crops of {config.crop.size} px, {cores} cores")
    while workers <= cores:
        # The threads begin with the stream: all of it counts.
        cpu, wall = process_time(), perf_counter()
        for _ in prefetch_batches(
            frames, config.crop, config.batch_size, config.seed, range(batches), workers
        ):
            pass
        crops = batches * config.batch_size
        wall, cpu_ms = perf_counter() - wall, 1e3 * (process_time() - cpu) / crops
        print(f"  {workers:2} threads: {crops / wall:6.0f} crops/s, {cpu_ms:.2f} ms CPU each")
        workers *= 2


def measure_steps(frames, objects, config, steps: int) -> None:
    """Print the time of a step with its batch at hand, and with batches made beside it."""
    from casapose_ros.training.loop import Run

    with tempfile.TemporaryDirectory() as folder:
        trainer = Run(config, frames, objects, lambda estimator: None, Path(folder), "run").trainer
    stream = prefetch_batches(
        frames, config.crop, config.batch_size, config.seed, range(2 * steps + 1)
    )

    def train(batch) -> float:
        return float(trainer.train_on_batch(*batch, return_dict=True)["loss"])

    with stream as batches:
        first = next(batches)
        train(first)  # compiles
        started = perf_counter()
        for _ in range(steps):
            train(first)
        alone = (perf_counter() - started) / steps
        started, waited = perf_counter(), batches.waited
        for _ in range(steps):
            train(next(batches))
        seconds = perf_counter() - started
    print(f"a step with its batch at hand: {1e3 * alone:.0f} ms")
    print(
        f"with {default_workers()} threads beside it: {1e3 * seconds / steps:.0f} ms, "
        f"{config.batch_size * steps / seconds:.0f} crops/s, "
        f"{100 * (batches.waited - waited) / seconds:.1f} % of it waiting"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the training")
    parser.add_argument("--objects", type=Path, required=True, help="object set")
    parser.add_argument("--data", type=Path, required=True, nargs="+", help="BOP data sets")
    parser.add_argument("--split", default="train_pbr")
    parser.add_argument("--cache", type=Path, help="folder for resized frames")
    parser.add_argument("--batches", type=int, default=50, help="batches per measurement")
    parser.add_argument("--steps", type=int, default=20, help="0: do not build the network")
    args = parser.parse_args()
    config = load_yaml(TrainingFile, args.config).training()
    objects = start_of(config, args.objects).objects
    data = TrainingData(tuple(args.data), args.split, cache=args.cache)
    frames = open_frames(data, training_sets(data), objects, config)
    measure_input(frames, config, args.batches)
    if args.steps:
        measure_steps(frames, objects, config, args.steps)


if __name__ == "__main__":
    main()
