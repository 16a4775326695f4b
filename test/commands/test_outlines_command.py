"""``casapose outlines``: a model gets the surfaces of its objects."""

from dataclasses import replace

import numpy as np
import pytest
from bop_folder import BopFolder
from rendered import small_object_set

from casapose_ros.bundle import bundle_surfaces, load_bundle, recalibrate, save_bundle
from casapose_ros.cli import main
from casapose_ros.data.surface_points import sample_surface
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.objects import write_objects
from casapose_ros.score import ScoreCalibration


@pytest.fixture
def object_set(tmp_path):
    return small_object_set(tmp_path / "objects")


@pytest.fixture
def bundle(tmp_path, object_set):
    """Of two of the three objects, in another order."""
    known = [replace(object_set.objects[i], class_id=c) for c, i in ((1, 2), (2, 0))]
    network = build_network(NetworkConfig(2, width=0.0625, vector_decoder=(8,) * 5))
    return save_bundle(tmp_path / "model", network, known, name="two", input_size=(64, 48))


def outlines(bundle, objects, *more):
    return main(["outlines", str(bundle.path), "--objects", str(objects), *more])


def test_a_model_gets_the_surfaces_of_its_objects(bundle, object_set, capsys):
    assert outlines(bundle, object_set.path) == 0
    changed = load_bundle(bundle.path)
    assert changed.estimator.refinement == "outline"
    found = bundle_surfaces(changed)
    for obj, points in zip(changed.objects, found, strict=True):
        (given,) = [each for each in object_set.objects if each.name == obj.name]
        expected = sample_surface(object_set.mesh(given), given)
        np.testing.assert_allclose(points, expected, atol=3e-4)
        # All over the box, and nowhere else.
        size = np.abs(obj.box_max - obj.box_min) / obj.diameter / 2
        np.testing.assert_allclose(np.abs(points).max(axis=0), size, atol=0.01)
    assert "surfaces.npz" in capsys.readouterr().out


def test_other_objects_are_refused(bundle, object_set, capsys):
    before = (bundle.path / "bundle.json").read_text()
    first, *others = object_set.objects
    moved = replace(first, keypoints=first.keypoints + [0.002, 0, 0])
    write_objects(object_set.path / "objects.json", [moved, *others])
    assert outlines(bundle, object_set.path) == 2
    assert "red has other keypoints than the model knows, up to 2.0 mm away" in (
        capsys.readouterr().err
    )
    fewer = [replace(each, class_id=i) for i, each in enumerate(object_set.objects[1:], start=1)]
    write_objects(object_set.path / "objects.json", fewer)
    assert outlines(bundle, object_set.path) == 2
    assert "has no object 'red' with a mesh" in capsys.readouterr().err
    assert (bundle.path / "bundle.json").read_text() == before
    assert not (bundle.path / "surfaces.npz").exists()


def test_what_was_measured_of_plain_poses_is_measured_anew(bundle, object_set, tmp_path, capsys):
    """The network knows nothing: there is nothing correct to measure a scale on."""
    known = load_bundle(bundle.path).objects
    pose = np.eye(3), np.array([0.0, 0.0, 0.6])
    made = BopFolder(tmp_path / "data", known, [[(known[1], *pose)]])
    made.scene_path.parent.rename(tmp_path / "data" / "val")
    settings = replace(bundle.estimator, covariance_scale=4.0)
    recalibrate(bundle.path, settings, ScoreCalibration(1.5, 0.5))
    assert outlines(bundle, object_set.path, "--validation", str(tmp_path / "data")) == 0
    changed = load_bundle(bundle.path)
    assert changed.score != ScoreCalibration(1.5, 0.5)
    assert changed.estimator.covariance_scale == 4
    printed = capsys.readouterr().out
    assert "outline_weight 0.2: recall 0.0 %" in printed and "1 frames: outline_weight" in printed
    missing = str(tmp_path / "elsewhere")
    assert outlines(bundle, object_set.path, "--validation", missing) == 2
