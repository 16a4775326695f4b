"""What all tests share: quiet TensorFlow, and the reference data beside the repository."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The tests share one process. With older software OpenGL drivers, TensorFlow has to be loaded
# before the first drawing; see casapose_ros/data/opengl.py.
import keras  # noqa: F401

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference data that is not part of the repository; the test is skipped where it is absent."""
    path = REPOSITORY.parent / "shared"
    if not path.is_dir():
        pytest.skip("reference data not found at ../shared")
    return path


@pytest.fixture(scope="session")
def golden_dir(shared_dir: Path) -> Path:
    """Arrays computed with the authors' own network: ``../shared/golden``."""
    path = shared_dir / "golden"
    if not path.is_dir():
        pytest.skip("golden arrays not found at ../shared/golden")
    return path
