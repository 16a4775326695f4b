"""``casapose evaluate`` on a small data set of boxes, with models whose mistakes are known."""

import csv
import dataclasses
import hashlib
import json
import math
import sys

import cv2
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import CAMERA, Scene, box_object, random_pose

from casapose_ros import cli
from casapose_ros.bundle import save_bundle
from casapose_ros.commands._measuring import Method, RunOptions
from casapose_ros.commands.evaluate import evaluate
from casapose_ros.errors import ConfigError, DatasetError, OutputError, RenderError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.network import NetworkConfig, build_network

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))
FILES = {
    "frames.jsonl",
    "report.html",
    "report.json",
    "objects.csv",
    "matches.csv",
    "pictures",
    "boxes-model_boxes-test.csv",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six images, the two objects in turn."""
    rng = np.random.default_rng(3)
    images = [[(OBJECTS[i % 2], *random_pose(rng))] for i in range(6)]
    return BopFolder(tmp_path_factory.mktemp("data") / "boxes", OBJECTS, images)


def method_of(model):
    return Method(model.name, model.objects, lambda: model)


@pytest.fixture
def measure(folder, tmp_path):
    """Evaluate a predictor; ``change`` maps each of its poses to another, or to None."""

    def run(predict=folder.predict, change=None, **options):
        model = PoseEstimator(predict, OBJECTS, (640, 480), name="boxes_model")
        if change is not None:
            original = model.run

            def run_changed(image, camera):
                estimate = original(image, camera)
                poses = [pose for pose in map(change, estimate.objects) if pose is not None]
                return dataclasses.replace(estimate, objects=poses)

            model.run = run_changed
        settings = {"split": "test", "out": tmp_path / "out"}
        return evaluate(method_of(model), folder.path, **(settings | options))

    return run


def test_perfect_poses(measure, folder, tmp_path):
    report = measure()
    total = report.total
    assert (report.frames, total.targets, total.found) == (6, 6, 6)
    assert total.recall_add_10 == total.recall_projection == total.recall_5cm_5deg == 1
    assert total.mean_mask_iou == 1 and total.median_keypoints < 0.01
    assert (total.wrong, total.absent) == (0, 0)
    assert report.origin.network_size == (640, 480) and report.ignored == {}
    assert report.bop.total.average_recall == 1 and report.bop.without_vsd
    assert report.detection.total.mean_average_precision == 1
    assert set(report.times) == {"preprocess", "network", "keypoints", "pnp"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    page = (tmp_path / "out" / "report.html").read_text()
    assert "No frame has a mistake" in page


def test_poses_two_diameters_away(measure, tmp_path):
    def push(pose):
        distance = 2 * OBJECTS[pose.class_id - 1].diameter
        return dataclasses.replace(pose, t_cam_obj=pose.t_cam_obj + [0, 0, distance])

    total = measure(change=push).total
    assert total.recall_add_10 == total.recall_add_20 == 0
    assert (total.found, total.wrong, total.absent) == (6, 6, 0)
    assert total.wrong_rate == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("off by 200 % of its diameter") == 2 * 6  # caption and alternative text


def test_nothing_found(measure):
    total = measure(predict=Scene(CAMERA, 2).predict).total
    assert (total.targets, total.found, total.estimates) == (6, 0, 0)
    assert total.recall_add_20 == 0 and math.isnan(total.absent_rate)


def test_estimates_of_absent_objects_are_counted(measure):
    def rename(pose):
        other = OBJECTS[2 - pose.class_id]
        return dataclasses.replace(pose, name=other.name, class_id=other.class_id)

    total = measure(change=rename).total
    assert (total.found, total.absent, total.absent_rate) == (0, 6, 1)


def test_poses_are_written_as_bop_wants_them(measure, folder, tmp_path):
    measure(limit=2)
    truths = json.loads((folder.scene_path / "scene_gt.json").read_text())
    with (tmp_path / "out" / "boxes-model_boxes-test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for index, row in enumerate(rows):
        (truth,) = truths[str(index)]
        assert (row["scene_id"], row["im_id"]) == ("0", str(index))
        assert int(row["obj_id"]) == truth["obj_id"]
        t = np.array(row["t"].split(), dtype=float)
        np.testing.assert_allclose(t, truth["cam_t_m2c"], atol=0.1)


def test_a_results_file_gives_the_figures_that_it_was_written_with(measure, folder, tmp_path):
    def push(pose):
        return dataclasses.replace(pose, t_cam_obj=pose.t_cam_obj + [0, 0, 0.02])

    first = measure(change=push)
    results, out = tmp_path / "out" / "boxes-model_boxes-test.csv", tmp_path / "again"
    arguments = ["evaluate", folder.path, "--estimates", results, "--out", out]
    assert cli.main([str(argument) for argument in arguments]) == 0
    values = json.loads((out / "report.json").read_text())
    (again,) = [s for s in values["summaries"] if s["name"] == "all"]
    assert again["recall_add_20"] == first.total.recall_add_20
    assert again["median_translation"] == pytest.approx(first.total.median_translation, abs=1e-12)
    assert values["bop"]["total"]["average_recall"] == first.bop.total.average_recall
    assert again["mean_keypoints"] is None


def test_estimates_of_other_images_are_left_out_and_said(measure, folder, tmp_path, capsys):
    measure()
    results = tmp_path / "out" / "boxes-model_boxes-test.csv"
    header, *lines = results.read_text().splitlines()
    moved = ["7" + line[1:] for line in lines]  # as if of scene 7
    arguments = ["evaluate", str(folder.path), "--estimates", str(results)]
    results.write_text("\n".join([header, *lines, *moved]) + "\n")
    assert cli.main([*arguments, "--out", str(tmp_path / "more")]) == 0
    values = json.loads((tmp_path / "more" / "report.json").read_text())
    assert values["frames"] == 6 and "6 images that are not in this split" in values["problems"][0]
    results.write_text("\n".join([header, *moved]) + "\n")
    assert cli.main([*arguments, "--out", str(tmp_path / "none")]) == cli.EXIT_BAD_INPUT
    assert "all estimates are of images that are not in this split" in capsys.readouterr().err


def test_a_stopped_run_goes_on(measure, folder, tmp_path):
    """The second half is run later, and nothing twice; the report is that of a whole run."""
    whole = measure()
    log = tmp_path / "out" / "frames.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:4]) + lines[4][:100])  # killed while writing the fourth frame
    seen = []

    def predict(image):
        seen.append(int(image[0, 0, 0]))
        return folder.predict(image)

    again = measure(predict=predict, options=RunOptions(resume=True))
    assert sorted(set(seen)) == [3, 4, 5]
    assert again.summaries == whole.summaries and again.intervals == whole.intervals
    assert len(log.read_text().splitlines()) == len(lines)


def test_a_run_is_not_resumed_with_another_model(measure, tmp_path):
    measure(limit=2)
    with pytest.raises(ConfigError, match="about another run .*frames.* without --resume"):
        measure(limit=3, options=RunOptions(resume=True))


@pytest.fixture
def own(tmp_path):
    """A data set of two images that a test may change."""
    rng = np.random.default_rng(5)
    images = [[(OBJECTS[i], *random_pose(rng))] for i in range(2)]
    return BopFolder(tmp_path / "own" / "boxes", OBJECTS, images)


def evaluate_own(own, out, split="test", **options):
    model = PoseEstimator(own.predict, OBJECTS, (640, 480), name="boxes_model")
    return evaluate(method_of(model), own.path, split, out, **options)


def test_a_run_is_not_resumed_on_data_that_changed(own, tmp_path):
    evaluate_own(own, tmp_path / "out")
    evaluate_own(own, tmp_path / "out", options=RunOptions(resume=True))
    path = own.scene_path / "scene_gt.json"
    truths = json.loads(path.read_text())
    truths["1"][0]["cam_t_m2c"][2] += 100
    path.write_text(json.dumps(truths))
    with pytest.raises(ConfigError, match="about another run"):
        evaluate_own(own, tmp_path / "out", options=RunOptions(resume=True))


def test_the_report_names_its_records(own, tmp_path):
    evaluate_own(own, tmp_path / "out")
    values = json.loads((tmp_path / "out" / "report.json").read_text())
    log = (tmp_path / "out" / "frames.jsonl").read_bytes()
    assert values["origin"]["records_sha256"] == hashlib.sha256(log).hexdigest()


def test_missing_visibilities_are_a_problem_of_the_report(own, tmp_path):
    (own.scene_path / "scene_gt_info.json").unlink()
    (problem,) = evaluate_own(own, tmp_path / "out").problems
    assert problem.startswith("2 of 2 images have no visibilities")


def test_a_split_may_be_a_path(own, tmp_path):
    (own.path / "real_photos").mkdir()
    (own.path / "test").rename(own.path / "real_photos" / "test")
    evaluate_own(own, tmp_path / "out", split="real_photos/test")
    assert (tmp_path / "out" / "boxes-model_boxes-real-photos-test.csv").is_file()


@pytest.fixture
def with_depth(own):
    """The same with depth images, of a wall in front of everything."""
    (own.scene_path / "depth").mkdir()
    for index in range(2):
        wall = np.full((CAMERA.height, CAMERA.width), 100, np.uint16)
        cv2.imwrite(str(own.scene_path / "depth" / f"{index:06d}.png"), wall)
    return own


def test_vsd_may_be_left_out(with_depth, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)  # as if it was not installed
    bop = evaluate_own(with_depth, tmp_path / "out", vsd=False).bop
    assert bop.total.vsd is None and bop.without_vsd == "it was left out by --no-vsd"
    assert "it was left out by --no-vsd" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("missing", ["moderngl", "OpenGL"])
def test_what_vsd_lacks_is_said_before_the_run(with_depth, tmp_path, monkeypatch, missing):
    if missing == "moderngl":
        for module in ("depth_rendering", "opengl", "uploading"):
            monkeypatch.delitem(sys.modules, f"casapose_ros.data.{module}", raising=False)
        monkeypatch.setitem(sys.modules, "moderngl", None)
        words = r"needs moderngl: pip install 'casapose_ros\[render\]'.*--no-vsd"
    else:

        def refuse(meshes):
            raise RenderError("there is no EGL")

        monkeypatch.setattr("casapose_ros.data.depth_rendering.DepthRenderer", refuse)
        words = "there is no EGL; or leave .* out with --no-vsd"
    with pytest.raises(RenderError, match=words):
        evaluate_own(with_depth, tmp_path / "out")
    assert not (tmp_path / "out" / "frames.jsonl").exists()


def test_a_results_file_may_be_measured_on_the_first_images_alone(measure, folder, tmp_path):
    measure()
    results, out = tmp_path / "out" / "boxes-model_boxes-test.csv", tmp_path / "again"
    arguments = ["evaluate", folder.path, "--estimates", results, "--out", out, "--limit", "2"]
    assert cli.main([str(argument) for argument in arguments]) == 0
    values = json.loads((out / "report.json").read_text())
    assert values["frames"] == 2 and values["problems"] == []
    assert values["summaries"][-1]["estimates"] == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--network-size", "96x72"],
        ["--max-instances", "2"],
        ["--jobs", "2"],
        ["--cluster", "tcp://a:1"],
        ["--resume"],
    ],
)
def test_options_of_runs_are_refused_with_estimates(folder, tmp_path, capsys, options):
    arguments = ["evaluate", str(folder.path), "--estimates", str(tmp_path / "x.csv"), *options]
    assert cli.main(arguments) == cli.EXIT_BAD_INPUT
    assert f"{options[0]}: only with --model" in capsys.readouterr().err


def test_objects_that_the_model_does_not_know_are_named(folder, tmp_path):
    images = [[(box_object(1), *random_pose(np.random.default_rng(1)))], []]
    stranger = box_object(3)
    images[1].append((stranger, *random_pose(np.random.default_rng(2))))
    mixed = BopFolder(tmp_path / "mixed", [*OBJECTS, stranger], images)
    model = PoseEstimator(Scene(CAMERA, 2).predict, OBJECTS, (640, 480), name="boxes")
    report = evaluate(method_of(model), mixed.path, "test", tmp_path / "out")
    assert report.ignored == {13: 1} and report.total.targets == 1
    knows_nothing = PoseEstimator(mixed.predict, [box_object(1, name="cup")], (640, 480))
    knows_nothing.objects = (dataclasses.replace(OBJECTS[0], bop_id=99),)
    with pytest.raises(DatasetError, match="nothing to evaluate"):
        evaluate(method_of(knows_nothing), mixed.path, "test", tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_said_before_the_run(measure, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make this folder"):
        measure(out=tmp_path / "file" / "out")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A small network that has learnt nothing: the figures are bad, the path is the real one."""
    path = tmp_path_factory.mktemp("model")
    network = build_network(NetworkConfig(num_objects=2, width=0.125))
    save_bundle(path, network, OBJECTS, name="untrained", input_size=(64, 48))
    return path


def test_the_command_from_bundle_to_report(folder, bundle, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["evaluate", folder.path, "--model", bundle, "--out", out]
    arguments += ["--network-size", "96x72", "--limit", "2", "--min-visibility", "0.5"]
    arguments += ["--max-instances", "3"]
    assert cli.main([str(argument) for argument in arguments]) == 0
    values = json.loads((out / "report.json").read_text())
    assert values["frames"] == 2 and values["origin"]["network_size"] == [96, 72]
    assert values["min_visibility"] == 0.5
    assert '"max_instances":3,' in (out / "frames.jsonl").read_text().splitlines()[0]
    assert values["origin"]["settings"]["max_instances"] == 3
    assert "max_instances 3, keypoint_method dkr" in (out / "report.html").read_text()
    printed = capsys.readouterr().out
    assert "untrained on boxes/test" in printed and "2 frames" in printed


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--min-visibility", "1.5", "must be in 0..1, got 1.5"),
        ("--limit", "0", "must be at least 1, got 0"),
        ("--network-size", "big", "'big'"),
        ("--max-instances", "0", "max_instances must be 1 to 100, got 0"),
        ("--split", "nowhere", "no such split"),
    ],
)
def test_bad_options(folder, bundle, capsys, option, value, message):
    arguments = ["evaluate", str(folder.path), "--model", str(bundle), option, value]
    assert cli.main(arguments) == cli.EXIT_BAD_INPUT
    assert message in capsys.readouterr().err
