"""``casapose bag evaluate --live`` as users run it: a bag, the node, DDS, a report."""

import json

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros import cli
from casapose_ros.bundle import save_bundle
from casapose_ros.network import NetworkConfig, build_network

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))


@pytest.mark.slow
def test_a_bag_is_replayed_through_the_node_and_reported(tmp_path, capfd):
    rng = np.random.default_rng(3)
    placed = [[(OBJECTS[i % 2], *random_pose(rng))] for i in range(10)]
    folder = BopFolder(tmp_path / "boxes", OBJECTS, placed)
    network = build_network(NetworkConfig(num_objects=2, width=0.125))  # knows nothing yet
    model, bag, out = (str(tmp_path / name) for name in ("model", "bag.db3", "out"))
    save_bundle(tmp_path / "model", network, OBJECTS, name="boxes", input_size=(160, 120))
    assert cli.main(["bag", "from-bop", str(folder.path), bag, "--model", model]) == 0
    command = ["bag", "evaluate", bag, "--model", model, "--objects", str(folder.path)]
    assert cli.main([*command, "--live", "--reliable", "--report", out]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"] >= 8 and report["delivery"]["sent"] == 10
    assert "Live replay" in (tmp_path / "out" / "report.html").read_text()
    assert "gave way to a newer image" in capfd.readouterr().out
