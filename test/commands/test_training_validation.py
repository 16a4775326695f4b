"""What a training is validated on says how it is validated."""

import json
from dataclasses import replace

import numpy as np
from bop_folder import BopFolder
from exact_fields import box_object
from rendered import box_mesh

from casapose_ros.commands._training_start import TrainingStart
from casapose_ros.commands._training_validation import Validator
from casapose_ros.data.bop import BopDataset
from casapose_ros.data.object_sets import write_object_set
from casapose_ros.training.settings import TrainConfig

BOX = box_object(1)
PLACES = (-0.1, 0.5), (0.2, 0.5), (-0.1, 0.6)
"""Of boxes, x and z in metres: the last is hidden by the first."""


def test_as_many_instances_are_asked_for_as_the_held_out_frames_show(tmp_path):
    near, beside, behind = ((np.eye(3), np.array([x, 0, z])) for x, z in PLACES)
    images = [[(BOX, *near)], [(BOX, *behind), (BOX, *beside), (BOX, *near)]]
    BopFolder(tmp_path / "data", (BOX,), images)
    write_object_set(tmp_path / "objects", [BOX], [box_mesh()])
    start = TrainingStart(TrainConfig(), (BOX,), tmp_path / "objects")
    dataset = BopDataset(tmp_path / "data", "test")
    infos = json.loads((tmp_path / "data/test/000000/scene_gt_info.json").read_text())["1"]
    assert [info["visib_fract"] >= 0.4 for info in infos] == [False, True, True]
    assert Validator(dataset, start).instances == 2
    one = replace(start, config=TrainConfig(validation_frames=1))
    assert Validator(dataset, one).instances == 1
