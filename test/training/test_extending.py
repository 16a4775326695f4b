"""Adding objects to a trained network: what it knew it still says, and the new rows are few."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from exact_fields import box_object
from rendered import box_mesh

from casapose_ros.bundle import load_bundle, save_bundle
from casapose_ros.commands._training_start import start_of
from casapose_ros.config import load_yaml
from casapose_ros.data.object_sets import write_object_set
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.errors import ConfigError
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.decoders import GUIDED_BLOCKS
from casapose_ros.network.weights import get_weights, set_weights
from casapose_ros.training.extending import (
    continue_bundle,
    extend_bundle,
    extend_objects,
    extend_weights,
)
from casapose_ros.training.recipes import TrainingFile
from casapose_ros.training.settings import TrainConfig

KNOWN = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))
NEW = (box_object(3, (0.05, 0.1, 0.08)), box_object(4, (0.15, 0.05, 0.08)))
SMALL = TrainConfig(width=0.125)


def trained(config: NetworkConfig):
    """A network whose classes differ in everything, as after a training."""
    keras.utils.set_random_seed(0)
    network = build_network(config)
    rng = np.random.default_rng(0)
    weights = get_weights(network)
    for name in weights:
        if "clade/" in name or "mask_" in name:
            weights[name] += rng.uniform(-0.2, 0.2, weights[name].shape)
    set_weights(network, weights)
    return network


def names_of(objects):
    return [(obj.name, obj.class_id) for obj in objects]


@pytest.mark.parametrize(
    ("variant", "num_known"), [*((variant, 3) for variant in GUIDED_BLOCKS), ("c_gcu5", 1)]
)
def test_the_extended_network_says_what_it_said_before(variant, num_known):
    config = NetworkConfig(num_known, variant, width=0.125)
    before = trained(config)
    after = build_network(replace(config, num_objects=num_known + 2))
    set_weights(after, extend_weights(get_weights(before), config, 2))
    image = np.random.default_rng(1).uniform(-1, 1, (1, 32, 48, 3)).astype(np.float32)
    logits, *fields = (np.asarray(output) for output in before(image))
    extended, *extended_fields = (np.asarray(output) for output in after(image))
    np.testing.assert_allclose(extended[..., : num_known + 1], logits, rtol=1e-5, atol=1e-5)
    new = np.repeat(logits[..., 1:].mean(axis=-1, keepdims=True), 2, axis=-1)
    np.testing.assert_allclose(extended[..., num_known + 1 :], new, rtol=1e-4, atol=1e-4)
    assert np.array_equal(extended.argmax(axis=-1), logits.argmax(axis=-1))
    assert len(np.unique(logits.argmax(axis=-1))) > 1
    for found, expected in zip(extended_fields, fields, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_new_rows_are_the_mean_of_the_objects_without_the_background():
    config = NetworkConfig(2, "c", width=0.125)
    weights = get_weights(trained(config))
    extended = extend_weights(weights, config, 1)
    for name in ("vector_decoder/block1_clade/gamma", "vector_decoder/block5_clade/beta"):
        np.testing.assert_array_equal(extended[name][:3], weights[name])
        np.testing.assert_allclose(extended[name][3], weights[name][1:3].mean(axis=0), rtol=1e-6)
    pyramid = extended["vector_decoder/mask_half/kernel"][0, 0]
    np.testing.assert_array_equal(pyramid[3], [0, 0, 0, 1])
    np.testing.assert_array_equal(pyramid[:, 3], [0, 0, 0, 1])
    np.testing.assert_array_equal(pyramid[:3, :3], weights["vector_decoder/mask_half/kernel"][0, 0])


def test_an_object_costs_1056_weights_at_full_width():
    """32 for the head, 2 x (256 + 128 + 64 + 32 + 32) for the tables; nothing else changes."""
    channels = (256, 128, 64, 32, 32)
    weights = {"segmentation_decoder/head/kernel": np.ones((1, 1, 32, 9))}
    for i, width in enumerate(channels, start=1):
        for kind in ("gamma", "beta"):
            weights[f"vector_decoder/block{i}_clade/{kind}"] = np.ones((9, width))
    weights["vector_decoder/head/kernel"] = np.ones((1, 1, 32, 27))
    extended = extend_weights(weights, NetworkConfig(8), 1)
    assert sum(value.size for value in extended.values()) == 1056 + sum(
        value.size for value in weights.values()
    )
    network = build_network(NetworkConfig(9))
    shapes = {name: value.shape for name, value in get_weights(network).items()}
    assert {name: value.shape for name, value in extended.items()}.items() <= shapes.items()


@pytest.mark.parametrize(
    ("more", "names", "added"),
    [
        (NEW, (), ["box3", "box4"]),
        (NEW[::-1], (), ["box4", "box3"]),
        ((NEW[0], *KNOWN), (), ["box3"]),
        ((*KNOWN, *NEW), ("box4",), ["box4"]),
        ((*KNOWN, *NEW), ("box4", "box1", "box3"), ["box4", "box3"]),
    ],
)
def test_known_objects_come_first_and_keep_their_classes(more, names, added):
    expected = list(zip(["box1", "box2", *added], range(1, 9), strict=False))
    assert names_of(extend_objects(KNOWN, more, names, "objects")) == expected


@pytest.mark.parametrize(
    ("more", "names", "message"),
    [
        (KNOWN, (), "objects: nothing to add, the model knows box1, box2"),
        ((*KNOWN, *NEW), ("box1",), "nothing to add"),
        (NEW, ("box33",), "objects has no object 'box33'; did you mean 'box3'?"),
        (
            (replace(KNOWN[0], keypoints=KNOWN[0].keypoints + [0.003, 0, 0.004]), *NEW),
            (),
            r"objects: box1 has other keypoints than the model knows, up to 5\.0 mm away",
        ),
        ((replace(NEW[0], bop_id=12),), (), "box3 has BOP id 12, by which data sets know box2"),
    ],
)
def test_object_sets_that_do_not_fit_are_refused(more, names, message):
    with pytest.raises(ConfigError, match=message):
        extend_objects(KNOWN, more, names, "objects")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle")
    network = trained(SMALL.network(2))
    return save_bundle(path, network, KNOWN, name="boxes", input_size=(64, 48))


def test_a_bundle_is_extended_with_its_own_weights(bundle):
    extension = extend_bundle(bundle, (*KNOWN, *NEW), replace(SMALL, objects=("box4",)), "objects")
    assert names_of(extension.objects) == [("box1", 1), ("box2", 2), ("box4", 3)]
    assert extension.known == 2
    network = build_network(SMALL.network(3))
    set_weights(network, extension.weights)  # complete, and of the right shapes
    saved = save_bundle(
        bundle.path.parent / "more", network, extension.objects, name="more", input_size=(64, 48)
    )
    assert names_of(load_bundle(saved.path).objects) == names_of(extension.objects)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"variant": "c_gu", "width": 0.25},
            r"variant: 'c_gcu5' there, 'c_gu' here; width: 0\.125 there, 0\.25 here; vector_dec",
        ),
        ({"vector_decoder": (32, 16, 8, 4, 5)}, r"\(32, 16, 8, 4, 4\) there, \(32, 16, 8, 4, 5\)"),
        ({"encoder_weights": "resnet.h5"}, "has its encoder already"),
        ({"encoder": "efficientnet_lite0"}, "encoder: 'resnet18' there, 'efficientnet_lite0' here"),
    ],
)
def test_settings_for_another_network_are_refused(bundle, changes, message):
    with pytest.raises(ConfigError, match=message):
        extend_bundle(bundle, NEW, replace(SMALL, **changes), "objects")


def test_widths_that_are_only_written_differently_are_the_same(bundle):
    config = replace(SMALL, vector_decoder=(32, 16, 8, 4, 4))
    assert len(extend_bundle(bundle, NEW, config, "objects").objects) == 4


def test_the_settings_for_the_demo_model_fit_it(repository):
    settings = repository / "config" / "train" / "extend.yaml"
    file = load_yaml(TrainingFile, settings)
    demo = load_bundle(repository / "models" / "demo")
    house = replace(box_object(4), name="house", bop_id=6)
    extension = extend_bundle(demo, (house,), file.training(), "objects")
    assert [obj.name for obj in extension.objects] == ["cube", "cuboid", "wedge", "house"]
    assert file.input_size == demo.input_size
    for recipe in file.render:
        scenes = load_yaml(SceneConfig, settings.parent / recipe.scenes)
        assert set(scenes.objects) == {obj.name for obj in extension.objects}


@pytest.mark.parametrize(
    ("extend", "expected"), [(False, ["box1", "box2"]), (True, ["box1", "box2", "box3", "box4"])]
)
def test_a_run_goes_on_with_the_same_objects_or_with_more(bundle, tmp_path, extend, expected):
    objects = (*KNOWN, *NEW)
    write_object_set(tmp_path, objects, [box_mesh()] * 4)
    start = start_of(SMALL, tmp_path, bundle.path, extend)
    assert [obj.name for obj in start.objects] == list(start.config.objects) == expected
    assert start.trained.known == 2 and start.trained.sha256 == bundle.weights_sha256


def test_a_trained_model_goes_on_with_what_it_knows(bundle):
    config = replace(SMALL, objects=("box1", "box2"))
    start = continue_bundle(bundle, (*NEW, *KNOWN[::-1]), config, "objects")
    assert names_of(start.objects) == [("box1", 1), ("box2", 2)] and start.known == 2
    network = build_network(SMALL.network(2))
    set_weights(network, start.weights)
    unnamed = continue_bundle(bundle, KNOWN, SMALL, "objects")
    assert names_of(unnamed.objects) == names_of(start.objects)


def test_a_trained_model_goes_on_with_aligned_scans_of_what_it_knows(bundle):
    """The network finds the same points; their coordinates are those of the scan's frame."""
    T = np.array([[0, -1, 0, 0.1], [1, 0, 0, 0], [0, 0, 1, -0.05], [0, 0, 0, 1.0]])
    own = (KNOWN[0].keypoints - T[:3, 3]) @ T[:3, :3]
    scan = replace(KNOWN[0], keypoints=own, T_reference_obj=T)
    start = continue_bundle(bundle, (scan, KNOWN[1]), SMALL, "objects")
    assert np.array_equal(start.objects[0].keypoints, own)
    other = replace(scan, keypoints=own + [0, 0, 0.01])
    with pytest.raises(ConfigError, match="box1 has other keypoints than the model knows"):
        continue_bundle(bundle, (other, KNOWN[1]), SMALL, "objects")


@pytest.mark.parametrize(
    ("objects", "names", "message"),
    [
        (KNOWN, ("box2", "box1"), "name the objects box2, box1; .* knows box1, box2, in this"),
        ((*KNOWN, *NEW), ("box1", "box2", "box3"), "or add objects with --extend"),
        (KNOWN[1:], (), "objects has no object 'box1', which .* knows; it has box2"),
        (
            (replace(KNOWN[0], keypoints=KNOWN[0].keypoints + 0.01), KNOWN[1]),
            (),
            "other keypoints than the model knows",
        ),
    ],
)
def test_a_trained_model_goes_on_with_nothing_else(bundle, objects, names, message):
    with pytest.raises(ConfigError, match=message):
        continue_bundle(bundle, objects, replace(SMALL, objects=names), "objects")
