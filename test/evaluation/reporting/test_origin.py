"""What a run says about the machine and the software."""

import os
import platform
import sys

import keras

from casapose_ros.evaluation.reporting import origin


def test_software_names_what_is_loaded_and_loads_nothing(monkeypatch):
    versions = origin.software()
    assert versions["Python"] == platform.python_version()
    assert versions["Keras"] == keras.__version__
    assert keras.backend.backend() in versions
    monkeypatch.delitem(sys.modules, "keras")
    assert "Keras" not in origin.software() and "keras" not in sys.modules


def test_machine_is_named_in_text():
    machine = origin.machine()
    assert set(machine) == {"OS", "CPU", "cores"} and all(machine.values())
    assert 1 <= int(machine["cores"]) <= os.cpu_count()


def test_the_processor_is_found_as_x86_and_arm_name_it(monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    files = ((str(file), "model name"), (str(file), "Model"), (str(tmp_path / "none"), "x"))
    monkeypatch.setattr(origin, "CPU_FILES", files)
    monkeypatch.setattr(platform, "machine", lambda: "m")
    monkeypatch.setattr(platform, "processor", lambda: "")
    file.write_text("processor\t: 0\nmodel name\t: Abacus 3\n")
    assert origin.machine()["CPU"] == "Abacus 3 (m)"
    file.write_text("processor\t: 0\nmodel name\t:\nModel\t\t: Board 5\n")
    assert origin.machine()["CPU"] == "Board 5 (m)"
    file.write_text("processor\t: 0\n")
    assert origin.machine()["CPU"] == "m"


def test_a_system_without_a_name_is_still_described(monkeypatch):
    def unknown():
        raise OSError

    monkeypatch.setattr(platform, "freedesktop_os_release", unknown)
    assert origin.machine()["OS"] == platform.platform()
