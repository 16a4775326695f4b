"""Files on disk that are either the old one or the new one, never half of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from casapose_ros.errors import OutputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; what stands there at the end takes the place of ``path`` at once.

    A reader of ``path`` sees the old file or the whole new one. If the block raises, or the
    process dies, the old file stays.

    Raises:
        OutputError: The file cannot be written: no permission, no such folder, disk full.
    """
    path = Path(path)
    # The name's end stays: some writers choose the format by it, or add what they miss.
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def make_folder(path: str | Path) -> None:
    """Make a folder for results if it is not there; before the long run, not after it.

    Raises:
        OutputError: It cannot be made, or files cannot be made in it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot make this folder: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: no permission to write in this folder")
