"""The BOP results file."""

import csv

import numpy as np
import pytest

from casapose_ros.evaluation.results import FrameResult, write_bop_csv


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
    np.testing.assert_allclose(R, poses[0].R_cam_obj, atol=1e-8)
    np.testing.assert_allclose(np.array(rows[0]["t"].split(), dtype=float), [0, 20, 600])


def test_frames_are_named_as_in_bop():
    assert FrameResult(2, 31, (), {}).name == "000002/000031"
