"""What an evaluation ran with and on, so that its figures can be measured again."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import cv2
import numpy as np

from casapose_ros import __version__

CPU_FILES = (("/proc/cpuinfo", "model name"), ("/proc/cpuinfo", "Model"))
"""Where Linux names the processor: on x86, and on ARM boards."""


def software() -> dict[str, str]:
    """Versions by name; of the deep-learning packages only if this process has loaded them."""
    versions = {
        "casapose_ros": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "OpenCV": cv2.__version__,
    }
    keras = sys.modules.get("keras")
    if keras is not None:
        backend = keras.backend.backend()
        versions["Keras"] = keras.__version__
        versions[backend] = sys.modules[backend].__version__
    return versions


def machine() -> dict[str, str]:
    """Operating system, processor and the number of cores that this process may use."""
    return {"OS": _system(), "CPU": _processor(), "cores": str(_cores())}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()
    return f"{name}, {platform.system()} {platform.release()}"


def _processor() -> str:
    for file, key in CPU_FILES:
        try:
            lines = Path(file).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == key and value.strip():
                return f"{value.strip()} ({platform.machine()})"
    return platform.processor() or platform.machine()
