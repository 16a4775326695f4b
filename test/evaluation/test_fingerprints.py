"""Checksums of logs and data."""

import json
import os

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros.data.bop import BopDataset
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.fingerprints import data_sha256, records_sha256


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    images = [[(box_object(1), *random_pose(rng))] for _ in range(2)]
    return BopFolder(tmp_path / "boxes", [box_object(1)], images)


def checksum(folder):
    return data_sha256(BopDataset(folder.path, "test"))


def edit(name, change):
    def run(scene):
        values = json.loads((scene / name).read_text())
        change(values["1"])
        (scene / name).write_text(json.dumps(values))

    return run


def touch(name):
    def run(scene):
        os.utime(scene / name, ns=(0, (scene / name).stat().st_mtime_ns + 5_000_000))

    return run


CHANGES = {
    "camera": edit("scene_camera.json", lambda v: v["cam_K"].__setitem__(2, 1.5)),
    "rotation": edit("scene_gt.json", lambda v: v[0].update(cam_R_m2c=[1, 0, 0, 0, 1, 0, 0, 0, 1])),
    "translation": edit("scene_gt.json", lambda v: v[0]["cam_t_m2c"].__setitem__(2, 700.0)),
    "object": edit("scene_gt.json", lambda v: v[0].update(obj_id=12)),
    "visibility": edit("scene_gt_info.json", lambda v: v[0].update(visib_fract=0.25)),
    "longer image": lambda scene: (scene / "rgb" / "000001.png").open("ab").write(b"0"),
    "newer image": touch("rgb/000001.png"),
    "newer mask": touch("mask_visib/000001_000000.png"),
    "no mask": lambda scene: (scene / "mask_visib" / "000001_000000.png").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_of_the_data_is_noticed(folder, change):
    before = checksum(folder)
    assert checksum(folder) == before
    change(folder.scene_path)
    assert checksum(folder) != before


def test_what_is_gone_is_named(folder, tmp_path):
    frames = list(BopDataset(folder.path, "test"))
    frames[1].image_path.unlink()
    with pytest.raises(DatasetError, match="000001.png: cannot be read"):
        data_sha256(frames)
    with pytest.raises(DatasetError, match="nowhere: cannot be read"):
        records_sha256(tmp_path / "nowhere")
