"""Bags as sources of frames."""

import pytest
from small_bags import OBJECTS, write_mcap

from casapose_ros.bags.choosing import BagOptions
from casapose_ros.bags.frames import BagSource


@pytest.fixture
def source_of(tmp_path):
    """A bag of these messages as a source of frames."""

    def make(recorded, objects=OBJECTS, **options):
        path = write_mcap(tmp_path / "run.mcap", list(recorded))
        return BagSource(path, objects, BagOptions(**options))

    return make
