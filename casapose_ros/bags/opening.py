"""Which files a bag consists of, and opening them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
import zstandard

from casapose_ros.bags import mcap_file, sqlite_file
from casapose_ros.bags.storage import Losses, StorageFile
from casapose_ros.errors import DatasetError

METADATA_FILE = "metadata.yaml"
COMPRESSED = ".zstd"
STORAGE_SUFFIXES = {".mcap": mcap_file.McapFile, ".db3": sqlite_file.SqliteFile}
BLOCK_BYTES = 2**20


def find_files(path: str | Path, losses: Losses) -> list[Path]:
    """The storage files of a bag, in the order in which they were recorded.

    Args:
        path: A rosbag2 folder, with or without its ``metadata.yaml``, or one of its files. The
            name of a file that is not there stands for the folder of that name without suffix.
        losses: Told about files that are missing.

    Raises:
        DatasetError: There is no such bag, or it is of another kind.
    """
    path = Path(path)
    try:
        files = _found(path, losses)
    except OSError as error:
        raise DatasetError(f"{error.filename or path}: cannot be read: {error.strerror}") from error
    for file in files:
        if _storage_suffix(file) not in STORAGE_SUFFIXES:
            known = ", ".join(STORAGE_SUFFIXES)
            raise DatasetError(f"{file}: not a file of a bag ({known}, or these with {COMPRESSED})")
    return files


def open_file(path: Path, number: int, scratch: Path, losses: Losses) -> StorageFile:
    """Open one storage file.

    Args:
        path: The file.
        number: Its number in the bag.
        scratch: Folder for what a compressed file holds.
        losses: Told what is not whole.

    Raises:
        DatasetError: It cannot be read, is of another kind, or there is no room to decompress it.
    """
    storage = STORAGE_SUFFIXES[_storage_suffix(path)]
    if path.suffix != COMPRESSED:
        return storage(path, number)
    unpacked = _decompress(path, scratch / f"{number}{_storage_suffix(path)}", losses)
    return storage(unpacked, number, str(path))


def _found(path: Path, losses: Losses) -> list[Path]:
    if not path.exists() and path.suffix in STORAGE_SUFFIXES and path.with_suffix("").is_dir():
        path = path.with_suffix("")
    if path.suffix == ".bag":
        raise DatasetError(
            f"{path}: a ROS 1 bag; convert it with rosbags-convert --src {path} --dst FOLDER"
        )
    if path.is_dir():
        return _files_of_folder(path, losses)
    if path.exists():
        return [path]
    raise DatasetError(f"{path}: no such bag")


def _files_of_folder(path: Path, losses: Losses) -> list[Path]:
    listed = _listed_files(path / METADATA_FILE, losses)
    if listed:
        for file in listed:
            if not file.exists():
                losses.note(f"{file}: missing; its messages are lost")
        files = [file for file in listed if file.exists()]
    else:
        files = sorted(
            (file for file in path.iterdir() if _storage_suffix(file) in STORAGE_SUFFIXES),
            key=_natural,
        )
    if not files:
        known = ", ".join(STORAGE_SUFFIXES)
        raise DatasetError(f"{path}: no bag: a folder without files of a bag ({known})")
    return files


def _listed_files(path: Path, losses: Losses) -> list[Path]:
    """The files that a bag's description names; none if there is no readable one."""
    if not path.is_file():
        return []
    try:
        information: Any = yaml.safe_load(path.read_text())
        names = information["rosbag2_bagfile_information"]["relative_file_paths"]
        # Very old bags give paths that begin with the folder itself.
        return [path.parent / Path(name).name for name in names]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        losses.note(f"{path}: damaged; all files beside it are taken, in the order of their names")
        return []


def _storage_suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == COMPRESSED else path.suffix


def _natural(path: Path) -> list[Any]:
    """Sorts bag_2 before bag_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _decompress(path: Path, target: Path, losses: Losses) -> Path:
    """Write what a compressed file holds, as far as it is whole."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        with path.open("rb") as source, target.open("wb") as file:
            while block := source.read(BLOCK_BYTES):
                while block:
                    if frame.eof:  # Some compressors write a file in several frames.
                        frame = zstandard.ZstdDecompressor().decompressobj()
                    file.write(frame.decompress(block))
                    block = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        losses.note(f"{path}: damaged; what follows in it is lost: {error}")
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be decompressed into {target.parent}: {error.strerror}; TMPDIR "
            "names another folder"
        ) from error
    else:
        if not frame.eof:
            losses.note(f"{path}: cut off; what follows in it is lost")
    return target
