"""A run on a few frames: it stops, goes on as if it had not stopped, and leaves a bundle."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from casapose_ros.bundle import load_bundle
from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.network.decoders import GUIDED_BLOCKS
from casapose_ros.network.weights import get_weights
from casapose_ros.score import ScoreCalibration
from casapose_ros.settings import EstimatorConfig
from casapose_ros.training import loop
from casapose_ros.training.batches import CropConfig, make_batch
from casapose_ros.training.logs import TRAINING_LOG, VALIDATION_LOG, read_log
from casapose_ros.training.settings import TrainConfig
from casapose_ros.training.trainer import LossWeights
from casapose_ros.training.validation import ValidationResult
from casapose_ros.types import ObjectModel

CONFIG = TrainConfig(
    width=0.125,
    input_size=(64, 48),
    crop=CropConfig(size=32, pixels=64),
    batch_size=2,
    steps=4,
    warmup_steps=1,
    validate_every=2,
    checkpoint_every=2,
)
RESULT = ValidationResult(1.0, 1.0, 0.5, 0.25, 0.5, 0.0, ScoreCalibration(), 2.5, ())


class Stop(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def cache():
    rng = np.random.default_rng(0)
    labels = np.zeros((3, 48, 64), np.uint8)
    labels[:, 10:40, 10:50] = 1
    keypoints = rng.uniform(10, 50, (3, 1, 1, 9, 2)).astype(np.float32)
    images, classes = rng.integers(0, 255, (3, 48, 64, 3), np.uint8), np.ones((3, 1), np.uint8)
    return FrameCache(images, labels, keypoints, classes, 1.0)


@pytest.fixture
def start(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    cube = ObjectModel("cube", 1, 1, np.eye(9, 3) * 0.1, 0.1, -np.ones(3) / 9, np.ones(3) / 9)

    def build(folder, config=CONFIG, cache=cache):
        out, settings = tmp_path / folder, EstimatorConfig(max_instances=3)
        return loop.Run(config, cache, [cube], lambda _: RESULT, out, "test", settings=settings)

    return build


@pytest.fixture
def eager():
    """Compiling a training step takes longer than the few steps that a test needs."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(start, eager):
    whole = start("whole")
    reports = []
    whole.train(reports.append)
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert reports[-1].validation["recall_add_10"] == 0.25

    def stop_after_three(progress):
        if progress.step == 3:
            raise Stop

    stopped = start("stopped")
    with pytest.raises(Stop):
        stopped.train(stop_after_three)
    resumed = start("stopped")
    resumed.resume()
    assert resumed.step == 2
    resumed.train(reports.append)
    for name in ("network", "averaged"):
        expected, found = get_weights(getattr(whole, name)), get_weights(getattr(resumed, name))
        for weight, value in expected.items():
            np.testing.assert_allclose(found[weight], value, rtol=1e-3, atol=1e-4)
    rows = read_log(resumed.out / TRAINING_LOG)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    bundle = load_bundle(resumed.out / "bundle")
    assert bundle.input_size == (64, 48) and bundle.objects[0].name == "cube"
    # Each validation measures how far the covariances are off that the one before it left.
    assert bundle.estimator == EstimatorConfig(max_instances=3, covariance_scale=2.5**2)

    other = start("stopped", replace(CONFIG, learning_rate=1e-4))
    with pytest.raises(ConfigError, match=r"learning_rate: 0\.003 there, 0\.0001 here"):
        other.resume()


@pytest.mark.parametrize("encoder", ["resnet18", "efficientnet_lite0"])
def test_a_frozen_encoder_stays_as_it_was_given(start, eager, encoder):
    run = start("frozen", replace(CONFIG, encoder=encoder, freeze_encoder=True))
    before = get_weights(run.network)
    run.train(lambda progress: None)
    for name in ("network", "averaged"):
        after = get_weights(getattr(run, name))
        changed = {w for w, value in before.items() if not np.allclose(after[w], value, 1e-6)}
        assert not [weight for weight in changed if weight.startswith("encoder/")]
        kernels = {f"{d}_decoder/head/kernel" for d in ("segmentation", "vector")}
        assert kernels <= changed


def test_validations_use_what_the_one_before_them_measured(start, eager, tmp_path):
    """Refinement goes by covariances: it is validated with the scale that the bundle has."""

    def scales(run, until=4):
        seen = []

        def validate(estimator):
            seen.append(estimator.config.covariance_scale)
            return RESULT

        def stop(progress):
            if progress.step == until:
                raise Stop

        run.validate = validate
        run.resume()
        with contextlib.suppress(Stop):
            run.train(stop)
        return seen

    assert scales(start("whole"), 5) == [1, 2.5]
    assert scales(start("whole"), 5) == [2.5]  # done: it is validated anew
    assert scales(start("stopped"), 3) == [1]
    assert scales(start("stopped"), 5) == [2.5]
    rows = read_log(tmp_path / "stopped" / VALIDATION_LOG)
    assert [row["covariance_scale"] for row in rows] == [2.5, 6.25]
    for name in ("whole", "stopped"):
        assert load_bundle(tmp_path / name / "bundle").estimator.covariance_scale == 6.25


def test_the_last_validation_weighs_outlines(start, eager):
    run, seen = start("run"), []
    settings = replace(run.estimator.config, refinement="outline")
    run.estimator.surfaces = [np.zeros((4, 3))]
    run.estimator = run.estimator.with_config(settings)

    def validate(estimator):
        seen.append((estimator.config.outline_weight, estimator.config.covariance_scale))
        best = estimator.config.outline_weight == 0.1
        return replace(RESULT, recall_add_10=0.5 if best else 0.25, covariance_scale=3 + best)

    run.validate = validate
    run.train(lambda progress: None)
    assert seen == [(0.05, 1), (0.05, 3), (0.1, 3), (0.2, 3)]
    kept = load_bundle(run.out / "bundle").estimator
    assert kept == replace(settings, outline_weight=0.1, covariance_scale=3 * 4)
    rows = read_log(run.out / VALIDATION_LOG)
    assert [row["recall_add_10"] for row in rows] == [0.25, 0.5]


def test_a_run_that_an_earlier_version_began_goes_on(start, eager, tmp_path):
    config = replace(CONFIG, steps=6)
    begun = start("old", config)

    def stop(progress):
        if progress.step == 3:
            raise Stop

    with pytest.raises(Stop):
        begun.train(stop)
    log = tmp_path / "old" / VALIDATION_LOG
    lines = [line.rsplit(",", 1)[0] for line in log.read_text().splitlines()]
    log.write_text("".join(f"{line}\n" for line in lines))
    resumed = start("old", config)
    resumed.resume()
    assert resumed.estimator.config.covariance_scale == 1
    resumed.train(lambda progress: None)
    assert [row["step"] for row in read_log(log)] == [2, 4, 6]
    again = start("old", config)
    again.resume()


def test_a_resumed_run_writes_the_rows_of_one_that_went_on(start, eager, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 4)
    config = replace(CONFIG, steps=5, checkpoint_every=3, validate_every=5)
    whole, stopped = start("whole", config), start("stopped", config)
    whole.train(lambda progress: None)

    def stop_at_four(progress):
        if progress.step == 4:
            raise Stop

    with pytest.raises(Stop):
        stopped.train(stop_at_four)
    resumed = start("stopped", config)
    resumed.resume()
    assert resumed.step == 3
    resumed.train(lambda progress: None)
    rows, expected = (read_log(run.out / TRAINING_LOG) for run in (resumed, whole))
    assert [row["step"] for row in rows] == [3, 4, 5]
    for row, known in zip(rows, expected, strict=True):
        assert row["loss"] == pytest.approx(known["loss"], rel=1e-3)


def test_a_finished_run_writes_its_bundle_again(start, eager):
    finished = start("finished", replace(CONFIG, steps=2))
    finished.train(lambda progress: None)
    (finished.out / "bundle" / "weights.npz").unlink()
    again = start("finished", replace(CONFIG, steps=2))
    again.resume()
    again.train(lambda progress: None)
    assert load_bundle(again.out / "bundle").name == "test"


def test_a_loss_that_is_not_finite_stops_the_run(start, eager, cache):
    broken = replace(cache, keypoints=np.full_like(cache.keypoints, 1e38))
    run = start("broken", cache=broken)
    with pytest.raises(CasaposeError, match="the loss is .* in the batch of step 0") as error:
        run.train(lambda progress: None)
    assert "there is no checkpoint yet" in str(error.value)
    with np.load(run.out / "failed_batch_0.npz") as batch:
        assert batch["image"].shape == (2, 32, 32, 3)
        assert batch["keypoints"].max() > 1e37


def test_loss_weights_follow_the_step(start):
    first, last = LossWeights(1, 2, 0, 0), LossWeights(0, 4, 0, 0)
    run = start("weights", replace(CONFIG, loss_weights=first, final_loss_weights=last))
    for step, expected in ((0, [1, 2, 0, 0]), (2, [0.5, 3, 0, 0]), (4, [0, 4, 0, 0])):
        np.testing.assert_allclose(run.trainer._weights(np.full(2, step, np.int32)), expected)
    kept = start("kept", replace(CONFIG, loss_weights=first))
    np.testing.assert_allclose(kept.trainer._weights(np.full(2, 3, np.int32)), [1, 2, 0, 0])


def test_every_instance_learns_from_its_own_keypoints(start, eager, cache):
    """The object's left half as an instance of its own: what counts is where its keypoints are."""
    run = start("twins", replace(CONFIG, auxiliary=1.0))
    inputs, targets = make_batch(cache, CONFIG.crop, 2, seed=0, step=0)
    left = np.arange(32) < 16
    twins = {
        "labels": np.where(left & (inputs["labels"] > 0), 2, inputs["labels"]).astype(np.uint8),
        "classes": np.ones((2, 2), np.uint8),
    }

    def losses(changes, *shifts):
        run.trainer.forget_losses()
        shifted = {"keypoints": np.hstack([targets["keypoints"] + shift for shift in shifts])}
        run.trainer.test_on_batch(inputs | changes, shifted)
        return {name: float(part.result()) for name, part in run.trainer.parts.items()}

    one, same, other = losses({}, 0.0), losses(twins, 0.0, 0.0), losses(twins, 0.0, 20.0)
    for name in ("segmentation", "vectors", "voting", "auxiliary", "accuracy"):
        assert same[name] == pytest.approx(one[name], rel=1e-5), name
    for name in ("vectors", "voting", "keypoints", "auxiliary"):
        assert abs(other[name] - same[name]) > 0.01 * same[name], name
    assert other["segmentation"] == same["segmentation"]


@pytest.mark.parametrize("variant", GUIDED_BLOCKS)
def test_every_variant_learns(start, eager, variant):
    run = start(variant, replace(CONFIG, variant=variant, steps=2))
    before = get_weights(run.network)
    run.train(lambda progress: None)
    after = get_weights(run.network)
    still = [name for name in before if np.array_equal(before[name], after[name])]
    assert still == []
