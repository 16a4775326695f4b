"""One host of a training on several, for test_distribution.py: python shared_run.py KIND JOB LOG.

JOB is a JSON object: ``hosts``, ``host``, ``coordinator``, ``out`` (a folder) and ``steps``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops

from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.network.backbone import convolution
from casapose_ros.network.guided import (
    ClassAdaptiveNormalization,
    GuidedConvolution,
    guided_upsampling,
    half_size,
)
from casapose_ros.network.normalisation import BatchNormalization
from casapose_ros.score import ScoreCalibration
from casapose_ros.training import distribution, loop
from casapose_ros.training.averaging import WeightAverage
from casapose_ros.training.batches import CropConfig
from casapose_ros.training.distribution import Devices, Hosts, join_hosts
from casapose_ros.training.settings import TrainConfig
from casapose_ros.training.validation import ValidationResult
from casapose_ros.types import ObjectModel

CLASSES = 3
BATCH = 8


class SmallNetwork(keras.Model):
    """A convolution and the operations in which crops could meet: both normalisations, gathers."""

    def __init__(self):
        super().__init__(name="small")
        self.first = convolution(4, 3, "first", strides=2)
        self.norm = BatchNormalization(name="norm")
        self.guided = GuidedConvolution(4, name="guided")
        self.clade = ClassAdaptiveNormalization(CLASSES, name="clade")
        self.last = convolution(1, 1, "last")
        self.first.build((None, None, None, 3))
        for layer in (self.norm, self.guided, self.clade, self.last):
            layer.build((None, None, None, 4))
        self.built = True

    def call(self, inputs, training=False):
        labels = ops.cast(inputs["labels"], "int32")
        x = ops.relu(self.norm(self.first(inputs["image"]), training=training))
        x = self.guided(guided_upsampling(x, half_size(labels), labels), labels)
        return self.last(self.clade(x, ops.one_hot(labels, CLASSES), training=training))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(y_pred - y["target"]))


def small_batch(step: int, share: range):
    """Crops of very different scale, so that statistics of a share are not those of the batch."""
    images, labels = [], []
    for place in share:
        rng = np.random.default_rng((step, place))
        images.append(rng.normal(place, 1 + place, (16, 16, 3)).astype("f"))
        labels.append(rng.integers(0, CLASSES, (16, 16), np.uint8))
    image, labels = np.stack(images), np.stack(labels)
    target = image[..., :1] * (labels[..., None] + 1)
    return {"image": image, "labels": labels}, {"target": target.astype("f")}


def exchanged() -> list[str]:
    """What devices tell one another to copy pixels by class, there and back."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    def gradient(x, labels):
        def loss(x):
            return ops.sum(ops.square(guided_upsampling(x, half_size(labels), labels)))

        return jax.grad(loss)(x)

    shared = NamedSharding(Mesh(jax.devices(), ("batch",)), PartitionSpec("batch"))
    x = jax.ShapeDtypeStruct((4, 8, 8, 2), "float32")
    labels = jax.ShapeDtypeStruct((4, 16, 16), "int32")
    compiled = jax.jit(gradient, in_shardings=shared, out_shardings=shared)
    program = compiled.lower(x, labels).compile()
    return re.findall("all-gather|all-reduce|all-to-all|collective-permute", program.as_text())


def train_small(job: dict) -> None:
    """Some steps; then host 1 is lost, and what host 0 says about it is kept."""
    devices, out = Devices(BATCH), Path(job["out"])
    keras.utils.set_random_seed(1)
    with devices.scope():
        network = SmallNetwork()
        optimizer = keras.optimizers.AdamW(1e-2, global_clipnorm=10.0)
        optimizer.build(network.trainable_variables)
        network.compile(optimizer=optimizer, jit_compile=True)
    averaged = SmallNetwork()
    average = WeightAverage(network, averaged, 0.9, every=2)

    def step(number: int) -> float:
        with devices.scope():
            batch = small_batch(number, devices.share)
            loss = network.train_on_batch(*batch, return_dict=True)["loss"]
        average.update(number + 1)
        return float(loss)

    losses = [step(number) for number in range(job["steps"])]
    result = {"losses": losses, "devices": devices.count, "hosts": devices.hosts}
    result["exchanged"] = exchanged()
    devices.check_same("settings", "the same everywhere")
    try:
        devices.check_same("data", f"frames of host {devices.host}")
    except ConfigError as error:
        result["different"] = str(error)
    with devices.folder_of_chief(out / "folder" if devices.is_chief else None) as folder:
        result["copied"] = {path.name: path.read_text() for path in sorted(folder.iterdir())}
    weights = {v.path: ops.convert_to_numpy(v) for v in [*network.variables, *averaged.variables]}
    np.savez(out / f"weights_{devices.host}.npz", **weights)
    if devices.hosts > 1 and not devices.is_chief:
        _finish(out, result, devices)
    try:
        while devices.hosts > 1:
            step(job["steps"])
    except CasaposeError as error:
        result["gone"] = str(error)
    _finish(out, result, devices)


def _finish(out: Path, result: dict, devices: Devices) -> None:
    """Without a word to the other hosts, as if the power had failed."""
    (out / f"result_{devices.host}.json").write_text(json.dumps(result))
    os._exit(0)


def train_whole(job: dict) -> None:
    """A run of the loop that users run, from its newest checkpoint if it has one."""
    rng = np.random.default_rng(0)
    labels = np.zeros((3, 48, 64), np.uint8)
    labels[:, 10:40, 10:50] = 1
    keypoints = rng.uniform(10, 50, (3, 1, 1, 9, 2)).astype(np.float32)
    images = rng.integers(0, 255, (3, 48, 64, 3), np.uint8)
    config = TrainConfig(
        variant="c_gcu5",
        width=0.125,
        input_size=(64, 48),
        crop=CropConfig(size=32, pixels=64),
        batch_size=2,
        steps=job["steps"],
        warmup_steps=1,
        validate_every=2,
        checkpoint_every=2,
    )
    cube = ObjectModel("cube", 1, 1, np.eye(9, 3) * 0.1, 0.1, -np.ones(3) / 9, np.ones(3) / 9)
    figures = ValidationResult(1.0, 1.0, 0.5, 0.25, 0.5, 0.0, ScoreCalibration(), 2.5, ())
    loop.LOG_EVERY = 1
    frames = FrameCache(images, labels, keypoints, np.ones((3, 1), np.uint8), 1.0)
    run = loop.Run(config, frames, [cube], lambda _: figures, Path(job["out"]), "test")
    run.resume()

    def stop(progress) -> None:
        if progress.step == job.get("stop_after"):
            os._exit(0)

    run.train(stop)


def main() -> None:
    kind, job = sys.argv[1], json.loads(sys.argv[2])
    distribution.HEARTBEAT_S = distribution.PARTING_S = 20
    join_hosts(Hosts(job["hosts"], job["host"], job["coordinator"]), patience_s=120)
    {"small": train_small, "whole": train_whole}[kind](job)


if __name__ == "__main__":
    main()
