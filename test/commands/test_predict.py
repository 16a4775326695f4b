"""``casapose predict`` through the command line, with exact fields and with a real network."""

import json

import cv2
import numpy as np
import pytest
from exact_fields import CAMERA, Scene, box_object, random_pose

from casapose_ros import cli, geometry
from casapose_ros.bundle import save_bundle
from casapose_ros.commands import predict
from casapose_ros.estimator import PoseEstimator
from casapose_ros.network import NetworkConfig, build_network

OBJECTS = (box_object(1, name="cracker"), box_object(2, (0.1, 0.1, 0.1), "cube"))
POSE = random_pose(np.random.default_rng(0))


@pytest.fixture
def camera_file(tmp_path):
    K = CAMERA.K
    values = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({**values, "width": 640, "height": 480}))
    return path


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(1)
    paths = [folder / "a.png", folder / "b.jpg"]
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 256, (480, 640, 3), dtype=np.uint8))
    return paths


@pytest.fixture
def exact_model(monkeypatch):
    """The network is replaced by exact fields of one known pose."""
    scene = Scene(CAMERA, 2)
    scene.place(OBJECTS[0], *POSE)
    scene.fields.vectors[:, :, 5] = (0, 1)  # one keypoint stays undetermined
    estimator = PoseEstimator(scene.predict, OBJECTS, (640, 480), name="exact")
    monkeypatch.setattr(PoseEstimator, "load", lambda path: estimator)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    network = build_network(NetworkConfig(num_objects=2, width=0.0625))
    save_bundle(path, network, OBJECTS, name="untrained", input_size=(64, 48))
    return path


def run(tmp_path, camera_file, images, *more, model="unused"):
    out = tmp_path / "results" / "poses.json"
    arguments = ["predict", "--model", model, "--camera", camera_file, "--out", out]
    status = cli.main([str(a) for a in [*arguments, *more, *images]])
    return status, json.loads(out.read_text()) if out.exists() else None


def test_poses_as_json(tmp_path, camera_file, images, exact_model, capsys):
    status, document = run(tmp_path, camera_file, images)
    assert status == 0
    assert document["format"] == 1 and document["model"] == "exact"
    assert [entry["image"] for entry in document["images"]] == [str(path) for path in images]
    for entry in document["images"]:
        (found,) = entry["objects"]
        assert (found["name"], found["id"], found["class_id"]) == ("cracker", 11, 1)
        assert found["score"] == pytest.approx(0.88, abs=0.005)
        R, t = POSE
        assert geometry.rotation_angle(np.reshape(found["R"], (3, 3)), R) < 1e-4
        assert np.linalg.norm(found["t"] - t) < 1e-4
        assert np.shape(found["covariance"]) == (36,)
        assert found["keypoints"][5] == [None, None]
        expected = geometry.project(OBJECTS[0].keypoints, R, t, CAMERA)
        known = [k for k in range(9) if k != 5]
        assert np.allclose(np.array([found["keypoints"][k] for k in known]), expected[known])
        assert set(entry["times"]) == {"preprocess", "network", "keypoints", "pnp"}
    printed = capsys.readouterr().out
    assert "a.png: cracker 0.88" in printed and "2 images, 0 failed" in printed


def test_pictures_and_fields(tmp_path, camera_file, images, exact_model):
    pictures, fields = tmp_path / "pictures", tmp_path / "deep" / "fields"
    status, _ = run(tmp_path, camera_file, images[:1], "--pictures", pictures, "--fields", fields)
    assert status == 0
    kinds = ("overlay", "segmentation", "vectors", "confidence")
    assert {path.name for path in pictures.iterdir()} == {f"a_{kind}.png" for kind in kinds}
    for kind in kinds:
        assert cv2.imread(str(pictures / f"a_{kind}.png")).shape == (480, 640, 3)
    assert [path.name for path in fields.iterdir()] == ["a.npz"]
    with np.load(fields / "a.npz", allow_pickle=False) as archive:
        assert set(archive) == {"logits", "vectors", "confidence"}
        assert archive["logits"].shape == (480, 640, 3)
        assert archive["vectors"].shape == (480, 640, 9, 2)
        assert archive["confidence"].shape == (480, 640, 9)
        rows, cols = np.nonzero(archive["logits"].argmax(-1) == 1)
        dy, dx = archive["vectors"][rows[0], cols[0], 0]
    centre = geometry.project(OBJECTS[0].keypoints[:1], *POSE, CAMERA)[0]
    assert np.cross([dx, dy, 0], [*(centre - (cols[0] + 0.5, rows[0] + 0.5)), 0])[2] == (
        pytest.approx(0, abs=1e-4)
    )


def test_colours_are_not_swapped(tmp_path):
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), np.full((4, 4, 3), (0, 0, 255), dtype=np.uint8))
    assert predict.read_image(path)[0, 0].tolist() == [255, 0, 0]


def test_broken_images_are_counted_and_the_others_go_on(
    tmp_path, camera_file, images, exact_model, capsys
):
    text, empty, small = (tmp_path / name for name in ("text.png", "empty.png", "small.png"))
    text.write_text("not an image")
    empty.touch()
    cv2.imwrite(str(small), np.zeros((240, 320, 3), np.uint8))
    broken = [text, empty, tmp_path / "missing.png", tmp_path, small]
    status, document = run(tmp_path, camera_file, [broken[0], images[0], *broken[1:], images[1]])
    assert status == 1
    entries = {entry["image"]: entry for entry in document["images"]}
    assert len(entries) == 7
    for path in images:
        assert len(entries[str(path)]["objects"]) == 1
    for path, message in zip(
        broken, ("cannot decode", "0 bytes", "No such file", "directory", "320x240"), strict=True
    ):
        assert message in entries[str(path)]["error"]
        assert "objects" not in entries[str(path)]
    captured = capsys.readouterr()
    assert f"casapose predict: {text}: not an image" in captured.err
    assert "2 images, 5 failed" in captured.out


def test_images_of_the_same_name_do_not_overwrite_each_other(tmp_path):
    assert predict.output_names([tmp_path / "a" / "x.png", tmp_path / "b" / "y.png"]) == ["x", "y"]
    same = predict.output_names([tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"])
    assert same == ["000000_x", "000001_x"]


@pytest.mark.parametrize(
    ("size", "shape"), [(None, (48, 64)), ("128x96", (96, 128)), ("native", (480, 640))]
)
def test_network_size(tmp_path, camera_file, images, bundle, size, shape):
    more = ["--fields", tmp_path / "fields"] + (["--network-size", size] if size else [])
    status, document = run(tmp_path, camera_file, images[:1], *more, model=bundle)
    assert status == 0 and document["model"] == "untrained"
    with np.load(tmp_path / "fields" / "a.npz") as archive:
        assert archive["logits"].shape == (*shape, 3)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--model", "nowhere", "nowhere is no model bundle"),
        ("--camera", "nowhere.yaml", "no such camera file"),
        ("--network-size", "big", "network size must be WxH"),
        ("--max-instances", "0", "max_instances must be 1 to 100, got 0"),
    ],
)
def test_bad_arguments_end_with_a_reason(
    tmp_path, camera_file, images, bundle, option, value, message, capsys
):
    arguments = {"--model": bundle, "--camera": camera_file, "--out": tmp_path / "poses.json"}
    arguments[option] = value
    flat = [str(part) for pair in arguments.items() for part in pair]
    assert cli.main(["predict", *flat, *map(str, images)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "poses.json").exists()
