"""Make the ROS wheels' CMake exports point at this machine's headers.

The wheels were built elsewhere, and their exported targets name that machine's include folders for
Python and NumPy. Run by the environment's own interpreter after the wheels are installed; running
it again changes nothing.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

NUMPY_INCLUDE = re.compile(r"/opt/python/[^;\"]*/numpy/_core/include")
PYTHON_INCLUDE = re.compile(r"/opt/python/[^;\"]*/include/python3\.\d+")


def main() -> None:
    """Rewrite the exports of all message packages below ``sys.prefix``."""
    pattern = "*/cmake/export_*__rosidl_generator_pyExport.cmake"
    for path in (Path(sys.prefix) / "share").glob(pattern):
        text = NUMPY_INCLUDE.sub(np.get_include(), path.read_text())
        path.write_text(PYTHON_INCLUDE.sub(sysconfig.get_path("include"), text))


if __name__ == "__main__":
    main()
