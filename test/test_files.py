"""Files are replaced whole or not at all."""

import pytest

from casapose_ros.errors import OutputError
from casapose_ros.files import locked, make_folder, replacing


def test_the_new_file_takes_the_old_ones_place_at_the_end(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.suffix == ".json"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as part:
        part.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_file_that_cannot_be_written(tmp_path):
    path = tmp_path / "missing" / "report.json"
    with (
        pytest.raises(OutputError, match=r"report.json: cannot be written: No such file"),
        replacing(path) as part,
    ):
        part.write_text("new")


def test_a_folder_that_cannot_be_made(tmp_path):
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make this folder: (Not a directory|File exists)"):
        make_folder(tmp_path / "file" / "out")


def test_one_process_at_a_time(tmp_path):
    with locked(tmp_path / "run", wait=False):
        with (
            pytest.raises(OutputError, match="run: another process is at work on it"),
            locked(tmp_path / "run", wait=False),
        ):
            pass
        with locked(tmp_path / "other", wait=False):
            pass
    with locked(tmp_path / "run", wait=False):
        pass
    with pytest.raises(OutputError, match="cannot be locked"), locked(tmp_path / "no" / "run"):
        pass
