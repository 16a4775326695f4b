"""``casapose train``: what is wrong is said before anything is trained."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose
from rendered import box_mesh, small_object_set

from casapose_ros.cli import main
from casapose_ros.commands import train as command
from casapose_ros.commands._surfaces import surfaces_to_learn_with
from casapose_ros.commands._training_data import TrainingData, shown_objects, training_sets
from casapose_ros.commands._training_note import note_data
from casapose_ros.commands._training_start import TrainingStart
from casapose_ros.commands._training_validation import Validator, validation_set
from casapose_ros.config import to_dict
from casapose_ros.data.bop import BopDataset
from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.data.frame_window import WindowConfig
from casapose_ros.data.object_sets import write_object_set
from casapose_ros.data.render_job import RenderJob
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.surface_points import sample_surface
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.files import locked
from casapose_ros.training.checkpoint import INDEX_FILE, settings_of
from casapose_ros.training.crops import CropConfig
from casapose_ros.training.extending import Trained
from casapose_ros.training.loop import CHECKPOINTS
from casapose_ros.training.settings import TrainConfig

SETTINGS = "input_size: [160, 120]\ncrop: {size: 64, pixels: 64}\nbatch_size: 8\nsteps: 1\n"
BOX = box_object(1)


@pytest.fixture
def arguments(tmp_path):
    """A whole command line, with object set, data and settings that fit each other."""
    write_object_set(tmp_path / "objects", [BOX], [box_mesh()])
    rng = np.random.default_rng(0)
    BopFolder(tmp_path / "data", (BOX,), [[(BOX, *random_pose(rng))] for _ in range(2)])
    (tmp_path / "train.yaml").write_text(SETTINGS)
    return {
        "--config": tmp_path / "train.yaml",
        "--objects": tmp_path / "objects",
        "--data": tmp_path / "data",
        "--split": "test",
        "--validation-split": "test",
        "--out": tmp_path / "run",
    }


def train(arguments, *flags, **changes):
    options = {**arguments, **{f"--{k.replace('_', '-')}": v for k, v in changes.items()}}
    parts = [str(part) for name, v in options.items() if v is not None for part in (name, v)]
    return main(["train", *parts, *map(str, flags)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{stepz: 3}", "unknown key 'stepz'; did you mean 'steps'?"),
        ("{crop: {sise: 64}}", "unknown key 'sise'; did you mean 'size'?"),
        ("{steps: many}", "steps: expected int, got str"),
        ("{steps: 0}", "steps must be at least 1"),
        ("{input_size: [100, 96], crop: {size: 64}}", "multiples of 8"),
        ("{objects: [mug]}", "has no object 'mug'"),
        ("{objects: [red, green, red]}", "objects: 'red' is named twice"),
        ("{object_weights: [2]}", "object_weights: expected a mapping, got list"),
        ("{object_weights: {red: often}}", "object_weights: red: expected float, got str"),
        ("{object_weights: {box1: 0}}", "object_weights: box1 must be positive, got 0.0"),
        ("{object_weights: {mug: 2}}", "object_weights: 'mug' is none of the objects: box1"),
        ("{objects: [green], object_weights: {red: 2}}", "'red' is none of the objects: green"),
        ("{seed: -1}", "seed must not be negative, got -1"),
        ("[1, 2", "not valid YAML"),
    ],
)
def test_bad_settings(arguments, settings, message, capsys):
    arguments["--config"].write_text(settings)
    assert train(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "train_pbr"}, "no split train_pbr to learn from"),
        ({"validation_split": "val"}, "name a data set with --validation"),
        ({"jobs": 0}, "--jobs must be at least 1, got 0"),
        ({"out": None}, "give --out for a run, or --preview"),
    ],
)
def test_bad_arguments(arguments, changes, message, capsys):
    assert train(arguments, **changes) == 2
    assert message in capsys.readouterr().err


def test_objects_that_the_data_does_not_show(arguments, tmp_path, capsys):
    small_object_set(tmp_path / "others")
    assert train(arguments, objects=tmp_path / "others") == 2
    assert "there is nothing to" in capsys.readouterr().err


def test_objects_that_are_shown_by_no_frame():
    objects = (box_object(1), box_object(2), box_object(3))
    start = TrainingStart(TrainConfig(), objects, Path(), Trained(objects, 2, {}, ""))
    start.check_shown({11: 5, 12: 1, 13: 7, 99: 3})
    with pytest.raises(DatasetError, match=r"shows box2 \(BOP id 12\): the model would forget it"):
        start.check_shown({11: 5, 13: 7})
    with pytest.raises(DatasetError, match="shows box3 .*: there is nothing to learn it from"):
        start.check_shown({11: 5, 12: 1, 13: 0})
    with pytest.raises(DatasetError, match="shows box1 .*: there is nothing to learn it from"):
        replace(start, trained=None).check_shown({12: 1, 13: 1})


def test_every_object_has_to_be_shown(arguments, tmp_path, capsys):
    write_object_set(tmp_path / "more", [BOX, box_object(2)], [box_mesh(), box_mesh()])
    assert train(arguments, objects=tmp_path / "more") == 2
    assert "no training frame shows box2" in capsys.readouterr().err


def test_a_run_is_not_overwritten(arguments, capsys):
    (arguments["--out"] / CHECKPOINTS / "000001").mkdir(parents=True)
    assert train(arguments) == 2
    assert "add --resume" in capsys.readouterr().err


def test_a_resume_is_refused_before_anything_is_rendered(arguments, capsys, monkeypatch):
    monkeypatch.setattr(command, "_data", lambda *args: pytest.fail("too late"))
    checkpoint = arguments["--out"] / CHECKPOINTS / "000001"
    checkpoint.mkdir(parents=True)
    settings = settings_of(TrainConfig(objects=("box1",), crop=CropConfig(size=128)))
    index = {"step": 1, "config": settings, "pieces": []}
    (checkpoint / INDEX_FILE).write_text(json.dumps(index))
    assert train(arguments, "--resume") == 2
    assert "crop.size: 128 there, 64 here" in capsys.readouterr().err
    assert train(arguments, "--hosts", "2", "--coordinator", "127.0.0.1:1") == 2
    assert "needs the JAX backend" in capsys.readouterr().err


def test_an_encoder_that_is_kept_has_to_be_given(arguments, capsys):
    arguments["--config"].write_text(SETTINGS + "freeze_encoder: true")
    assert train(arguments) == 2
    assert "there is no encoder to keep; give --encoder-weights" in capsys.readouterr().err
    assert train(arguments, encoder_weights="nothing.npz") == 2
    assert "encoder_weights: nothing.npz: no such file" in capsys.readouterr().err


def test_a_resume_without_a_checkpoint_is_told(arguments, capsys):
    arguments["--config"].write_text(SETTINGS + "encoder_weights: nothing.h5")
    assert train(arguments, "--resume") == 2
    said = capsys.readouterr()
    assert "run holds no checkpoint to resume: starting with the first step" in said.out
    assert "encoder_weights: nothing.h5: no such file" in said.err


def test_frames_to_validate_on_are_read_before_the_training(arguments, tmp_path, capsys):
    rng = np.random.default_rng(5)
    held_out = BopFolder(tmp_path / "more", (BOX,), [[(BOX, *random_pose(rng))] for _ in range(3)])
    broken = held_out.scene_path / "mask_visib" / "000001_000000.png"
    broken.write_bytes(b"no image")
    assert train(arguments, validation=tmp_path / "more") == 2
    assert f"{broken}: not a readable image" in capsys.readouterr().err
    # Its own meshes are not needed: the object set has them.
    shutil.rmtree(tmp_path / "more" / "models")
    dataset = BopDataset(tmp_path / "more", "test", skip_broken=True)
    start = TrainingStart(TrainConfig(validation_frames=2), (BOX,), tmp_path / "objects")
    Validator(dataset, start)
    assert f"skipped: {broken}" in capsys.readouterr().out


def test_renders_to_validate_on_are_not_those_to_learn_from(arguments, tmp_path, capsys):
    rng = np.random.default_rng(5)
    BopFolder(tmp_path / "more", (BOX,), [[(BOX, *random_pose(rng))]])
    rendered = {"seed": 1, "objects": ["box1"], "config": {}}
    for name in ("data", "more"):
        note = tmp_path / name / "test" / "render.json"
        note.write_text(json.dumps({**rendered, "jpg": name == "data"}))
    assert train(arguments, validation=tmp_path / "more") == 2
    assert "have the same scenario and the same seed, 1" in capsys.readouterr().err


def test_preview_shows_every_crop(arguments, tmp_path):
    sheet = tmp_path / "sheet.png"
    assert train(arguments, out=None, preview=sheet) == 0
    picture = cv2.imread(str(sheet))
    assert picture.shape == (8 * 260, 2 * 4 * 260, 3)  # 16 crops, four tiles each
    assert all(tile.any() for row in np.vsplit(picture, 8) for tile in np.hsplit(row, 8))


def test_all_data_sets_are_learned_from_and_broken_parts_are_named(
    arguments, tmp_path, capsys, monkeypatch
):
    rng = np.random.default_rng(1)
    more = BopFolder(tmp_path / "more", (BOX,), [[(BOX, *random_pose(rng))] for _ in range(3)])
    broken = more.scene_path / "rgb" / "000001.png"
    broken.write_bytes(b"")
    arguments["--data"] = None
    sets = ("--data", tmp_path / "data", tmp_path / "more")
    assert train(arguments, *sets) == 2
    assert (
        "000001.png: not a readable image, or the file ends too soon; --skip-broken"
        in capsys.readouterr().err
    )
    seen = []
    monkeypatch.setattr(command, "note_data", lambda *args: seen.append(len(args[3])))
    monkeypatch.setattr("casapose_ros.training.loop.Run", lambda *args: pytest.skip("far enough"))
    with pytest.raises(pytest.skip.Exception):
        train(arguments, *sets, "--skip-broken")
    assert seen == [4]
    said = capsys.readouterr().out
    assert f"skipped: {broken}" in said and "1 broken frames or scenes were skipped" in said


def test_a_set_as_blenderproc_writes_it(arguments, tmp_path, monkeypatch):
    """JPEG images, masks of whole silhouettes, COCO's annotations, no models, no split ``val``."""
    rng = np.random.default_rng(4)
    for number in (0, 49):
        made = BopFolder(tmp_path / f"{number}", (BOX,), [[(BOX, *random_pose(rng))]])
        scene = tmp_path / "pbr" / "train_pbr" / f"{number:06d}"
        scene.parent.mkdir(parents=True, exist_ok=True)
        made.scene_path.rename(scene)
        for image in list((scene / "rgb").iterdir()):
            cv2.imwrite(str(image.with_suffix(".jpg")), cv2.imread(str(image)))
            image.unlink()
        shutil.copytree(scene / "mask_visib", scene / "mask")
        (scene / "scene_gt_coco.json").write_text('{"annotations": []}')
    (tmp_path / "pbr" / "val").mkdir()
    scene.rename(tmp_path / "pbr" / "val" / scene.name)  # as the documentation says
    monkeypatch.setattr("casapose_ros.training.loop.Run", lambda *args: pytest.skip("far enough"))
    with pytest.raises(pytest.skip.Exception):
        train(arguments, data=tmp_path / "pbr", split="train_pbr", validation_split="val")


def test_which_sets_have_which_split(tmp_path):
    rng = np.random.default_rng(0)
    known = BopFolder(tmp_path / "a", (BOX,), [[(BOX, *random_pose(rng))]])
    known.scene_path.parent.rename(tmp_path / "a" / "train_pbr")
    for name in "bc":
        (tmp_path / name / "val").mkdir(parents=True)
    paths = tuple(tmp_path / name for name in "abc")
    assert validation_set(TrainingData(paths)).path == tmp_path / "b"
    assert validation_set(TrainingData(paths, validation=paths[2])).path == tmp_path / "c"
    with pytest.raises(DatasetError, match="no split val to validate on"):
        validation_set(TrainingData(paths[:1]))
    (found,) = training_sets(TrainingData(paths))
    assert found.dataset.path == tmp_path / "a" and len(found.frames) == 1
    with pytest.raises(DatasetError, match="no split train_pbr to learn from"):
        training_sets(TrainingData(paths[1:]))
    with pytest.raises(DatasetError, match="d/train_pbr: no such split"):
        training_sets(TrainingData((*paths, tmp_path / "d")))


def test_a_run_goes_on_with_the_data_it_began_with(tmp_path):
    rng = np.random.default_rng(0)
    folder = BopFolder(tmp_path / "data", (BOX,), [[(BOX, *random_pose(rng))]])
    data = TrainingData((tmp_path / "data",), split="test")

    def note(data=data, count=5, obj=BOX, trained=None):
        frames = FrameCache(*[np.zeros((count, 1))] * 4, 1.0)
        start = TrainingStart(TrainConfig(), (obj,), tmp_path, trained)
        note_data(tmp_path, data, training_sets(data), frames, start)

    note()
    note()
    note(obj=replace(BOX, keypoints=BOX.keypoints + 1e-12))
    with pytest.raises(ConfigError, match="other data .objects: .* there"):
        note(obj=replace(BOX, keypoints=BOX.keypoints + 1e-3))
    with pytest.raises(ConfigError, match="other data .trained_model: None there, .abc. here"):
        note(trained=Trained((BOX,), 1, {}, "abc"))
    truths = folder.scene_path / "scene_gt.json"
    before = truths.read_text()
    truths.write_text(before.replace('"cam_t_m2c": [', '"cam_t_m2c": [1', 1))
    with pytest.raises(ConfigError, match="other data .poses: .* there"):
        note()
    truths.write_text(before)
    (tmp_path / "data" / "test" / "render.json").write_text(json.dumps({"seed": 1}))
    with pytest.raises(ConfigError, match="other data.*frames: 5 there, 4 here; .*rendered.0: "):
        note(count=4)
    with pytest.raises(
        ConfigError, match="began with data sets, now it is to learn from frames on"
    ):
        note(TrainingData((), live=(EmptyJob(),), window=WindowConfig()))


def test_a_run_goes_on_after_scenarios_have_learned_more(tmp_path):
    """Its notes are of a version that knew fewer settings; those of then still count."""
    pose = random_pose(np.random.default_rng(0))
    BopFolder(tmp_path / "data", (BOX,), [[(BOX, *pose)]])
    data = TrainingData((tmp_path / "data",), split="test")
    scenes = to_dict(SceneConfig())

    def note(**changes):
        rendered = {"seed": 1, "config": scenes | changes}
        (tmp_path / "data" / "test" / "render.json").write_text(json.dumps(rendered))
        frames = FrameCache(*[np.zeros((5, 1))] * 4, 1.0)
        start = TrainingStart(TrainConfig(), (BOX,), tmp_path, None)
        note_data(tmp_path, data, training_sets(data), frames, start)

    note()
    noted = json.loads((tmp_path / "data.json").read_text())
    del noted["rendered"][0]["config"]["instances_per_object"]
    (tmp_path / "data.json").write_text(json.dumps(noted))
    with pytest.raises(ConfigError, match=r"instances_per_object.1: 1 there, 3 here"):
        note(instances_per_object=[1, 3])
    with pytest.raises(ConfigError, match=r"spacing.0: 0.6 there, 0.5 here"):
        note(spacing=[0.5, 1.3])
    note()


def test_what_is_rendered_on_the_fly_shows_the_scenarios_objects(tmp_path):
    objects = small_object_set(tmp_path).objects
    names = [obj.name for obj in objects]
    jobs = [RenderJob(tmp_path, SceneConfig(objects=n), 1, 0, None) for n in ((), (names[1],))]
    assert shown_objects(TrainingData((), live=(jobs[1],)), []) == {objects[1].bop_id: 1}
    assert set(shown_objects(TrainingData((), live=tuple(jobs)), [])) == {o.bop_id for o in objects}


def test_surfaces_are_those_of_the_meshes_else_of_the_trained_model(tmp_path, capsys):
    object_set = small_object_set(tmp_path / "set")
    first, second = object_set.objects[:2]
    elsewhere = replace(second, name="elsewhere")
    begin = TrainingStart(TrainConfig(), (first, second), object_set.path)
    surfaces = surfaces_to_learn_with(begin)
    np.testing.assert_array_equal(surfaces[1], sample_surface(object_set.mesh(second), second))
    trained = Trained((elsewhere,), 1, {}, "", (surfaces[1],))
    extended = TrainingStart(TrainConfig(), (elsewhere, first), object_set.path, trained)
    for found, expected in zip(surfaces_to_learn_with(extended), surfaces[::-1], strict=True):
        np.testing.assert_array_equal(found, expected)
    without = replace(extended, trained=replace(trained, surfaces=None))
    assert surfaces_to_learn_with(without) is None
    assert "no surface of elsewhere" in capsys.readouterr().out


def test_a_folder_has_one_run_at_a_time(arguments, capsys):
    arguments["--out"].mkdir()
    with locked(arguments["--out"] / "run"):
        assert train(arguments) == 2
    assert "another process is at work on it" in capsys.readouterr().err


class EmptyJob:
    frames = 1

    def describe(self):
        return {}
