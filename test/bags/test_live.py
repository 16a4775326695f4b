"""The side of the live replay that has no ROS."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from casapose_ros.bags import live
from casapose_ros.bags.choosing import CameraTopics
from casapose_ros.bags.live import LiveOptions, ReplayDied, replay_live
from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.evaluation.answers import Answer, AnswerLog
from casapose_ros.evaluation.delivery import (
    ANSWERS_FILE,
    DELIVERY_FILE,
    Delivery,
    Drops,
    write_delivery,
)

TOPICS = CameraTopics("/cam/image_rect", "/cam/camera_info", "/truth", rectified=True)
DELIVERY = Delivery((), Drops(), 1.0, False, 3.0)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Makes a program stand in for the replay."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(live.__file__).parents[2]}")
    monkeypatch.setattr(live, "REPLAY", "stand_in_for_replay")
    monkeypatch.setattr(live, "NEEDED", "import sys")

    def make(program):
        (tmp_path / "stand_in_for_replay.py").write_text(program)

    return make


def arguments(**changes):
    return LiveOptions(Path("models/demo"), **changes).arguments(TOPICS)


def test_command_line():
    assert arguments() == [
        "--model", "models/demo", "--image-topic", "/cam/image_rect",
        "--info-topic", "/cam/camera_info", "--rectified", "true", "--speed", "1.0",
    ]  # fmt: skip
    calibrated = arguments(camera=Path("cam.yaml"), reliable=True, limit=3)
    assert "--info-topic" not in calibrated
    assert " ".join(calibrated).endswith(
        "--camera cam.yaml --rectified true --speed 1.0 --limit 3 --reliable"
    )


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_speed_must_be_positive(speed):
    with pytest.raises(ConfigError, match="speed"):
        LiveOptions(Path("model"), speed=speed)


def test_missing_parameter_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        LiveOptions(Path("model"), params=Path("nowhere.yaml"))


def test_without_ros_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "NEEDED", "import no_such_rclpy")
    with pytest.raises(ConfigError, match="No module named 'no_such_rclpy'.*source /opt/ros"):
        replay_live(Path("bag"), TOPICS, LiveOptions(Path("model")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_the_replay_wrote_comes_back(tmp_path, stand_in):
    write_delivery(DELIVERY, tmp_path / "prepared")
    stand_in(
        "import shutil, sys\n"
        "assert sys.argv[1] == 'some bag'\n"
        "out = sys.argv[sys.argv.index('--out') + 1]\n"
        f"shutil.copy({str(tmp_path / 'prepared')!r}, out + '/{DELIVERY_FILE}')\n"
        "print('a warning of somebody', file=sys.stderr)\n"
    )
    out = tmp_path / "out"
    assert replay_live(Path("some bag"), TOPICS, LiveOptions(Path("m")), out) == DELIVERY


def test_its_complaint_is_the_error_and_nothing_older_is_taken_for_its_result(tmp_path, stand_in):
    write_delivery(DELIVERY, tmp_path / DELIVERY_FILE)
    stand_in("import sys\nprint('no model: it is gone', file=sys.stderr)\nsys.exit(2)")
    with pytest.raises(CasaposeError, match=r"^no model: it is gone$"):
        replay_live(Path("bag"), TOPICS, LiveOptions(Path("m")), tmp_path)
    assert not (tmp_path / DELIVERY_FILE).exists()


def test_a_replay_that_was_killed_is_told(tmp_path, stand_in):
    stand_in("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(CasaposeError, match="ended with status -9"):
        replay_live(Path("bag"), TOPICS, LiveOptions(Path("m")), tmp_path)


def test_answers_that_came_before_it_was_killed_are_told_from_older_ones(tmp_path, stand_in):
    with AnswerLog(tmp_path / "prepared") as log:
        log.append(Answer(5, (), 0.1, 0.2))
    shutil.copy(tmp_path / "prepared", tmp_path / ANSWERS_FILE)
    stand_in("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(CasaposeError, match="^the replay ended with status -9"):
        replay_live(Path("bag"), TOPICS, LiveOptions(Path("m")), tmp_path)
    stand_in(
        "import os, shutil, signal\n"
        f"shutil.copy({str(tmp_path / 'prepared')!r}, {str(tmp_path / ANSWERS_FILE)!r})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with pytest.raises(ReplayDied, match="status -9"):
        replay_live(Path("bag"), TOPICS, LiveOptions(Path("m")), tmp_path)


@pytest.mark.parametrize(("status", "end"), [(0, "came back"), (130, "KeyboardInterrupt")])
def test_ctrl_c_reaches_the_replay_and_what_it_wrote_comes_back(tmp_path, stand_in, status, end):
    write_delivery(DELIVERY, tmp_path / "prepared")
    stand_in(
        "import pathlib, shutil, signal, sys, time\n"
        "def stop(*_):\n"
        f"    shutil.copy({str(tmp_path / 'prepared')!r}, {str(tmp_path / DELIVERY_FILE)!r})\n"
        f"    sys.exit({status})\n"
        "signal.signal(signal.SIGINT, stop)\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    program = (
        # A shell's background jobs inherit that Ctrl-C is ignored.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from casapose_ros.bags import live\n"
        "from casapose_ros.bags.choosing import CameraTopics\n"
        "live.REPLAY, live.NEEDED = 'stand_in_for_replay', 'import sys'\n"
        "topics = CameraTopics('/image', '/camera_info', None, False)\n"
        "options = live.LiveOptions(Path('m'))\n"
        f"print(live.replay_live(Path('bag'), topics, options, Path({str(tmp_path)!r})).warm_up)\n"
        "print('came back')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert output.strip().endswith(end)
