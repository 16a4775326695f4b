"""Logs: rows come back as they were written, and one that was cut off does no harm."""

import pytest

from casapose_ros.errors import OutputError
from casapose_ros.training.logs import append_row, drop_rows_after, read_log


def test_rows_come_back(tmp_path):
    log = tmp_path / "log.csv"
    assert read_log(log) == []
    for step in (1, 2, 3):
        append_row(log, {"step": step, "loss": 0.5 * step})
    assert read_log(log) == [{"step": s, "loss": 0.5 * s} for s in (1, 2, 3)]
    drop_rows_after(log, 2)
    assert [row["step"] for row in read_log(log)] == [1, 2]
    drop_rows_after(log, 0)
    assert not log.exists()


@pytest.mark.parametrize("cut_off", ["2", "2,", "2,0.25,"])
def test_a_row_that_was_cut_off_is_left_out(tmp_path, cut_off):
    log = tmp_path / "log.csv"
    append_row(log, {"step": 1, "loss": 0.5, "waiting": 0.0})
    with open(log, "a") as file:
        file.write(cut_off)
    assert [row["step"] for row in read_log(log)] == [1]
    drop_rows_after(log, 1)
    append_row(log, {"step": 2, "loss": 0.25, "waiting": 0.0})
    assert [row["loss"] for row in read_log(log)] == [0.5, 0.25]


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(OutputError, match="log.csv: cannot be written: No such file"):
        append_row(tmp_path / "gone" / "log.csv", {"step": 1})
