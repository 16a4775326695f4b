import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from casapose_ros.camera_file import load_camera
from casapose_ros.data.bop import BopDataset, GroundTruth, read_scene
from casapose_ros.data.bop_images import list_images, load_image
from casapose_ros.data.bop_writer import BopWriter
from casapose_ros.data.frames import LabelledFrame
from casapose_ros.errors import DatasetError
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import CameraModel

CAMERA = CameraModel(np.array([[60.5, 0, 31.5], [0, 61.5, 23.5], [0, 0, 1]]), 64, 48)


def truth(bop_id: int, rng: np.random.Generator, visible: float = 1.0) -> GroundTruth:
    return GroundTruth(
        bop_id=bop_id,
        R_cam_obj=rotation_from_vector(rng.uniform(-1, 1, 3)),
        t_cam_obj=rng.uniform(0.1, 0.5, 3),
        visib_fract=visible,
        px_count_all=100,
        px_count_visib=int(100 * visible),
        bbox_obj=(-3, 4, 20, 30),
        bbox_visib=(0, 4, 17, 30),
    )


def frame(seed: int) -> LabelledFrame:
    rng = np.random.default_rng(seed)
    return LabelledFrame(
        image=rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
        depth=rng.uniform(0, 2, (48, 64)).astype(np.float32),
        masks=rng.random((2, 48, 64)) > 0.5,
        truths=(truth(3, rng), truth(7, rng, visible=0.05)),
        camera=CAMERA,
    )


@pytest.fixture
def models(tmp_path):
    path = tmp_path / "objects"
    path.mkdir()
    (path / "obj_000003.ply").write_text("ply")
    (path / "models_info.json").write_text("{}")
    return path


@pytest.fixture
def scene(tmp_path, models):
    """A scene folder of two frames."""
    writer = BopWriter(tmp_path / "set", "test", depth=True)
    for index in range(2):
        writer.write(index, frame(index))
    writer.finish(CAMERA, models)
    return writer.scene_path(0)


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_round_trip(scene):
    first, second = BopDataset(scene.parents[1], "test")
    assert (first.scene_id, first.image_id, second.image_id) == (0, 0, 1)
    written = frame(1)
    assert np.array_equal(second.load_image(), written.image)
    assert np.abs(second.load_depth() - written.depth).max() <= 0.5e-4 + 1e-7
    assert np.array_equal(second.camera.K, CAMERA.K)
    assert (second.camera.width, second.camera.height) == (64, 48)
    for index, (read, known) in enumerate(zip(second.objects, written.truths, strict=True)):
        assert np.array_equal(second.load_mask(index), written.masks[index])
        assert np.allclose(read.R_cam_obj, known.R_cam_obj, atol=1e-15)
        assert np.allclose(read.t_cam_obj, known.t_cam_obj, atol=1e-15)
        same = ("bop_id", "visib_fract", "px_count_all", "px_count_visib", "bbox_obj", "bbox_visib")
        assert all(getattr(read, name) == getattr(known, name) for name in same)


def test_depth_too_far_to_be_written_is_unknown(tmp_path, models):
    writer = BopWriter(tmp_path / "set", "train_pbr", depth=True)
    depth = np.full((48, 64), 6.5, np.float32)
    depth[0] = 7.0
    writer.write(0, replace(frame(0), depth=depth))
    writer.finish(CAMERA, models)
    (read,) = BopDataset(writer.path, "train_pbr")
    assert (read.load_depth()[0] == 0).all()
    assert np.allclose(read.load_depth()[1:], 6.5)


def test_models_may_be_the_sets_own(scene):
    root = scene.parents[1]
    BopWriter(root, "test").finish(CAMERA, root / "models")
    assert (root / "models" / "obj_000003.ply").is_file()


def test_files_are_bops(scene):
    poses = json.loads((scene / "scene_gt.json").read_text())["0"]
    assert poses[0]["obj_id"] == 3
    assert np.allclose(np.array(poses[0]["cam_t_m2c"]) / 1000, frame(0).truths[0].t_cam_obj)
    assert len(poses[0]["cam_R_m2c"]) == 9
    root = scene.parents[1]
    camera = load_camera(root / "camera.json")
    assert np.array_equal(camera.K, CAMERA.K)
    assert (root / "models" / "obj_000003.ply").is_file()
    names = sorted(p.name for p in scene.iterdir())
    assert names == [
        "depth",
        "mask_visib",
        "rgb",
        "scene_camera.json",
        "scene_gt.json",
        "scene_gt_info.json",
    ]
    assert sorted(p.name for p in (scene / "mask_visib").iterdir())[1] == "000000_000001.png"


def test_targets_leave_hidden_objects_out(scene):
    targets = json.loads((scene.parents[1] / "test_targets_bop19.json").read_text())
    assert targets == [
        {"scene_id": 0, "im_id": image, "obj_id": 3, "inst_count": 1} for image in (0, 1)
    ]


def test_jpeg_is_nearly_the_image(tmp_path, models):
    writer = BopWriter(tmp_path / "set", "train_pbr", jpg=True)
    smooth = cv2.GaussianBlur(frame(0).image, (0, 0), 5)
    writer.write(0, replace(frame(0), image=smooth))
    writer.finish(CAMERA, models)
    (read,) = BopDataset(writer.path, "train_pbr")
    assert read.image_path.suffix == ".jpg"
    assert np.abs(read.load_image().astype(int) - smooth).mean() < 2
    assert read.depth_path is None
    with pytest.raises(DatasetError, match="no depth image"):
        read.load_depth()


def test_frames_beyond_a_thousand_go_into_the_next_scene(tmp_path, models):
    writer = BopWriter(tmp_path / "set", "train_pbr", jpg=True)
    for index in (999, 1000):
        writer.write(index, frame(index))
    assert writer.written() == {999, 1000}
    writer.finish(CAMERA, models)
    assert writer.written() == {999, 1000}
    ids = [(f.scene_id, f.image_id) for f in BopDataset(writer.path, "train_pbr")]
    assert ids == [(0, 999), (1, 0)]


def test_later_frames_are_added(scene, models):
    writer = BopWriter(scene.parents[1], "test")
    writer.write(2, frame(2))
    writer.finish(CAMERA, models)
    assert [f.image_id for f in read_scene(scene)] == [0, 1, 2]


def test_unfinished_frame_does_not_count(scene):
    writer = BopWriter(scene.parents[1], "test")
    (scene / "rgb" / "000002.png").write_bytes(b"")
    assert writer.written() == {0, 1}


def test_what_a_killed_writer_left_is_no_image(scene):
    known = list_images(scene)
    (scene / "rgb" / ".part-77-000002.png").write_bytes(b"half")
    assert list_images(scene) == known and len(known) == 2


@pytest.mark.parametrize("name", ["scene_camera.json", "scene_gt.json"])
def test_missing_file_is_named(scene, name):
    (scene / name).unlink()
    with pytest.raises(DatasetError, match=f"{name}: no such file"):
        read_scene(scene)


@pytest.mark.parametrize("name", ["scene_camera.json", "scene_gt.json", "scene_gt_info.json"])
@pytest.mark.parametrize(("content", "message"), [('{"0":', "broken JSON"), ("[]", "JSON object")])
def test_broken_file_is_named(scene, name, content, message):
    (scene / name).write_text(content)
    with pytest.raises(DatasetError, match=f"{name}: .*{message}"):
        read_scene(scene)


def test_missing_image_is_named(scene):
    (scene / "rgb" / "000001.png").unlink()
    with pytest.raises(DatasetError, match="image 000001 of scene_camera.json is missing"):
        read_scene(scene)


def test_broken_image_is_named(scene):
    (scene / "rgb" / "000001.png").write_bytes(b"no image")
    _, second = read_scene(scene)
    with pytest.raises(DatasetError, match="000001.png: not a readable image"):
        second.load_image()


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_an_image_that_ends_too_soon_is_named(tmp_path, part):
    path = tmp_path / "half.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    path.write_bytes(data)
    assert load_image(path, cv2.IMREAD_COLOR).shape == (48, 64, 3)
    path.write_bytes(data + b"what a camera adds")
    assert load_image(path, cv2.IMREAD_COLOR).shape == (48, 64, 3)
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(
        DatasetError, match="half.jpg: not a readable image, or the file ends too soon"
    ):
        load_image(path, cv2.IMREAD_COLOR)


def test_empty_and_missing_images_are_named(tmp_path):
    with pytest.raises(DatasetError, match="none.png: cannot be read: No such file"):
        load_image(tmp_path / "none.png", cv2.IMREAD_COLOR)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="empty.png: not a readable image"):
        load_image(tmp_path / "empty.png", cv2.IMREAD_COLOR)


def test_image_of_another_size_is_named(scene):
    cv2.imwrite(str(scene / "mask_visib" / "000001_000000.png"), np.zeros((5, 7), np.uint8))
    _, second = read_scene(scene)
    with pytest.raises(DatasetError, match="000001_000000.png: 7x5 px.*64x48"):
        second.load_mask(0)


def test_missing_mask_is_named(scene):
    (scene / "mask_visib" / "000001_000000.png").unlink()
    _, second = read_scene(scene)
    with pytest.raises(DatasetError, match="000001.png: object 0 has no mask"):
        second.load_mask(0)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scene_gt.json", lambda v: v.pop("1"), "image 1 has no ground truth"),
        ("scene_gt.json", lambda v: v["1"][0].pop("obj_id"), "image 1, object 0: expected obj_id"),
        ("scene_gt.json", lambda v: v["0"][1].update(cam_R_m2c=[1, 2]), "image 0, object 1"),
        ("scene_gt_info.json", lambda v: v["1"].pop(), "image 1 has 1 objects, but 2"),
        ("scene_camera.json", lambda v: v["0"].pop("cam_K"), "bad cam_K"),
        ("scene_camera.json", lambda v: v["0"].update(cam_K=[1, 2]), "must have 9 numbers"),
        ("scene_camera.json", lambda v: v["0"].update(cam_K=[0] * 9), "focal lengths"),
        ("scene_camera.json", lambda v: v.update(x=v["0"]), "must be numbers, got 'x'"),
        ("scene_camera.json", lambda v: v.update({"1": 3}), "image 1: bad cam_K"),
        (
            "scene_camera.json",
            lambda v: v["1"].update(depth_scale="x"),
            "image 1: depth_scale.*'x'",
        ),
        ("scene_gt.json", lambda v: v.update({"1": 7}), "image 1: expected a list.*got 7"),
        ("scene_gt.json", lambda v: v.update({"1": [None]}), "image 1, object 0: expected a JSON"),
        ("scene_gt_info.json", lambda v: v.update({"1": 5}), "image 1: expected a list.*got 5"),
        ("scene_gt_info.json", lambda v: v.update({"1": [{}, None]}), "image 1, object 1: .*None"),
        ("scene_gt_info.json", lambda v: v["1"][0].update(visib_fract="abc"), "object 0: .*'abc'"),
        ("scene_gt_info.json", lambda v: v["0"][1].update(visib_fract=np.nan), "object 1: .*nan"),
        (
            "scene_gt_info.json",
            lambda v: v["0"][1].update(bbox_visib=[1]),
            "bbox_visib must be four",
        ),
        (
            "scene_gt_info.json",
            lambda v: v["0"][1].update(px_count_all=[1]),
            "must be a whole number",
        ),
    ],
)
def test_contradictions_are_named(scene, name, change, message):
    edit(scene / name, change)
    with pytest.raises(DatasetError, match=f"{name}.*{message}"):
        read_scene(scene)


def test_unknown_boxes_and_visibilities_may_be_null(scene):
    unknown = {"bbox_visib": None, "visib_fract": None}
    edit(scene / "scene_gt_info.json", lambda values: values["0"][0].update(unknown))
    first, _ = read_scene(scene)
    assert first.objects[0].bbox_visib is None and first.objects[0].visib_fract is None
    assert first.objects[0].bbox_obj is not None


@pytest.mark.parametrize("name", ["scene_camera.json", "scene_gt.json", "scene_gt_info.json"])
def test_a_folder_in_place_of_a_file_is_named(scene, name):
    (scene / name).unlink()
    (scene / name).mkdir()
    with pytest.raises(DatasetError, match=f"{name}: cannot be read"):
        read_scene(scene)


@pytest.mark.parametrize("suffix", [".tif", ".tiff"])
def test_depth_may_be_tiff(scene, suffix):
    known = read_scene(scene)[1].load_depth()
    for path in (scene / "depth").glob("*.png"):
        cv2.imwrite(str(path.with_suffix(suffix)), cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        path.unlink()
    assert np.array_equal(read_scene(scene)[1].load_depth(), known)


def test_a_colour_image_is_no_depth_image(scene):
    cv2.imwrite(str(scene / "depth" / "000001.png"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(DatasetError, match="000001.png: a depth image has one channel.* has 3"):
        read_scene(scene)[1].load_depth()


def test_scenes_without_info_or_masks_are_read(scene):
    (scene / "scene_gt_info.json").unlink()
    for path in (scene / "mask_visib").iterdir():
        path.unlink()
    first, _ = read_scene(scene)
    assert first.objects[0].visib_fract is None
    assert first.objects[0].bbox_visib is None
    assert first.objects[0].mask_path is None


def test_missing_or_empty_split_is_named(tmp_path):
    with pytest.raises(DatasetError, match="train: no such split"):
        list(BopDataset(tmp_path, "train"))
    (tmp_path / "train" / "notes").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no scene folders"):
        list(BopDataset(tmp_path, "train"))


def test_broken_scenes_are_skipped_only_on_request(scene, models):
    root = scene.parents[1]
    BopWriter(root, "test").write(1000, frame(5))
    with pytest.raises(DatasetError, match="000001/scene_camera.json"):
        list(BopDataset(root, "test"))
    dataset = BopDataset(root, "test", skip_broken=True)
    assert len(list(dataset)) == 2
    assert len(dataset.problems) == 1 and "000001" in dataset.problems[0]
    assert dataset.problems[0].endswith("(the whole scene is left out)")


def test_broken_frames_of_a_scene_are_skipped_alone(scene):
    (scene / "rgb" / "000000.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="000000.png: not a readable image"):
        list(BopDataset(scene.parents[1], "test"))
    dataset = BopDataset(scene.parents[1], "test", skip_broken=True)
    assert [frame.image_id for frame in dataset] == [1]
    assert len(dataset.problems) == 1 and "rgb/000000.png: not a read" in dataset.problems[0]
    edit(scene / "scene_gt.json", lambda values: values.pop("1"))
    dataset = BopDataset(scene.parents[1], "test", skip_broken=True)
    assert list(dataset) == [] and len(dataset.problems) == 2


def test_real_photos(shared_dir):
    path = shared_dir / "data" / "lmo"
    if not path.is_dir():
        pytest.skip("LM-O is not at ../shared/data/lmo")
    frames = list(BopDataset(path, "test"))
    assert len(frames) == 20
    first = frames[0]
    assert first.load_image().shape == (480, 640, 3)
    assert first.camera.K[0, 0] == pytest.approx(572.4114)
    assert all(0.3 < t.t_cam_obj[2] < 2 for f in frames for t in f.objects)
    assert {t.bop_id for f in frames for t in f.objects} == {1, 5, 6, 8, 9, 10, 11, 12}
    assert first.objects[0].visib_fract == pytest.approx(0.0606, abs=1e-4)
    assert first.objects[0].mask_path is None
