"""Each image of a bag with the true poses from a BOP scene."""

import json

import pytest
from small_bags import PERIOD, TRUTH, Recording, check_scene, write_scene

from casapose_ros.errors import DatasetError


def test_truth_from_a_bop_scene_in_order(source_of, tmp_path):
    recording = Recording(4)
    bare = [one for one in recording.all() if one.topic != TRUTH]
    # As text, 9 comes after 10.
    file = write_scene(tmp_path / "000001", recording, (3, 9, 10, 11))
    source = source_of(bare, truth_files=(file,))
    assert [check_scene(recording, frame) for frame in source.frames()] == [0, 1, 2, 3]
    assert source.counts == {"box1": 4, "box2": 4}
    with pytest.raises(DatasetError, match="4 images, but the bag's topic has 3"):
        list(source_of(bare[:-1], truth_files=(file,)).frames())


def test_truth_from_a_bop_scene_by_stamp(source_of, tmp_path):
    recording = Recording(4)
    bare = [one for one in recording.all() if one.topic != TRUTH]
    file = write_scene(tmp_path / "000001", recording, [*recording.stamps[:3], 7])
    source = source_of(bare, truth_files=(file,))
    assert [check_scene(recording, frame) for frame in source.frames()] == [0, 1, 2]
    assert source.problems == [f"{source.name}: 1 image without ground truth of its stamp"]


@pytest.mark.parametrize(
    ("R", "complaint"),
    [
        ([float("nan")] * 9, "that is not finite"),
        ([2, 0, 0, 0, 1, 0, 0, 0, 1], "whose matrix is no rotation"),
        ([1e200] * 9, "whose matrix is no rotation"),
        ([-1, 0, 0, 0, 1, 0, 0, 0, 1], "whose matrix is a mirror image"),
    ],
)
def test_bop_truth_that_makes_no_sense_costs_its_image(source_of, tmp_path, R, complaint):
    recording = Recording(3)
    file = write_scene(tmp_path / "000001", recording, range(3))
    truths = json.loads(file.read_text())
    truths["1"][0]["cam_R_m2c"] = R
    file.write_text(json.dumps(truths))
    source = source_of(recording.all(), truth_files=(file,))
    assert [check_scene(recording, frame) for frame in source.frames()] == [0, 2]
    assert f"1 image with a true pose {complaint}" in source.problems[0]


def test_truth_in_order_follows_the_stamps_and_no_clock_is_taken_for_ids(source_of, tmp_path):
    recording = Recording(4)
    # A simulated clock begins at 0, as ids do.
    recording.stamps = [PERIOD * i for i in range(4)]
    file = write_scene(tmp_path / "000001", recording, range(4))
    source = source_of(reversed(recording.all()), truth_files=(file,))
    assert [check_scene(recording, frame) for frame in source.frames()] == [3, 2, 1, 0]
