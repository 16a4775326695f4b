"""A training run: steps, validation by pose metrics, checkpoints, resume."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

import keras
import numpy as np

from casapose_ros.bundle import save_bundle
from casapose_ros.errors import CasaposeError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.network.encoder_files import load_encoder
from casapose_ros.network.inference import FieldPredictor
from casapose_ros.network.model import build_network
from casapose_ros.network.weights import set_weights
from casapose_ros.settings import EstimatorConfig
from casapose_ros.training.averaging import WeightAverage
from casapose_ros.training.batches import BatchStream, FrameSource, prefetch_batches
from casapose_ros.training.checkpoint import (
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    settings_of,
)
from casapose_ros.training.distribution import Devices
from casapose_ros.training.logs import (
    TRAINING_LOG,
    VALIDATION_LOG,
    append_row,
    drop_rows_after,
    read_log,
)
from casapose_ros.training.optimizers import Schedule, build_optimizer
from casapose_ros.training.settings import TrainConfig
from casapose_ros.training.trainer import Trainer
from casapose_ros.training.validation import ValidationResult, weigh_outlines
from casapose_ros.types import ObjectModel

LOG_EVERY = 50
AVERAGE_EVERY = 10
"""Steps between updates of the averaged weights."""
CHECKPOINTS = "checkpoints"
FAILED_BATCH = "failed_batch_{}.npz"
"""In a run's folder, by host."""
SCALE = "covariance_scale"
"""The last column of the log of validations."""
VALIDATION_FIGURES = (
    "keypoint_error",
    "median_keypoint_error",
    "mask_iou",
    "recall_add_10",
    "recall_add_20",
    "absent_rate",
)


class _Clocks:
    """What the clocks said after a step.

    Args:
        step: The number of steps done.
        waited: Seconds so far in which there was no batch.
    """

    def __init__(self, step: int, waited: float):
        self.step, self.waited = step, waited
        self.wall, self.cpu = perf_counter(), process_time()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent in this context does not count."""
        wall, cpu = perf_counter(), process_time()
        yield
        self.wall += perf_counter() - wall
        self.cpu += process_time() - cpu

    def until(self, step: int, waited: float) -> dict[str, float]:
        """What the steps since then took, as :class:`Progress` has it."""
        steps, wall = step - self.step, perf_counter() - self.wall
        return {
            "seconds_per_step": wall / steps,
            "cpu_seconds_per_step": (process_time() - self.cpu) / steps,
            "waiting": (waited - self.waited) / wall,
        }


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        losses: Mean losses since the last report, by name.
        validation: Newest figures, by name; empty before the first validation.
        seconds_per_step: Mean since the last report.
        cpu_seconds_per_step: The same of all threads of the process.
        waiting: Share of the time since then in which there was no batch to train on.
    """

    step: int
    steps: int
    losses: dict[str, float]
    validation: dict[str, float]
    seconds_per_step: float
    cpu_seconds_per_step: float
    waiting: float


class Run:
    """One training run in one folder.

    Args:
        config: Settings.
        frames: What to train on.
        objects: Objects 1..K.
        validate: Measures an estimator on held-out frames.
        out: The run's folder: checkpoint, logs, bundle.
        name: Name of the model.
        initial: All weights to start from, by name.
        settings: How the network is used when it is validated; goes into its bundle. Its
            ``covariance_scale`` follows the validations, ``outline_weight`` the last one.
        surfaces: Of the objects; go into the bundle.
    """

    def __init__(
        self,
        config: TrainConfig,
        frames: FrameSource,
        objects: Sequence[ObjectModel],
        validate: Callable[[PoseEstimator], ValidationResult],
        out: Path,
        name: str,
        initial: dict[str, np.ndarray] | None = None,
        settings: EstimatorConfig | None = None,
        surfaces: Sequence[np.ndarray] | None = None,
    ):
        self.config, self.frames, self.objects = config, frames, tuple(objects)
        self.validate, self.out, self.name = validate, out, name
        self.weights = config.weights_of([model.name for model in objects])
        self.devices = Devices(config.batch_size)
        self.devices.check_same("settings", json.dumps(settings_of(config)))
        with self.devices.scope():
            self._build(initial)
        # What is validated and kept is float32 and on this host alone.
        self.averaged = build_network(config.network(len(self.objects)))
        every = min(AVERAGE_EVERY, config.steps)
        self.average = WeightAverage(self.network, self.averaged, config.ema_decay, every)
        self.estimator = PoseEstimator(
            FieldPredictor(self.averaged),
            self.objects,
            config.input_size,
            settings,
            name=name,
            surfaces=surfaces,
        )
        self.step = 0

    def _build(self, initial: dict[str, np.ndarray] | None) -> None:
        config = self.config
        keras.utils.set_random_seed(config.seed)
        # Without it, JAX would run every step operation by operation.
        compiled = config.jit_compile or keras.backend.backend() == "jax"
        self.network = build_network(
            config.network(len(self.objects)), config.precision, config.jit_compile
        )
        if initial is not None:
            set_weights(self.network, initial, "the weights to start from")
        elif config.encoder_weights is not None and not newest_checkpoint(self.out / CHECKPOINTS):
            load_encoder(self.network, config.encoder_weights)
        self.network.encoder.trainable = not config.freeze_encoder
        self.trainer = Trainer(
            self.network,
            config.loss_weights,
            config.final_loss_weights or config.loss_weights,
            config.steps,
            self.frames.scale,
            config.auxiliary,
        )
        schedule = Schedule(
            config.schedule, config.learning_rate, config.warmup_steps, config.steps
        )
        self.optimizer = build_optimizer(config.optimizer, schedule, config.weight_decay)
        self.optimizer.build(self.trainer.trainable_variables)
        self.trainer.compile(optimizer=self.optimizer, jit_compile=compiled)

    def resume(self) -> None:
        """Go on from the folder's newest checkpoint, if it has one.

        Raises:
            ConfigError: It was written with other settings.
            WeightsError: It is damaged.
        """
        newest = newest_checkpoint(self.out / CHECKPOINTS) if self.devices.is_chief else None
        with self.devices.folder_of_chief(newest) as path, self.devices.scope():
            if path is not None:
                self.step = load_checkpoint(path, self.config, self._layers(), self.optimizer)
        if self.devices.is_chief:
            for log in (TRAINING_LOG, VALIDATION_LOG):
                drop_rows_after(self.out / log, self.step)
            self._scale_covariances()

    def train(self, report: Callable[[Progress], None]) -> None:
        """Train to the end; a run that has reached it is validated and its bundle written anew.

        Raises:
            CasaposeError: The loss is not finite. The last checkpoint is kept.
        """
        config = self.config
        self.out.mkdir(parents=True, exist_ok=True)
        if self.step == config.steps:
            if self.devices.is_chief:
                drop_rows_after(self.out / VALIDATION_LOG, self.step - 1)
                self._scale_covariances()
            self._validate()
        with prefetch_batches(
            self.frames,
            config.crop,
            config.batch_size,
            config.seed,
            range(self.step, config.steps),
            share=self.devices.share,
            weights=self.weights,
        ) as batches:
            self._train_on(batches, report)

    def _train_on(self, batches: BatchStream, report: Callable[[Progress], None]) -> None:
        config = self.config
        figures: dict[str, float] = {}
        since = _Clocks(self.step, 0.0)
        for inputs, targets in batches:
            with self.devices.scope():
                losses = self.trainer.train_on_batch(inputs, targets, return_dict=True)
            if not math.isfinite(float(losses["loss"])):
                self._give_up(float(losses["loss"]), inputs, targets)
            self.step += 1
            self.average.update(self.step)
            last = self.step == config.steps
            if self.step % config.validate_every == 0 or last:
                with since.paused():
                    figures = self._validate()
            saved = self.step % config.checkpoint_every == 0 or last
            # A row begins with a checkpoint too: a run that goes on from it writes the same rows.
            if self.step % LOG_EVERY == 0 or saved:
                losses = {name: float(value) for name, value in losses.items()}
                timing = since.until(self.step, batches.waited)
                self._log(TRAINING_LOG, {"step": self.step, **losses, **timing})
                report(Progress(self.step, config.steps, losses, figures, **timing))
                self.trainer.forget_losses()
                since = _Clocks(self.step, batches.waited)
            if saved:
                # After all rows: a run that dies before it writes them again.
                with since.paused():
                    self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        if self.devices.is_chief:
            folder = self.out / CHECKPOINTS
            save_checkpoint(folder, self.step, self.config, self._layers(), self.optimizer)

    def _log(self, name: str, row: dict[str, float]) -> None:
        if self.devices.is_chief:
            append_row(self.out / name, row)

    def _give_up(self, loss: float, inputs: dict, targets: dict) -> None:
        """Leave the batch that broke the run to look at."""
        path = self.out / FAILED_BATCH.format(self.devices.host)
        np.savez_compressed(path, **inputs, **targets)
        kept = newest_checkpoint(self.out / CHECKPOINTS)
        last = f"the last checkpoint, {kept}, is kept" if kept else "there is no checkpoint yet"
        raise CasaposeError(
            f"the loss is {loss} in the batch of step {self.step} (seed {self.config.seed}), which "
            f"is kept in {path}; {last}. Look at the batch; if it is sound, train into another "
            "folder with a lower learning_rate"
        )

    def _layers(self) -> dict[str, keras.Layer]:
        """What has weights to keep."""
        layers = {"network": self.network, "average": self.averaged}
        return layers if self.trainer.head is None else {**layers, "auxiliary": self.trainer.head}

    def _validate(self) -> dict[str, float]:
        """Measure the averaged network and write it as a bundle; the last one weighs outlines."""
        settings = self.estimator.config
        if settings.refinement == "outline" and self.step == self.config.steps:
            weight, result = next(iter(weigh_outlines(self.estimator, self.validate).items()))
            settings = replace(settings, outline_weight=weight)
        else:
            result = self.validate(self.estimator)
        figures = {name: getattr(result, name) for name in VALIDATION_FIGURES}
        of_objects = {
            f"{each.name}/{name}": getattr(each, name)
            for each in result.per_object
            for name in ("recall_add_10", "mean_keypoints")
        }
        scale = settings.covariance_scale * result.covariance_scale
        row = {"step": self.step, **figures, **of_objects, SCALE: scale}
        self._log(VALIDATION_LOG, row)
        if not self.devices.is_chief:
            return figures
        save_bundle(
            self.out / "bundle",
            self.averaged,
            self.objects,
            name=self.name,
            input_size=self.config.input_size,
            estimator=replace(settings, covariance_scale=scale),
            score=result.calibration,
            surfaces=self.estimator.surfaces,
        )
        self._scale_covariances()
        return figures

    def _scale_covariances(self) -> None:
        """Use the network from now on as its newest bundle does: refinement goes by covariances."""
        rows = read_log(self.out / VALIDATION_LOG)
        scale = rows[-1].get(SCALE, 1.0) if rows else 1.0
        config = replace(self.estimator.config, covariance_scale=scale)
        self.estimator = self.estimator.with_config(config)
