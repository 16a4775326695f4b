"""Files that are either the old one or the new one, folders for results, and locks."""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from casapose_ros.errors import OutputError

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


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


@contextmanager
def locked(path: str | Path, wait: bool = True) -> Iterator[None]:
    """Of several processes on this machine, one at a time works on ``path``.

    Args:
        path: What is worked on; beside it stands a file of its name that ends in ``.lock``.
        wait: Wait for the others.

    Warns:
        UserWarning: The file system has no locks, so that nobody is kept out.

    Raises:
        OutputError: Another one works on it, and this one is not to wait; or the file beside it
            cannot be written.
    """
    path = Path(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path.with_name(f"{path.name}.lock"), "w"))
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise OutputError(f"{path}: another process is at work on it") from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise OutputError(f"{path}: cannot be locked: {error.strerror}") from error
            warnings.warn(
                f"{path}: its file system has no locks: let one process at a time work on it",
                stacklevel=3,
            )
        yield


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
