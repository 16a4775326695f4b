"""A run's logs: one row of figures per report, as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from casapose_ros.errors import OutputError
from casapose_ros.files import replacing

TRAINING_LOG = "training.csv"
VALIDATION_LOG = "validation.csv"


def append_row(path: Path, row: dict[str, float]) -> None:
    """Write a row, below a header if it is the first.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    try:
        new = not path.exists() or not path.stat().st_size
        with open(path, "a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def read_log(path: Path) -> list[dict[str, float]]:
    """Whole rows of a log of :func:`append_row`; none if it wrote none yet."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    # Of a row that a full disk or a dying machine cut off, the last columns are missing or empty.
    # A file that an earlier version began has no names for columns that came later.
    return [{k: float(v) for k, v in row.items() if k} for row in rows if all(row.values())]


def drop_rows_after(path: Path, step: int) -> None:
    """Remove the rows of later steps: a run that goes on from its checkpoint repeats them."""
    rows = [row for row in read_log(path) if row["step"] <= step]
    if not rows:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as part:
        for row in rows:
            append_row(part, {**row, "step": int(row["step"])})
