"""The figures of a run."""

import json

import numpy as np
import pytest

from casapose_ros.config import to_dict
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation import bop19
from casapose_ros.evaluation.bop19 import DepthSource, Target
from casapose_ros.evaluation.records import FrameRecord


@pytest.fixture
def record(camera):
    def make(image_id, truths, poses, scene_id=2) -> FrameRecord:
        name = f"{scene_id or 0:06d}/{image_id or 0:06d}"
        return FrameRecord(
            name, "set", camera, tuple(poses), tuple(truths), {}, {}, None, scene_id, image_id
        )

    return make


def flat_depth(_name, _R, t, camera) -> np.ndarray:
    return np.full((camera.height, camera.width), t[2])


def seen_everywhere(_frame) -> np.ndarray:
    return np.zeros((480, 640))


def test_a_perfect_run(record, references, true_object, estimate_of):
    cube, bar = true_object("cube"), true_object("bar", x=0.1)
    records = [record(i, [cube, bar], [estimate_of(cube), estimate_of(bar)]) for i in (1, 2)]
    depth = DepthSource(seen_everywhere, flat_depth)
    scores = bop19.evaluate(records, references, depth=depth)
    total = scores.total
    assert (total.name, total.targets) == ("all", 4)
    assert total.average_recall == total.vsd == total.mssd == total.mspd == 1
    assert [(mine.name, mine.targets, mine.vsd) for mine in scores.objects] == [
        ("cube", 2, 1.0),
        ("bar", 2, 1.0),
    ]
    assert scores.without_vsd == "" and scores.targets_from_truth
    assert np.shape(scores.vsd_recalls) == (10, 10)


def test_recalls_by_hand(record, references, true_object, estimate_of):
    cube = true_object("cube")
    diameter = references["cube"].model.diameter
    # One is 0.22 diameters off: right at six thresholds of ten. One is missed, one exact.
    off = estimate_of(cube, shift=(0, 0.22 * diameter, 0))
    records = [
        record(1, [cube], [off]),
        record(2, [cube], []),
        record(3, [cube], [estimate_of(cube)]),
    ]
    scores = bop19.evaluate(records, references)
    assert scores.mssd_recalls == pytest.approx([1 / 3] * 4 + [2 / 3] * 6)
    assert scores.total.mssd == pytest.approx((4 * 1 + 6 * 2) / 30)
    assert scores.total.average_recall == pytest.approx((scores.total.mssd + scores.total.mspd) / 2)


def test_a_flip_of_the_symmetric_object_is_right(record, references, true_object, estimate_of):
    half_turn = np.diag([-1.0, -1, 1])
    poses = {name: [estimate_of(true_object(name), turn=half_turn)] for name in references}
    cube, bar = (
        bop19.evaluate([record(1, [true_object(name)], poses[name])], references).total.mssd
        for name in ("cube", "bar")
    )
    assert bar == 1 and cube == 0


def test_what_is_not_in_the_image_costs_nothing_unless_it_comes_first(
    record, references, true_object, estimate_of
):
    cube = true_object("cube")
    absent = estimate_of(true_object("bar"), score=1.0)
    false = estimate_of(cube, shift=(0.3, 0, 0), score=0.95)
    one = bop19.evaluate([record(1, [cube], [absent, estimate_of(cube)])], references)
    two = bop19.evaluate([record(1, [cube], [false, estimate_of(cube)])], references)
    assert one.total.average_recall == 1
    assert two.total.average_recall == 0


def test_without_depth_the_result_says_so(record, references, true_object, estimate_of):
    cube = true_object("cube")
    records = [record(i, [cube], [estimate_of(cube)]) for i in (1, 2, 3)]
    for depth in (None, DepthSource(lambda _: None, flat_depth)):
        scores = bop19.evaluate(records, references, depth=depth)
        assert scores.total.vsd is None and scores.vsd_recalls is None
        assert scores.objects[0].vsd is None
        assert scores.without_vsd == "the data set has no depth images"
        assert scores.total.average_recall == 1


def test_one_image_without_depth_is_named(record, references, true_object, estimate_of):
    cube = true_object("cube")
    records = [record(i, [cube], [estimate_of(cube)]) for i in (1, 2, 3)]
    depth = DepthSource(
        lambda name: None if name == "000002/000002" else seen_everywhere(name), flat_depth
    )
    scores = bop19.evaluate(records, references, depth=depth)
    assert scores.total.vsd is None
    assert scores.without_vsd == "1 of 3 images have no depth image, for example 000002/000002"


def test_a_targets_file_says_what_is_asked_for(record, references, true_object, estimate_of):
    cube, bar = true_object("cube", visibility=0.02), true_object("bar")
    records = [record(1, [cube, bar], [estimate_of(cube)]), record(2, [cube], [])]
    targets = [Target(2, 1, 11, 1), Target(2, 1, 99, 4), Target(2, 7, 11, 1), Target(3, 1, 99, 1)]
    scores = bop19.evaluate(records, references, targets)
    assert scores.total.targets == 1 and scores.total.mssd == 1
    assert not scores.targets_from_truth
    assert scores.unknown == {99: 5}
    assert scores.absent_images == 2


def test_of_several_instances_the_most_visible_are_asked_for(
    record, references, true_object, estimate_of
):
    truths = [true_object(x=x, visibility=v) for x, v in ((-0.2, 0.2), (0.0, 0.9), (0.2, 0.5))]
    targets = [Target(2, 1, 11, 2)]

    def recall_of(*indices) -> tuple[int, float]:
        poses = [estimate_of(truths[i]) for i in indices]
        total = bop19.evaluate([record(1, truths, poses)], references, targets).total
        return total.targets, total.mssd

    assert recall_of(1, 2) == (2, 1.0)
    assert recall_of(0, 1) == (2, 0.5)
    assert recall_of(0) == (2, 0.0)


def test_more_asked_for_than_there_are(record, references, true_object, estimate_of):
    cube = true_object("cube")
    scores = bop19.evaluate(
        [record(1, [cube], [estimate_of(cube)])], references, [Target(2, 1, 11, 3)]
    )
    assert scores.total.targets == 1 and scores.total.mssd == 1


def test_nothing_asked_for_is_not_known(record, references, true_object):
    for records in ([], [record(1, [], [])]):
        scores = bop19.evaluate(records, references)
        assert scores.total.targets == 0
        assert np.isnan(scores.total.average_recall) and np.isnan(scores.objects[0].mspd)
        assert scores.total.vsd is None


def test_targets_need_images_of_a_data_set(record, references):
    with pytest.raises(DatasetError, match="not an image of a BOP data set"):
        bop19.evaluate([record(None, [], [], scene_id=None)], references, [Target(2, 1, 11, 1)])


def test_scores_are_plain_values(record, references, true_object, estimate_of):
    cube = true_object("cube")
    depth = DepthSource(seen_everywhere, flat_depth)
    scores = bop19.evaluate([record(1, [cube], [estimate_of(cube)])], references, depth=depth)
    values = json.loads(json.dumps(to_dict(scores)))
    assert values["total"]["vsd"] == 1.0
    assert values["objects"][1]["name"] == "bar"
    assert len(values["vsd_recalls"]) == len(values["vsd_recalls"][0]) == 10
