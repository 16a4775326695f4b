"""``make demo`` as users run it: three processes, real DDS, a real network."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "demo"
SCENE = ROOT / "config" / "scenes" / "demo.yaml"
PATIENCE = 180
PICTURES = ("overlay", "segmentation", "vector_field", "confidence")


def start_demo(out, model, *arguments):
    given = ["--model", str(model), "--scene", str(SCENE), "--out", str(out), *arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "casapose_ros.ros.demo", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def random_bundle(tmp_path_factory):
    """A small network that has learned nothing, for two of the demo objects."""
    from casapose_ros.bundle import save_bundle
    from casapose_ros.data.demo_objects import demo_object_set
    from casapose_ros.network import NetworkConfig, build_network

    folder = tmp_path_factory.mktemp("bundle")
    objects = demo_object_set(folder / "objects").objects[:2]
    network = build_network(NetworkConfig(num_objects=2, width=0.125))
    save_bundle(folder / "model", network, objects, name="random", input_size=(160, 120))
    return folder / "model"


def test_demo_tells_why_a_node_died(random_bundle, tmp_path):
    demo = start_demo(tmp_path, random_bundle, "--rate", "0")
    output, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 2, output
    assert "camera_node ended with status 1" in output
    assert "Parameter rate out of range" in output


def whole_sets(folder):
    """Numbers of the images of which all pictures are there; a busy machine loses some."""
    found = Counter(path.name.partition("_")[0] for path in folder.glob("*.png"))
    return [number for number, count in found.items() if count == len(PICTURES)]


def test_interrupted_demo_still_reports(random_bundle, tmp_path):
    demo = start_demo(tmp_path, random_bundle, "--seconds", "600")
    deadline = time.monotonic() + PATIENCE
    # Of one image, the pictures may be there before the answer.
    while len(whole_sets(tmp_path)) < 2:
        assert time.monotonic() < deadline and demo.poll() is None, demo.communicate()[0]
        time.sleep(0.1)
    for _ in range(3):
        demo.send_signal(signal.SIGINT)
        time.sleep(0.05)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1, output
    assert "not enough found" in output and "cuboid" in output
    assert "Traceback" not in output
    assert all(cv2.imread(str(path)) is not None for path in tmp_path.glob("*.png"))
    document = json.loads((tmp_path / "poses.json").read_text())
    assert document["frames"] and document["frames"][0]["truth"]
    for log in ("camera_node.log", "node.log"):
        assert "Traceback" not in (tmp_path / log).read_text()


@pytest.mark.skipif(
    not (MODEL / "bundle.json").exists(), reason="models/demo has not been trained yet"
)
def test_demo_finds_the_objects(tmp_path):
    demo = start_demo(tmp_path, MODEL, "--seconds", "15")
    output, _ = demo.communicate(timeout=2 * PATIENCE)
    assert demo.returncode == 0, output
    score = json.loads((tmp_path / "poses.json").read_text())["score"]
    total = score["objects"][-1]
    assert score["frames_out"] >= 5 and total["targets"] >= 10
    assert total["recall_add_10"] >= 0.8
    assert total["median_translation"] < 0.02
