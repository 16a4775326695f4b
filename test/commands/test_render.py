import json
import os
import shutil
import signal
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from rendered import SMALL_SCENES, require_gl, small_object_set

from casapose_ros import cli
from casapose_ros.config import load_yaml, to_dict
from casapose_ros.data import render_job
from casapose_ros.data.bop import BopDataset
from casapose_ros.data.bop_writer import BopWriter
from casapose_ros.data.meshes import load_mesh, load_object_set
from casapose_ros.data.object_sets import describe_object, write_object_set
from casapose_ros.data.render_job import RenderJob
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.errors import RenderError
from casapose_ros.geometry import project

pytestmark = pytest.mark.usefixtures("gl")


@pytest.fixture(scope="session")
def gl():
    require_gl()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """Arguments that name an object set and a fast scenario."""
    path = tmp_path_factory.mktemp("render")
    small_object_set(path / "objects")
    (path / "scene.yaml").write_text(yaml.safe_dump(to_dict(SMALL_SCENES)))
    return ["--objects", f"{path / 'objects'}", "--config", f"{path / 'scene.yaml'}"]


def render(inputs, out, *more, frames=5):
    return cli.main(["render", *inputs, "--out", str(out), "--frames", str(frames), *more])


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="session")
def rendered(inputs, tmp_path_factory):
    """Five frames rendered in this process."""
    out = tmp_path_factory.mktemp("one")
    assert render(inputs, out, "--depth") == 0
    return out


def test_images_agree_with_their_ground_truth(rendered):
    frames = list(BopDataset(rendered, "train_pbr"))
    assert [f.image_id for f in frames] == [0, 1, 2, 3, 4]
    for frame in frames:
        assert frame.load_image().shape == (120, 160, 3)
        depth = frame.load_depth()
        for index, truth in enumerate(frame.objects):
            mask = frame.load_mask(index)
            assert mask.sum() == truth.px_count_visib
            assert truth.visib_fract == pytest.approx(truth.px_count_visib / truth.px_count_all)
            mesh = load_mesh(rendered / "models" / f"obj_{truth.bop_id:06d}.ply", "mm")
            corners = project(mesh.vertices, truth.R_cam_obj, truth.t_cam_obj, frame.camera)
            x, y, width, height = truth.bbox_obj
            assert np.allclose(corners.min(axis=0), [x, y], atol=1.6)
            assert np.allclose(corners.max(axis=0), [x + width, y + height], atol=1.6)
            reach = np.linalg.norm(mesh.vertices, axis=1).max()
            assert np.abs(depth[mask] - truth.t_cam_obj[2]).max() < reach + 1e-3


def test_two_processes_make_the_same_set(inputs, rendered, tmp_path):
    assert render(inputs, tmp_path, "--depth", "--jobs", "2") == 0
    assert content(tmp_path) == content(rendered)


def test_other_seed_other_images(inputs, rendered, tmp_path):
    assert render(inputs, tmp_path, "--seed", "1", frames=1) == 0
    (other,) = BopDataset(tmp_path, "train_pbr")
    first = next(iter(BopDataset(rendered, "train_pbr")))
    assert not np.array_equal(other.load_image(), first.load_image())


def test_killed_run_resumes_to_the_same_set(inputs, rendered, tmp_path, monkeypatch):
    write = render_job.BopWriter.write

    def write_twice_then_die(self, index, frame):
        if index == 2:
            raise KeyboardInterrupt
        write(self, index, frame)

    monkeypatch.setattr(render_job.BopWriter, "write", write_twice_then_die)
    assert render(inputs, tmp_path, "--depth") == 130
    monkeypatch.undo()
    assert render(inputs, tmp_path, "--depth", "--resume") == 0
    assert content(tmp_path) == content(rendered)


def test_resume_can_add_frames(inputs, rendered, tmp_path):
    assert render(inputs, tmp_path, "--depth", frames=2) == 0
    assert render(inputs, tmp_path, "--depth", "--resume") == 0
    assert content(tmp_path) == content(rendered)


def test_jpeg_test_split_with_targets(inputs, tmp_path):
    assert render(inputs, tmp_path, "--format", "jpg", "--split", "test", frames=2) == 0
    targets = json.loads((tmp_path / "test_targets_bop19.json").read_text())
    assert {t["im_id"] for t in targets} <= {0, 1} and targets
    assert len(list((tmp_path / "test" / "000000" / "rgb").glob("*.jpg"))) == 2


def test_existing_split_is_not_overwritten(inputs, rendered, capsys):
    assert render(inputs, rendered) == 2
    assert "train_pbr exists: give --resume" in capsys.readouterr().err


def test_resume_with_other_settings_names_them(inputs, rendered, capsys):
    assert render(inputs, rendered, "--resume", "--seed", "3", "--format", "png", "--depth") == 2
    assert (
        "settings (seed: 0 there, 3 here; jpg: True there, False here)" in capsys.readouterr().err
    )


def test_what_others_have_made_stays_as_it_is(inputs, rendered, tmp_path, capsys):
    """A data set of its own with the same objects gets a split, and keeps its files."""
    models = tmp_path / "models"
    shutil.copytree(rendered / "models", models)
    (models / "objects.json").unlink()
    (tmp_path / "camera.json").write_text("{}")
    known = content(tmp_path)
    assert render(inputs, tmp_path, "--split", "val", frames=1) == 0
    assert known.items() <= content(tmp_path).items() and not (models / "objects.json").exists()
    theirs = tmp_path / "train_pbr" / "000000"
    theirs.mkdir(parents=True)
    assert render(inputs, tmp_path, "--resume", frames=1) == 2
    assert "has scenes that 'casapose render' has not made" in capsys.readouterr().err
    infos = json.loads((models / "models_info.json").read_text())
    infos.pop(next(iter(infos)))
    (models / "models_info.json").write_text(json.dumps(infos))
    assert render(inputs, tmp_path, "--split", "test", frames=1) == 2
    assert "render into another folder" in capsys.readouterr().err
    assert not (tmp_path / "test").exists()


def test_fewer_frames_than_there_are(inputs, rendered, capsys):
    assert render(inputs, rendered, "--resume", "--depth", frames=3) == 2
    assert "has 5 frames already, and 3 are asked for" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_disk_that_fills_up_is_said(inputs, tmp_path, capsys, monkeypatch, jobs):
    out = tmp_path / "out"
    # A file where the folder of the images has to be.
    (out / "train_pbr" / "000000").mkdir(parents=True)
    (out / "train_pbr" / "render.json").write_text(json.dumps(describe(inputs, out)))
    (out / "train_pbr" / "000000" / "rgb").write_text("")
    assert render(inputs, out, "--resume", "--jobs", jobs, frames=2) == 2
    said = capsys.readouterr().err
    assert "train_pbr/000000/rgb" in said and "Traceback" not in said


def describe(inputs, out):
    config = load_yaml(SceneConfig, inputs[3])
    return RenderJob(Path(inputs[1]), config, 2, 0, BopWriter(out, "train_pbr", True)).describe()


def test_full_disk_is_said_before_it_starts(inputs, tmp_path, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(render_job.shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    assert render(inputs, tmp_path / "out", frames=10000) == 2
    assert "10000 frames need about 0.2 GB, but only 0.0 GB" in capsys.readouterr().err
    assert not (tmp_path / "out" / "train_pbr").exists()


def test_worker_errors_arrive(inputs, tmp_path, capsys, monkeypatch):
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text(
        yaml.safe_dump(to_dict(SMALL_SCENES) | {"distance_m": [0.3, 0.3], "spacing": [1, 1]})
    )
    arguments = [*inputs[:3], str(narrow)]
    assert render(arguments, tmp_path / "out", "--jobs", "2", frames=2) == 2
    assert "no room for 2 to 2 objects" in capsys.readouterr().err


class DyingWriter(BopWriter):
    """Ends its process without a word, as the kernel does when memory runs out."""

    def write(self, index, frame):
        os._exit(9)


def test_killed_worker_is_noticed(inputs, tmp_path):
    writer = DyingWriter(tmp_path, "train_pbr")
    job = render_job.RenderJob(Path(inputs[1]), SMALL_SCENES, 2, 0, writer)
    with pytest.raises(RenderError, match=r"a render process died \(exit codes \[9"):
        render_job.render_parallel(job, [0], 2, lambda: None)


class HalfDyingWriter(BopWriter):
    """The process that has frame 1 is killed, the other one goes on."""

    def write(self, index, frame):
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker_is_noticed_while_others_work(inputs, tmp_path):
    count, done = 400, []
    writer = HalfDyingWriter(tmp_path, "train_pbr")
    job = render_job.RenderJob(Path(inputs[1]), SMALL_SCENES, count, 0, writer)
    with pytest.raises(RenderError, match=r"a render process died \(exit codes \[None, -9"):
        render_job.render_parallel(job, list(range(count)), 2, lambda: done.append(1))
    assert len(done) < count // 2


def test_frames_of_another_object_set_are_not_added(inputs, tmp_path, capsys):
    out = tmp_path / "out"
    assert render(inputs, out, frames=1) == 0
    shutil.rmtree(out / "models")  # as before the first part was finished
    moved = tmp_path / "moved"
    object_set = load_object_set(Path(inputs[1]))
    meshes = [object_set.mesh(obj) for obj in object_set.objects]
    meshes = [replace(mesh, vertices=mesh.vertices + [0.002, 0, 0]) for mesh in meshes]
    objects = [
        describe_object(mesh.vertices, obj.name, obj.class_id, obj.bop_id)
        for mesh, obj in zip(meshes, object_set.objects, strict=True)
    ]
    write_object_set(moved, objects, meshes)
    others = [inputs[0], str(moved), *inputs[2:]]
    assert render(others, out, "--resume", frames=2) == 2
    assert "begun with other settings (object_set:" in capsys.readouterr().err


def test_a_set_begun_by_an_older_version_goes_on(inputs, tmp_path):
    out = tmp_path / "out"
    assert render(inputs, out, frames=1) == 0
    note = out / "train_pbr" / "render.json"
    known = json.loads(note.read_text())
    del known["object_set"], known["config"]["lookalike_probability"]
    note.write_text(json.dumps(known))
    assert render(inputs, out, "--resume", frames=2) == 0


def test_images_are_not_written_into_the_object_set(inputs, tmp_path, capsys):
    assert render(inputs, Path(inputs[1]) / "data", frames=1) == 2
    assert "is inside the object set" in capsys.readouterr().err


class FailingWriter(BopWriter):
    def write(self, index, frame):
        raise OSError("No space left on device")


def test_unexpected_failure_of_a_worker_is_shown(inputs, tmp_path):
    writer = FailingWriter(tmp_path, "train_pbr")
    job = render_job.RenderJob(Path(inputs[1]), SMALL_SCENES, 2, 0, writer)
    with pytest.raises(RenderError, match="No space left on device"):
        render_job.render_parallel(job, [0], 2, lambda: None)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--frames", "0"], "--frames must be at least 1"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--seed", "-1"], "--seed must not be negative"),
        (["--config", "missing.yaml"], "missing.yaml: no such settings file"),
        (["--objects", "missing"], "missing"),
    ],
)
def test_bad_arguments_are_named(inputs, tmp_path, capsys, more, message):
    assert render(inputs, tmp_path / "out", *more) == 2
    assert message in capsys.readouterr().err


def test_preview_writes_one_picture(inputs, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    arguments = ["render", *inputs, "--contact-sheet", str(sheet), "--frames", "2"]
    assert cli.main(arguments) == 0
    assert cv2.imread(str(sheet)).shape == (480, 1280, 3)
    assert list(tmp_path.iterdir()) == [sheet]
    assert cli.main(["render", *inputs]) == 2
    assert "give --out" in capsys.readouterr().err
    assert cli.main(["render", *inputs, "--contact-sheet", str(tmp_path / "sheet")]) == 2
    assert "expected a .png or .jpg" in capsys.readouterr().err


def test_run_says_what_it_needs_and_how_fast_it_was(inputs, tmp_path, capsys):
    assert render(inputs, tmp_path / "out", frames=2) == 0
    said = capsys.readouterr().out
    assert "2 frames to render: about" in said
    assert "OpenGL on" in said
    assert f"frames/s with 1 process on {len(os.sched_getaffinity(0))} cores" in said
