"""A small training run in a process of its own: ``killed_run.py FOLDER PAUSE_S [OBJECTS]``.

It learns from noise, or from frames of an object set that are rendered meanwhile, writes a
checkpoint every third step, and goes on where it was stopped.
"""

import sys
import time
from contextlib import closing
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from casapose_ros.data.bop_writer import BopWriter
from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.data.frame_window import FrameMaker, FrameWindow, WindowConfig
from casapose_ros.data.meshes import load_object_set
from casapose_ros.data.render_job import RenderJob
from casapose_ros.score import ScoreCalibration
from casapose_ros.training import loop
from casapose_ros.training.batches import CropConfig
from casapose_ros.training.settings import TrainConfig
from casapose_ros.training.validation import ValidationResult
from casapose_ros.types import ObjectModel

STEPS = 12
CONFIG = TrainConfig(
    width=0.125,
    input_size=(64, 48),
    crop=CropConfig(size=32, pixels=64),
    batch_size=2,
    steps=STEPS,
    warmup_steps=5,
    validate_every=4,
    checkpoint_every=3,
)
RESULT = ValidationResult(1.0, 1.0, 0.5, 0.25, 0.5, 0.0, ScoreCalibration(), 2.5, ())


def main() -> None:
    tf.config.experimental.enable_op_determinism()
    tf.config.run_functions_eagerly(True)  # compiling takes longer than a few steps
    keras.utils.set_random_seed(0)
    folder, pause, *objects = Path(sys.argv[1]), float(sys.argv[2]), *map(Path, sys.argv[3:])
    loop.LOG_EVERY = 1
    frames, known = rendered(objects[0]) if objects else noise()
    with closing(frames):
        run = loop.Run(CONFIG, frames, known, lambda estimator: RESULT, folder, "test")
        run.resume()
        run.train(lambda progress: time.sleep(pause))


def noise():
    rng = np.random.default_rng(0)
    labels = np.zeros((3, 48, 64), np.uint8)
    labels[:, 10:40, 10:50] = 1
    keypoints = rng.uniform(10, 50, (3, 1, 1, 9, 2)).astype(np.float32)
    images, classes = rng.integers(0, 255, (3, 48, 64, 3), np.uint8), np.ones((3, 1), np.uint8)
    cache = FrameCache(images, labels, keypoints, classes, 1.0)
    cube = ObjectModel("cube", 1, 1, np.eye(9, 3) * 0.1, 0.1, -np.ones(3) / 9, np.ones(3) / 9)
    return cache, (cube,)


def rendered(path):
    from rendered import SMALL_SCENES

    job = RenderJob(path, SMALL_SCENES, 1, 0, BopWriter(path, "train_pbr"))
    objects = load_object_set(path).objects
    return FrameWindow(
        FrameMaker((job,), objects, (64, 48), True), WindowConfig(6, 0.5), 1
    ), objects


if __name__ == "__main__":
    main()
