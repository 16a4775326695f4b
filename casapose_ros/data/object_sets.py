"""Making object sets: from mesh files to descriptions, and onto the disk."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from casapose_ros.data.meshes import (
    MESH_SUFFIXES,
    Mesh,
    ObjectSet,
    largest_distance,
    load_mesh,
    mesh_file_name,
)
from casapose_ros.data.models_info import (
    ModelInfo,
    read_models_info,
    symmetries_from_bop,
    write_models_info,
)
from casapose_ros.data.ply import write_ply
from casapose_ros.errors import ConfigError, MeshError
from casapose_ros.keypoints.sampling import sample_keypoints
from casapose_ros.objects import write_objects
from casapose_ros.types import ObjectModel, Symmetries

NO_SYMMETRIES = Symmetries()
BOP_FILE_NAME = re.compile(r"obj_(\d+)")
DIAMETER_TOLERANCE = 0.01
"""How far a mesh's diameter may lie from the one in ``models_info.json``, relative."""


def build_object_set(
    mesh_dir: str | Path,
    out_dir: str | Path,
    unit: str,
    names: Mapping[str, str] | None = None,
    symmetries: Mapping[str, Symmetries] | None = None,
) -> ObjectSet:
    """Make an object set from a folder of meshes.

    Objects get the class ids 1..K in the order of their file names, and BOP ids from names like
    ``obj_000007`` or else equal to their class ids. Symmetries come from a ``models_info.json``
    in the folder, if there is one.

    Args:
        mesh_dir: Folder of PLY, OBJ, STL or GLB files, one object each.
        out_dir: Folder to write.
        unit: The files' unit: ``mm``, ``cm`` or ``m``.
        names: Object names by file name without suffix; others are named after their files.
        symmetries: By object name; they replace those of ``models_info.json``.

    Raises:
        MeshError: The folder has no meshes, a mesh is bad, or ``models_info.json`` contradicts it.
        ConfigError: A name is unknown, repeated or unsuitable.
    """
    files, infos = _mesh_files(Path(mesh_dir), Path(out_dir))
    names, symmetries = dict(names or {}), dict(symmetries or {})
    _check_known(names, [file.stem for file in files], "--names")
    chosen = [names.get(file.stem, file.stem) for file in files]
    _check_known(symmetries, chosen, "symmetries")
    objects, meshes = [], []
    for class_id, (file, name) in enumerate(zip(files, chosen, strict=True), start=1):
        mesh = load_mesh(file, unit)
        bop_name = BOP_FILE_NAME.fullmatch(file.stem)
        bop_id = int(bop_name[1]) if bop_name else class_id
        known = NO_SYMMETRIES
        if bop_id in infos:
            _check_diameter(file, mesh, infos[bop_id])
            known = infos[bop_id].symmetries
        objects.append(
            describe_object(mesh.vertices, name, class_id, bop_id, symmetries.get(name, known))
        )
        meshes.append(mesh)
    return write_object_set(out_dir, objects, meshes)


def describe_object(
    vertices: np.ndarray,
    name: str,
    class_id: int,
    bop_id: int,
    symmetries: Symmetries = NO_SYMMETRIES,
) -> ObjectModel:
    """Measure an object and choose its keypoints; vertices are (V, 3) metres."""
    return ObjectModel(
        name=name,
        class_id=class_id,
        bop_id=bop_id,
        keypoints=sample_keypoints(vertices),
        diameter=largest_distance(vertices),
        box_min=vertices.min(axis=0),
        box_max=vertices.max(axis=0),
        symmetries=symmetries,
    )


def write_object_set(
    path: str | Path, objects: Sequence[ObjectModel], meshes: Sequence[Mesh]
) -> ObjectSet:
    """Write ``objects.json``, ``models_info.json`` and one PLY per object into a folder."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    write_objects(path / "objects.json", objects)
    write_models_info(path / "models_info.json", objects)
    for obj, mesh in zip(objects, meshes, strict=True):
        write_ply(path / mesh_file_name(obj.bop_id), mesh)
    return ObjectSet(path, tuple(objects))


def read_symmetries(path: str | Path) -> dict[str, Symmetries]:
    """Read symmetries by object name from YAML or JSON, in BOP's form and millimetres.

    Each object has ``symmetries_discrete`` (lists of 16 numbers, 4x4 row-major) or
    ``symmetries_continuous`` (a list of ``axis`` and ``offset``) or both.

    Raises:
        ConfigError: The file is missing or malformed.
    """
    path = Path(path)
    try:
        entries = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such symmetries file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(entries, dict):
        raise ConfigError(f"{path}: expected a mapping from object names to symmetries")
    symmetries = {}
    for name, entry in entries.items():
        where = f"{path}: {name}"
        if not isinstance(entry, dict):
            raise ConfigError(f"{where}: expected a mapping, got {entry!r:.80}")
        _check_known(entry, ["symmetries_discrete", "symmetries_continuous"], where)
        try:
            symmetries[str(name)] = symmetries_from_bop(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{where}: malformed symmetries: {error!r}") from error
    return symmetries


def _mesh_files(mesh_dir: Path, out_dir: Path) -> tuple[list[Path], dict[int, ModelInfo]]:
    """The mesh files of a folder in order, and its ``models_info.json`` by BOP id."""
    if not mesh_dir.is_dir():
        raise MeshError(f"{mesh_dir}: no such folder")
    if out_dir.resolve() == mesh_dir.resolve():
        raise ConfigError(f"{out_dir}: the object set would overwrite the meshes it is made from")
    files = sorted(f for f in mesh_dir.iterdir() if f.suffix.lower() in MESH_SUFFIXES)
    if not files:
        raise MeshError(f"{mesh_dir}: no mesh files ({', '.join(MESH_SUFFIXES)})")
    info_path = mesh_dir / "models_info.json"
    return files, read_models_info(info_path) if info_path.is_file() else {}


def _check_known(given: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown {key!r}; {hint}")


def _check_diameter(file: Path, mesh: Mesh, info: ModelInfo) -> None:
    if abs(mesh.diameter - info.diameter) > DIAMETER_TOLERANCE * info.diameter:
        raise MeshError(
            f"{file}: the mesh's diameter is {mesh.diameter:.4g} m, models_info.json says "
            f"{info.diameter:.4g} m; BOP folders are in millimetres"
        )
