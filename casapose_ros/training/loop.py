"""A training run: steps, validation by pose metrics, checkpoints, resume."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import keras

from casapose_ros.bundle import save_bundle
from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.errors import CasaposeError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.network.inference import FieldPredictor
from casapose_ros.network.model import build_network
from casapose_ros.settings import EstimatorConfig
from casapose_ros.training.averaging import WeightAverage
from casapose_ros.training.batches import prefetch_batches
from casapose_ros.training.checkpoint import load_checkpoint, save_checkpoint
from casapose_ros.training.optimizers import build_optimizer
from casapose_ros.training.settings import TrainConfig
from casapose_ros.training.trainer import Trainer
from casapose_ros.training.validation import ValidationResult
from casapose_ros.types import ObjectModel

LOG_EVERY = 50
CHECKPOINT_FILE = "checkpoint.npz"
TRAINING_LOG = "training.csv"
VALIDATION_LOG = "validation.csv"
VALIDATION_FIGURES = (
    "keypoint_error",
    "median_keypoint_error",
    "mask_iou",
    "recall_add_10",
    "recall_add_20",
    "absent_rate",
)


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        seconds_per_step: Mean since the last report.
        losses: Mean losses since the last report, by name.
        validation: Newest figures, by name; empty before the first validation.
    """

    step: int
    steps: int
    seconds_per_step: float
    losses: dict[str, float]
    validation: dict[str, float]


class Run:
    """One training run in one folder.

    Args:
        config: Settings.
        cache: Frames to train on.
        objects: Objects 1..K.
        validate: Measures an estimator on held-out frames.
        out: The run's folder: checkpoint, logs, bundle.
        name: Name of the model.
    """

    def __init__(
        self,
        config: TrainConfig,
        cache: FrameCache,
        objects: Sequence[ObjectModel],
        validate: Callable[[PoseEstimator], ValidationResult],
        out: Path,
        name: str,
    ):
        self.config, self.cache, self.objects = config, cache, tuple(objects)
        self.validate, self.out, self.name = validate, out, name
        keras.utils.set_random_seed(config.seed)
        self.network = build_network(config.network(len(self.objects)))
        self.averaged = build_network(config.network(len(self.objects)))
        self.average = WeightAverage(self.network, self.averaged, config.ema_decay)
        self.trainer = Trainer(
            self.network,
            config.loss_weights,
            config.final_loss_weights,
            config.steps,
            cache.scale,
        )
        self.optimizer = build_optimizer(
            config.optimizer,
            config.learning_rate,
            config.warmup_steps,
            config.steps,
            config.weight_decay,
        )
        self.optimizer.build(self.network.trainable_variables)
        self.trainer.compile(optimizer=self.optimizer, jit_compile=False)
        self.estimator = PoseEstimator(
            FieldPredictor(self.averaged), self.objects, config.input_size, name=name
        )
        self.step = 0

    @property
    def checkpoint_path(self) -> Path:
        return self.out / CHECKPOINT_FILE

    def resume(self) -> None:
        """Go on from the folder's checkpoint.

        Raises:
            ConfigError: It was written with other settings.
            WeightsError: It is damaged.
        """
        self.step = load_checkpoint(
            self.checkpoint_path, self.config, self._networks(), self.optimizer
        )
        for log in (TRAINING_LOG, VALIDATION_LOG):
            _drop_rows_after(self.out / log, self.step)

    def train(self, report: Callable[[Progress], None]) -> None:
        """Train to the end.

        Raises:
            CasaposeError: The loss is not finite. The last checkpoint is kept.
        """
        config = self.config
        self.out.mkdir(parents=True, exist_ok=True)
        batches = prefetch_batches(
            self.cache, config.crop, config.batch_size, config.seed, range(self.step, config.steps)
        )
        figures: dict[str, float] = {}
        started, since = perf_counter(), self.step
        for inputs, targets in batches:
            losses = self.trainer.train_on_batch(inputs, targets, return_dict=True)
            if not math.isfinite(float(losses["loss"])):
                raise CasaposeError(
                    f"the loss is {losses['loss']} at step {self.step}; the last checkpoint is "
                    f"kept in {self.checkpoint_path}. Lower learning_rate and resume."
                )
            self.step += 1
            self.average.update(self.step)
            if self.step % config.validate_every == 0 or self.step == config.steps:
                figures = self._validate()
            if self.step % config.checkpoint_every == 0 or self.step == config.steps:
                # After the validation: a run that dies in it does it again.
                save_checkpoint(
                    self.checkpoint_path, self.step, config, self._networks(), self.optimizer
                )
            if self.step % LOG_EVERY == 0 or self.step == config.steps:
                seconds = (perf_counter() - started) / (self.step - since)
                losses = {name: float(value) for name, value in losses.items()}
                _append_row(self.out / TRAINING_LOG, {"step": self.step, **losses})
                report(Progress(self.step, config.steps, seconds, losses, figures))
                self.trainer.reset_metrics()
                started, since = perf_counter(), self.step

    def _networks(self) -> dict[str, keras.Model]:
        return {"network": self.network, "average": self.averaged}

    def _validate(self) -> dict[str, float]:
        """Measure the averaged network and write it as a bundle."""
        result = self.validate(self.estimator)
        figures = {name: getattr(result, name) for name in VALIDATION_FIGURES}
        _append_row(self.out / VALIDATION_LOG, {"step": self.step, **figures})
        save_bundle(
            self.out / "bundle",
            self.averaged,
            self.objects,
            name=self.name,
            input_size=self.config.input_size,
            estimator=EstimatorConfig(covariance_scale=result.covariance_scale),
            score=result.calibration,
        )
        return figures


def _append_row(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def read_log(path: Path) -> list[dict[str, float]]:
    """Rows of a log that :meth:`Run.train` wrote; none if it wrote none yet."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def _drop_rows_after(path: Path, step: int) -> None:
    """A run that goes on from an older checkpoint repeats the rows written since."""
    rows = [row for row in read_log(path) if row["step"] <= step]
    path.unlink(missing_ok=True)
    for row in rows:
        _append_row(path, {**row, "step": int(row["step"])})
