"""Bundles: what was saved comes back; what is damaged says how."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import CAMERA, box_object

from casapose_ros.bundle import (
    add_surfaces,
    bundle_surfaces,
    load_bundle,
    load_network,
    save_bundle,
)
from casapose_ros.errors import BundleError, WeightsError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.weights import get_weights
from casapose_ros.score import ScoreCalibration
from casapose_ros.settings import EstimatorConfig

OBJECTS = (box_object(1), box_object(2))
SURFACES = [box_surface(obj) for obj in OBJECTS]
CONFIG = NetworkConfig(num_objects=2, width=0.0625, vector_decoder=(8, 8, 8, 8, 8))


@pytest.fixture(scope="module")
def network():
    return build_network(CONFIG)


@pytest.fixture
def bundle(tmp_path, network):
    return save_bundle(
        tmp_path / "model",
        network,
        OBJECTS,
        name="two boxes",
        input_size=(64, 48),
        estimator=EstimatorConfig(min_pixels=50, keypoint_method="ransac"),
        score=ScoreCalibration(1.5, -0.2),
        card="# Two boxes\n",
    )


def edit(bundle, **changes):
    """Change entries of ``bundle.json``; None removes one."""
    file = bundle.path / "bundle.json"
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def test_settings_that_an_older_bundle_lacks_have_their_defaults(bundle):
    description = json.loads((bundle.path / "bundle.json").read_text())
    del description["estimator"]["pnp"]
    edit(bundle, estimator=description["estimator"])
    assert load_bundle(bundle.path).estimator.pnp == EstimatorConfig.pnp


def replace_weights(bundle, **arrays):
    """Other weights, properly signed."""
    np.savez(bundle.path / "weights.npz", **arrays)
    data = (bundle.path / "weights.npz").read_bytes()
    edit(bundle, weights_sha256=hashlib.sha256(data).hexdigest())


def stored_weights(bundle):
    with np.load(bundle.path / "weights.npz") as archive:
        return dict(archive)


def test_what_was_saved_comes_back(bundle, network):
    loaded = load_bundle(bundle.path)
    assert loaded.name == "two boxes"
    assert loaded.network == CONFIG
    assert loaded.input_size == (64, 48)
    assert loaded.estimator == EstimatorConfig(min_pixels=50, keypoint_method="ransac")
    assert loaded.score == ScoreCalibration(1.5, -0.2)
    assert (bundle.path / "README.md").read_text() == "# Two boxes\n"
    for stored, original in zip(loaded.objects, OBJECTS, strict=True):
        assert (stored.name, stored.class_id, stored.bop_id) == (
            original.name,
            original.class_id,
            original.bop_id,
        )
        assert np.array_equal(stored.keypoints, original.keypoints)
    weights = get_weights(load_network(loaded))
    for name, value in get_weights(network).items():
        assert np.array_equal(weights[name], value.astype(np.float16).astype(np.float32)), name


def test_weights_are_float16(bundle):
    assert all(value.dtype == np.float16 for value in stored_weights(bundle).values())


def test_a_bundle_makes_an_estimator(bundle):
    estimator = PoseEstimator.load(bundle.path)
    assert estimator.config == bundle.estimator and estimator.name == "two boxes"
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    estimate = estimator.run(image, CAMERA)
    assert estimate.fields.logits.shape == (48, 64, 3)
    assert estimate.fields.vectors.shape == (48, 64, 9, 2)
    other = PoseEstimator.load(bundle.path, EstimatorConfig(network_size="96x64"))
    assert other.run(image, CAMERA).fields.labels.shape == (64, 85)


def test_saving_again_replaces_the_bundle_and_keeps_the_card(bundle, network):
    save_bundle(bundle.path, network, OBJECTS, name="renamed", input_size=(64, 48))
    assert load_bundle(bundle.path).name == "renamed"
    assert (bundle.path / "README.md").read_text() == "# Two boxes\n"
    assert {file.name for file in bundle.path.iterdir()} == {
        "bundle.json",
        "weights.npz",
        "README.md",
    }


def test_missing_folder(tmp_path):
    with pytest.raises(BundleError, match="nowhere is no model bundle: it has no bundle.json"):
        load_bundle(tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "model.h5").write_bytes(b"HDF")
    with pytest.raises(BundleError, match="is no model bundle"):
        load_bundle(tmp_path / "model.h5")


def test_missing_weights(bundle):
    (bundle.path / "weights.npz").unlink()
    with pytest.raises(BundleError, match="weights.npz: no such file.*incomplete"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_corrupt_weights(bundle, damage):
    file = bundle.path / "weights.npz"
    data = bytearray(file.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match="SHA-256.*damaged"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("text", ["", "{", "weights: none", "\ufeff{}", "\x00"])
def test_not_json(bundle, text):
    (bundle.path / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match="bundle.json: not valid JSON"):
        load_bundle(bundle.path)


def test_not_text(bundle):
    (bundle.path / "bundle.json").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BundleError, match="not valid JSON"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("version", [0, 2, "1", [1]])
def test_another_format_version(bundle, version):
    edit(bundle, format=version)
    with pytest.raises(
        BundleError, match="is unknown; this version of casapose_ros reads format 1"
    ):
        load_bundle(bundle.path)


def test_json_of_another_kind(bundle):
    (bundle.path / "bundle.json").write_text("[1, 2]")
    with pytest.raises(BundleError, match="format None is unknown"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("key", ["name", "network", "input_size", "weights_sha256", "objects"])
def test_missing_entries_are_named(bundle, key):
    edit(bundle, **{key: None})
    with pytest.raises(BundleError, match=f"bundle.json: missing {key}"):
        load_bundle(bundle.path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"network": {"num_objects": 2, "widht": 1.0}}, "did you mean 'width'"),
        ({"network": {"num_objects": 2, "variant": "c_gcu6"}}, "unknown variant 'c_gcu6'"),
        ({"input_size": [64]}, "expected 2 values"),
        ({"input_size": [64, -8]}, "input size must be positive"),
        ({"estimator": {"component": "biggest"}}, "unknown component"),
        ({"score": {"slope": -1.0}}, "slope"),
        ({"objects": []}, "at least one object"),
    ],
)
def test_wrong_entries_are_named(bundle, changes, message):
    edit(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(bundle.path)


def test_objects_for_another_network(bundle, network, tmp_path):
    edit(bundle, network={"num_objects": 3})
    with pytest.raises(BundleError, match=r"knows 3 objects.*has class ids \[1, 2\]"):
        load_bundle(bundle.path)
    with pytest.raises(BundleError, match="knows 2 objects"):
        save_bundle(tmp_path / "x", network, OBJECTS[:1], name="x", input_size=(64, 48))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "other",
    [
        NetworkConfig(num_objects=3, width=0.0625, vector_decoder=(8, 8, 8, 8, 8)),
        NetworkConfig(num_objects=2, width=0.0625, variant="base"),
        NetworkConfig(num_objects=2, width=0.125, vector_decoder=(8, 8, 8, 8, 8)),
    ],
    ids=["K", "variant", "width"],
)
def test_weights_of_another_network(bundle, other):
    replace_weights(bundle, **get_weights(build_network(other)))
    with pytest.raises(WeightsError, match="made for another"):
        PoseEstimator.load(bundle.path)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_weights_that_are_not_finite(bundle, poison):
    weights = stored_weights(bundle)
    name = next(iter(weights))
    weights[name] = np.full_like(weights[name], poison)
    replace_weights(bundle, **weights)
    with pytest.raises(WeightsError, match="NaN or infinite"):
        PoseEstimator.load(bundle.path)


def test_pickled_weights_are_not_executed(bundle):
    weights = stored_weights(bundle)
    weights["payload"] = np.array([{"run": print}], dtype=object)
    replace_weights(bundle, **weights)
    with pytest.raises(WeightsError, match="not a readable weights file"):
        PoseEstimator.load(bundle.path)


def test_surfaces_are_added_and_refine_poses(bundle, network):
    assert bundle_surfaces(bundle) is None
    assert bundle.estimator.refinement == "none"
    changed = add_surfaces(bundle.path, SURFACES)
    np.testing.assert_allclose(bundle_surfaces(changed), SURFACES, atol=3e-4)
    assert changed.estimator == replace(bundle.estimator, refinement="outline")
    assert changed.weights_sha256 == bundle.weights_sha256
    assert PoseEstimator.load(bundle.path).surfaces is not None
    assert (bundle.path / "README.md").read_text() == "# Two boxes\n"
    saved = save_bundle(bundle.path, network, OBJECTS, name="none", input_size=(64, 48))
    assert bundle_surfaces(saved) is None and not (bundle.path / "surfaces.npz").exists()


def test_surfaces_are_saved_with_the_network(tmp_path, network):
    saved = save_bundle(
        tmp_path, network, OBJECTS, name="two", input_size=(64, 48), surfaces=SURFACES
    )
    np.testing.assert_allclose(bundle_surfaces(saved), SURFACES, atol=3e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "bundle.json",
        "surfaces.npz",
        "weights.npz",
    ]


def test_surfaces_that_did_not_arrive_are_noticed(bundle):
    file = bundle.path / "surfaces.npz"
    changed = add_surfaces(bundle.path, SURFACES)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(BundleError, match=r"surfaces.npz: its SHA-256 .* copy it again"):
        bundle_surfaces(changed)
    file.unlink()
    with pytest.raises(BundleError, match=r"surfaces.npz: no such file; .* copy it again"):
        PoseEstimator.load(bundle.path)
