"""``casapose bag``: bags of a small data set of boxes, measured with a perfect network."""

import json
import os
import shutil
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import CAMERA, box_object, random_pose

from casapose_ros import cli
from casapose_ros.bags.choosing import BagOptions
from casapose_ros.bags.frames import BagSource
from casapose_ros.commands._bag_evaluation import evaluate_bags
from casapose_ros.commands._bag_identity import short_names
from casapose_ros.commands._measuring import Method, RunOptions
from casapose_ros.commands.evaluate import evaluate
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.evaluation import record_log, running
from casapose_ros.evaluation.reporting import assembling
from casapose_ros.objects import write_objects
from casapose_ros.types import CameraModel

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four images, the two objects in turn, and their object set."""
    rng = np.random.default_rng(3)
    images = [[(OBJECTS[i % 2], *random_pose(rng))] for i in range(4)]
    path = tmp_path_factory.mktemp("data") / "boxes"
    folder = BopFolder(path, OBJECTS, images)
    shutil.copytree(path / "models", path.parent / "set")
    write_objects(path.parent / "set" / "objects.json", OBJECTS)
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def from_bop(folder, *options):
    return cli.main(["bag", "from-bop", str(folder.path), *options])


def method(folder):
    model = PoseEstimator(folder.predict, OBJECTS, (640, 480), name="boxes_model")
    return Method(model.name, model.objects, lambda: model)


def measure(folder, bags, objects, out="out", run=None, **options):
    bags = [Path(bag) for bag in bags]
    options = BagOptions(**options)
    return evaluate_bags(method(folder), bags, objects, Path(out), run or RunOptions(), options)


def test_from_bop(folder, work, capsys):
    assert from_bop(folder, "run.mcap", "--objects", str(folder.path.parent / "set")) == 0
    assert {p.name for p in (work / "run").iterdir()} == {"run.mcap", "metadata.yaml"}
    printed = capsys.readouterr().out
    assert "wrote run/: run.mcap and metadata.yaml, 3.7 MB" in printed
    assert "4 images at 10 Hz" in printed and "/camera/ground_truth: 4" in printed
    assert len(list(BagSource("run.mcap", OBJECTS).frames())) == 4


def test_from_bop_in_part(folder, work, capsys):
    assert from_bop(folder, "run", "--limit", "2", "--scene", "0", "--storage", "sqlite3") == 0
    assert len(BagSource("run", OBJECTS)) == 2 and (work / "run" / "run.db3").is_file()
    assert from_bop(folder, "other", "--scene", "7") == 2
    assert from_bop(folder, "other", "--limit", "0") == 2
    assert from_bop(folder, "run.db3") == 2
    errors = capsys.readouterr().err.splitlines()
    assert "--scene 7:" in errors[0] and "has the scenes 0" in errors[0]
    assert "--limit must be at least 1" in errors[1]
    assert errors[2] == "casapose bag: run: exists already; remove it or name another bag"
    assert [p.name for p in work.iterdir()] == ["run"]


def test_from_images(folder, work, capsys):
    camera = {"fx": CAMERA.K[0, 0], "fy": CAMERA.K[1, 1], "cx": CAMERA.K[0, 2],
              "cy": CAMERA.K[1, 2], "width": CAMERA.width, "height": CAMERA.height}  # fmt: skip
    (work / "camera.json").write_text(json.dumps(camera))
    images = str(folder.scene_path / "rgb")
    arguments = ["bag", "from-images", images, "run.mcap", "--camera", "camera.json"]
    assert cli.main([*arguments, "--compressed", "png"]) == 0
    truth = folder.scene_path / "scene_gt.json"
    source = BagSource("run", OBJECTS, BagOptions(truth_files=(truth,)))
    assert [int(frame.image[0, 0, 0]) for frame in source.frames()] == [0, 1, 2, 3]
    assert source.counts == {"box1": 2, "box2": 2}
    (work / "nothing").mkdir()
    assert cli.main(["bag", "from-images", "nothing", "other", *arguments[4:]]) == 2
    assert "nothing: no images" in capsys.readouterr().err
    cv2.imwrite("small.png", np.zeros((2, 2, 3), np.uint8))
    assert cli.main(["bag", "from-images", "small.png", "other", *arguments[4:]]) == 2
    assert not (work / "other").exists()


def test_a_bag_gives_the_same_figures_as_its_data_set(folder, work):
    from_bop(folder, "run.mcap", "--objects", str(folder.path.parent / "set"))
    expected = evaluate(method(folder), folder.path, "test", work / "expected")
    for objects in (folder.path, folder.path.parent / "set"):
        report = measure(folder, ["run.mcap"], objects)
        assert (report.frames, report.total.targets, report.total.found) == (4, 4, 4)
        assert report.problems == ()
        for found, match in zip(
            report.judgements.matches(), expected.judgements.matches(), strict=True
        ):
            assert (found.name, found.outcome, found.score) == (
                match.name, match.outcome, match.score
            )  # fmt: skip
            for error in ("add", "projection", "translation", "keypoints"):
                a, b = (getattr(m.errors, error) for m in (found, match))
                assert a == pytest.approx(b, abs=1e-9)
        assert report.bop.total.average_recall == expected.bop.total.average_recall == 1
    assert (work / "out" / "report.html").is_file()


def test_several_bags_make_one_report(folder, work):
    from_bop(folder, "one", "--limit", "3")
    from_bop(folder, "two", "--compressed", "png")
    report = measure(folder, ["one", "two"], folder.path)
    assert (report.frames, report.total.found) == (7, 7)
    assert report.origin.data == "2 bags" and report.origin.parts == ("one", "two")
    assert {name.split("/")[0] for name in report.judgements.frames} == {"one", "two"}
    with pytest.raises(ConfigError, match="one is named more than once"):
        measure(folder, ["one", "one"], folder.path)
    for spelling in ("one/one.mcap", "../" + work.name + "/one"):
        with pytest.raises(ConfigError, match="is named more than once: one has the same"):
            measure(folder, ["one", spelling], folder.path)
    truth = folder.scene_path / "scene_gt.json"
    with pytest.raises(ConfigError, match="--truth is given 1 times for 2 cameras"):
        measure(folder, ["one", "two"], folder.path, truth_files=(truth,))


def test_bags_of_one_name_are_told_apart(folder, work):
    from_bop(folder, "monday/run", "--limit", "1")
    from_bop(folder, "tuesday/run", "--limit", "2")
    report = measure(folder, ["monday/run", "tuesday/run"], folder.path)
    assert report.origin.parts == ("monday/run", "tuesday/run")
    assert short_names(["/a/b/run", "/c/b/run", "/c/other"]) == ["a/b/run", "c/b/run", "other"]


def test_a_run_goes_on_with_the_same_files_alone(folder, work):
    from_bop(folder, "run")
    truth = folder.scene_path / "scene_gt.json"
    (work / "000000").mkdir()
    shutil.copy(truth, work / "000000")
    options = {"truth_files": (work / "000000" / "scene_gt.json",), "camera": CAMERA}
    resume = RunOptions(resume=True)
    measure(folder, ["run"], folder.path, **options)
    measure(folder, ["run"], folder.path, run=resume, **options)
    bent = CameraModel(CAMERA.K, CAMERA.width, CAMERA.height, np.full(5, 1e-3), "plumb_bob")
    with pytest.raises(ConfigError, match="is about another run"):
        measure(folder, ["run"], folder.path, run=resume, **options | {"camera": bent})
    for file in ("run/run.mcap", "000000/scene_gt.json"):
        time = (work / file).stat().st_mtime_ns
        os.utime(work / file, ns=(time, time + 1000))
        with pytest.raises(ConfigError, match="is about another run"):
            measure(folder, ["run"], folder.path, run=resume, **options)
        os.utime(work / file, ns=(time, time))
    measure(folder, ["run"], folder.path, run=resume, **options)


def test_a_stopped_run_goes_on_and_gives_the_same(folder, work):
    from_bop(folder, "run")
    whole = measure(folder, ["run"], folder.path)
    log = work / "out" / "frames.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:3]) + lines[3][:50])
    resumed = measure(folder, ["run"], folder.path, run=RunOptions(resume=True))
    assert log.read_text().count("\n") == 5
    assert resumed.judgements.rows.tobytes() == whole.judgements.rows.tobytes()
    with pytest.raises(ConfigError, match="is about another run"):
        measure(folder, ["run"], folder.path, run=RunOptions(resume=True), limit=2)


def test_frames_are_not_kept_in_memory(folder, work, monkeypatch):
    """Neither while the model runs nor while the report is made, of which there is no end."""
    alive, most = {}, {}

    def watch(module, name):
        original = getattr(module, name)

        def watched(*args, **kwargs):
            made = original(*args, **kwargs)
            mine = [ref for ref in alive.get(name, []) if ref() is not None]
            alive[name] = [*mine, weakref.ref(made)]
            most[name] = max(most.get(name, 0), len(alive[name]))
            return made

        monkeypatch.setattr(module, name, watched)

    watch(running, "observe")
    watch(record_log, "record_from_json")
    watch(assembling, "judge")
    from_bop(folder, "run")
    assert measure(folder, ["run"], folder.path).frames == 4
    # The one at hand, and the next one while it takes its place.
    assert most == {"observe": 2, "record_from_json": 2, "judge": 2}
    assert not [ref for refs in alive.values() for ref in refs if ref() is not None]


def test_damaged_bag_is_measured_as_far_as_it_goes(folder, work):
    from_bop(folder, "run")
    file = work / "run" / "run.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    report = measure(folder, ["run"], folder.path)
    assert (report.frames, report.total.found) == (2, 2)
    assert any("cut off or damaged" in problem for problem in report.problems)


def test_nothing_to_measure(folder, work):
    from_bop(folder, "run")
    file = work / "run" / "run.mcap"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    with pytest.raises(
        DatasetError, match="no images in this bag; it has no topics.*; lost: .*cut off"
    ):
        measure(folder, ["run"], folder.path)
    file.write_bytes(whole)
    with pytest.raises(DatasetError, match="no image can be evaluated; run: 4 images without a c"):
        measure(folder, ["run"], folder.path, camera=CameraModel(CAMERA.K, 9, 9))
    stranger = (box_object(5),)
    other = Method("other", stranger, lambda: None)
    with pytest.raises(DatasetError, match="shows obj_000011, obj_000012, the model knows box5"):
        evaluate_bags(other, [Path("run")], folder.path, Path("out"), RunOptions(), BagOptions())


def test_meshes_must_be_those_of_the_model(folder, work):
    from_bop(folder, "run")
    (work / "set").mkdir()
    for file in (folder.path.parent / "set").iterdir():
        shutil.copy(file, work / "set")
    write_objects(work / "set" / "objects.json", (box_object(1, (0.3, 0.2, 0.1)),))
    with pytest.raises(DatasetError, match="11 is 0.3742 m across, .box1.*0.1562 m: not the same"):
        measure(folder, ["run"], work / "set")
    write_objects(work / "set" / "objects.json", (box_object(1),))
    with pytest.raises(DatasetError, match="no box2 in this object set"):
        measure(folder, ["run"], work / "set")


def test_command_says_what_it_needs(work, capsys):
    assert cli.main(["bag", "evaluate", "run", "--model", "nothing"]) == 2
    assert "a bundle knows of its objects the keypoints alone" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["bag"])
    with pytest.raises(SystemExit):
        cli.main(["bag", "evaluate"])
    assert "--model" in capsys.readouterr().err


def test_rotations_that_are_none_are_noticed(folder, work, capsys, tmp_path):
    """As of object 5 of LM-O, whose matrices scale by 0.5 %."""
    copy = shutil.copytree(folder.path, tmp_path / "copy")
    file = copy / "test" / "000000" / "scene_gt.json"
    truths = json.loads(file.read_text())
    truths["0"][0]["cam_R_m2c"] = [1.0045 * x for x in truths["0"][0]["cam_R_m2c"]]
    file.write_text(json.dumps(truths))
    assert cli.main(["bag", "from-bop", str(copy), "run"]) == 0
    assert "rotations of the objects [11] are none by up to 0.009" in capsys.readouterr().out
    assert len(list(BagSource("run", OBJECTS).frames())) == 4


def test_a_pixel_too_many_does_not_cost_the_image(folder, work, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(folder.path, data)
    path = data / "test" / "000000" / "scene_gt_info.json"
    infos = json.loads(path.read_text())
    infos["0"][0]["visib_fract"] = 1.00003
    path.write_text(json.dumps(infos))
    assert cli.main(["bag", "from-bop", str(data), "b"]) == 0
    source = BagSource("b", OBJECTS)
    assert len(list(source.frames())) == 4 and source.problems == []
