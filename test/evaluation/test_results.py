"""The BOP results file, written and read."""

import csv

import numpy as np
import pytest

from casapose_ros.errors import DatasetError, OutputError
from casapose_ros.evaluation.results import FrameResult, read_bop_csv, write_bop_csv

HEADER = "scene_id,im_id,obj_id,score,R,t,time"
UPRIGHT = "1 0 0 0 1 0 0 0 1"
LINE = f"2,31,11,0.9,{UPRIGHT},10 20 600,0.25"
BOP_IDS = {"cube": 11, "bar": 12}


@pytest.fixture
def objects(references):
    return [reference.model for reference in references.values()]


@pytest.fixture
def read(tmp_path, objects):
    def make(*lines, header=HEADER):
        path = tmp_path / "method_set-test.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return read_bop_csv(path, objects)

    return make


def test_one_line_per_estimate_in_millimetres(tmp_path, true_object, estimate_of):
    poses = tuple(estimate_of(true_object(name), score=0.25) for name in ("cube", "bar"))
    times = {"network": 0.2, "pnp": 0.05}
    results = [FrameResult(2, 31, poses, times), FrameResult(2, 32, (), times)]
    write_bop_csv(results, {"cube": 5, "bar": 9}, tmp_path / "poses.csv")
    with (tmp_path / "poses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["scene_id"], r["im_id"], r["obj_id"]) for r in rows] == [
        ("2", "31", "5"),
        ("2", "31", "9"),
    ]
    assert float(rows[0]["score"]) == 0.25
    assert float(rows[0]["time"]) == pytest.approx(0.25)
    R = np.array(rows[0]["R"].split(), dtype=float).reshape(3, 3)
    np.testing.assert_array_equal(R, poses[0].R_cam_obj)
    np.testing.assert_allclose(np.array(rows[0]["t"].split(), dtype=float), [0, 20, 600])


def test_frames_are_named_as_in_bop():
    assert FrameResult(2, 31, (), {}).name == "000002/000031"


def test_what_is_written_is_read_again(tmp_path, objects, true_object, estimate_of):
    cube, bar = true_object("cube"), true_object("bar", x=0.1)
    poses = (
        estimate_of(bar, score=0.9),
        estimate_of(cube, score=0.1 + 0.2),
        estimate_of(cube, (0.01, 0, 0), score=0.3),
    )
    path = tmp_path / "method_set-test.csv"
    written = [FrameResult(3, 7, poses, {"network": 0.1}), FrameResult(2, 9, poses[:1], {})]
    write_bop_csv(written, BOP_IDS, path)
    first, second = read_bop_csv(path, objects)
    assert (first.name, second.name) == ("000003/000007", "000002/000009")
    assert first.times == {"total": 0.1} and second.times == {}
    assert [(p.name, p.class_id, p.instance_id) for p in first.poses] == [
        ("bar", 2, 0),
        ("cube", 1, 0),
        ("cube", 1, 1),
    ]
    for old, new in zip(poses, first.poses, strict=True):
        assert new.score == old.score
        np.testing.assert_array_equal(new.R_cam_obj, old.R_cam_obj)
        np.testing.assert_allclose(new.t_cam_obj, old.t_cam_obj, rtol=1e-15)


def test_what_a_results_file_lacks_is_not_made_up(read):
    (pose,) = read(LINE)[0].poses
    for value in (pose.covariance, pose.keypoints, pose.keypoint_covariances, pose.box):
        assert np.isnan(value).all()
    assert np.isnan(pose.reprojection_error) and pose.visible_pixels == 0


def test_the_best_score_comes_first_and_equal_ones_stay_in_order(read):
    lines = [f"2,31,11,{s},{UPRIGHT},{x} 0 600,-1" for x, s in enumerate((0.2, 1.7, 0.2, -3))]
    (result,) = read(*lines)
    assert [round(1000 * pose.t_cam_obj[0]) for pose in result.poses] == [1, 0, 2, 3]
    assert result.times == {}


def test_lines_of_an_image_need_not_stand_together(read):
    results = read(LINE, LINE.replace(",31,", ",32,"), LINE.replace(",11,", ",12,"), "")
    assert [(result.image_id, len(result.poses)) for result in results] == [(31, 2), (32, 1)]


def test_a_file_without_estimates_is_read(read):
    assert read() == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2,31,11,0.9", "line 3: expected 7 values .* got 4"),
        (LINE.replace(" ", ","), "line 3: expected 7 values .* got 17"),
        (LINE.replace("2,31", "a,31"), "line 3: scene_id: expected 1 whole number, got 'a'"),
        (LINE.replace("2,31", "2.5,31"), "line 3: scene_id: expected 1 whole number, got '2.5'"),
        (LINE.replace("2,31", "2,-1"), "line 3: .* are 0 or more"),
        (LINE.replace("0.9", "nan"), "line 3: score: expected 1 finite number, got 'nan'"),
        (LINE.replace("0.9", ""), "line 3: score: expected 1 finite number, got ''"),
        (LINE.replace("600", "inf"), "line 3: t: expected 3 finite numbers, got '10 20 inf'"),
        (LINE.replace("20 600", "20"), "line 3: t: expected 3 finite numbers, got '10 20'"),
        (LINE.replace("1 0 0 0 1", "nan 0 0 0 1"), "line 3: R: expected 9 finite numbers"),
        (LINE.replace("1 0 0 0 1", "2 0 0 0 1"), "line 3: R is not a rotation"),
        (LINE.replace("0 0 1,", "0 0 -1,"), "line 3: R is not a rotation"),
        (LINE.replace("0.25", "-2"), "line 3: time -2 s is negative; -1 says"),
        (LINE.replace("0.25", "soon"), "line 3: time: expected 1 finite number"),
        (LINE.replace("0.25", "0.2515"), "line 3: time 0.2515 s, but 0.25 s on an earlier line"),
        (LINE.replace("0.25", "-1"), "line 3: time -1 s, but 0.25 s"),
        (LINE.replace(",11,", ",5,"), "line 3: obj_id 5 is none of .* known here: 11, 12"),
    ],
)
def test_a_bad_line_is_named_with_its_number(read, line, message):
    with pytest.raises(DatasetError, match=rf"method_set-test\.csv: {message}"):
        read(LINE, line)


def test_times_may_differ_by_rounding(read):
    assert read(LINE, LINE.replace("0.25", "0.2509"))[0].times == {"total": 0.25}


def test_two_decimals_are_enough_of_a_rotation(read):
    turned = LINE.replace(UPRIGHT, "0.87 -0.5 0 0.5 0.87 0 0 0 1")
    assert read(turned)[0].poses[0].R_cam_obj[0, 0] == 0.87


def test_metres_are_noticed(read):
    with pytest.raises(DatasetError, match="no translation is longer than 10 mm.*in metres"):
        read(LINE.replace("10 20 600", "0.01 0.02 0.6"))


@pytest.mark.parametrize("header", ["", "scene_id,im_id,obj_id", LINE])
def test_a_wrong_header_is_named(read, header):
    with pytest.raises(DatasetError, match="line 1: expected the header scene_id,im_id,obj_id,sc"):
        read(LINE, header=header)


def test_what_is_no_text_is_named(tmp_path, objects):
    path = tmp_path / "picture.csv"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(DatasetError, match="picture.csv: not a text file of comma-separated"):
        read_bop_csv(path, objects)
    with pytest.raises(DatasetError, match="absent.csv: cannot be read: No such file"):
        read_bop_csv(tmp_path / "absent.csv", objects)
    with pytest.raises(DatasetError, match="cannot be read: Is a directory"):
        read_bop_csv(tmp_path, objects)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="poses.csv: cannot be written"):
        write_bop_csv([], BOP_IDS, tmp_path / "nowhere" / "poses.csv")
