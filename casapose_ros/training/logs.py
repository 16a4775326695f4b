"""A run's logs: one row of figures per report, as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from casapose_ros.files import replacing

TRAINING_LOG = "training.csv"
VALIDATION_LOG = "validation.csv"


def append_row(path: Path, row: dict[str, float]) -> None:
    """Write a row, below a header if it is the first."""
    new = not path.exists() or not path.stat().st_size
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def read_log(path: Path) -> list[dict[str, float]]:
    """Rows of a log of :func:`append_row`; none if it wrote none yet."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def drop_rows_after(path: Path, step: int) -> None:
    """Remove the rows of later steps: a run that goes on from its checkpoint repeats them."""
    rows = [row for row in read_log(path) if row["step"] <= step]
    if not rows:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as part:
        for row in rows:
            append_row(part, {**row, "step": int(row["step"])})
