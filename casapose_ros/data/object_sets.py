"""Making object sets: from mesh files to descriptions, and onto the disk."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from trimesh.transformations import transform_points

from casapose_ros.data.alignment import Alignment, align_meshes
from casapose_ros.data.meshes import (
    MESH_SUFFIXES,
    Mesh,
    ObjectSet,
    keypoints_of,
    largest_distance,
    load_mesh,
    mesh_file_name,
)
from casapose_ros.data.models_info import (
    MODELS_INFO,
    ModelInfo,
    read_models_info,
    symmetries_from_bop,
    write_models_info,
)
from casapose_ros.data.ply import write_ply
from casapose_ros.errors import ConfigError, MeshError
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
        bop_id = _bop_id(file, class_id)
        known = NO_SYMMETRIES
        if bop_id in infos:
            _check_diameter(file, mesh, infos[bop_id])
            known = infos[bop_id].symmetries
        objects.append(
            describe_object(mesh.vertices, name, class_id, bop_id, symmetries.get(name, known))
        )
        meshes.append(mesh)
    return write_object_set(out_dir, objects, meshes)


def build_aligned_set(
    mesh_dir: str | Path,
    out_dir: str | Path,
    unit: str,
    reference: ObjectSet,
    names: Mapping[str, str] | None = None,
) -> tuple[ObjectSet, tuple[Alignment, ...]]:
    """Make an object set of other scans of known objects.

    Every object gets the keypoints and symmetries of the reference's object of the same name, in
    the scan's own frame, and keeps the transform between the two.

    Args:
        mesh_dir: Folder of PLY, OBJ, STL or GLB files, one object each.
        out_dir: Folder to write.
        unit: The files' unit: ``mm``, ``cm`` or ``m``.
        reference: The known objects. Class ids follow its order.
        names: Object names by file name without suffix; if given, only these files are taken.

    Returns:
        The set, and how well each of its objects fits.

    Raises:
        MeshError: The folder has no meshes, a mesh is bad, or does not fit its object.
        ConfigError: The reference has no object of a mesh's name.
    """
    if Path(out_dir).resolve() == reference.path.resolve():
        raise ConfigError(f"{out_dir}: the set would overwrite the one that it is aligned to")
    files, infos = _mesh_files(Path(mesh_dir), Path(out_dir))
    pairs = _partners(files, dict(names or {}), reference)
    objects, meshes, alignments = [], [], []
    for class_id, (file, known) in enumerate(pairs, start=1):
        mesh = load_mesh(file, unit)
        bop_id = _bop_id(file, class_id)
        if bop_id in infos:
            _check_diameter(file, mesh, infos[bop_id])
        alignment = align_meshes(mesh, reference.mesh(known), known.name)
        described = describe_object(mesh.vertices, known.name, class_id, bop_id)
        objects.append(_as_scan_of(known, described, alignment.T_reference_obj))
        meshes.append(mesh)
        alignments.append(alignment)
    return write_object_set(out_dir, objects, meshes), tuple(alignments)


def _as_scan_of(known: ObjectModel, scan: ObjectModel, T_reference_obj: np.ndarray) -> ObjectModel:
    """The scan with the known object's keypoints and symmetries in its own frame."""
    T_obj_reference = np.linalg.inv(T_reference_obj)
    return replace(
        scan,
        keypoints=transform_points(known.keypoints, T_obj_reference),
        symmetries=_moved(known.symmetries, T_obj_reference),
        T_reference_obj=T_reference_obj,
    )


def _moved(symmetries: Symmetries, T: np.ndarray) -> Symmetries:
    """Symmetries in another frame; ``T`` (4, 4) leads from the old one to the new."""
    return Symmetries(
        T @ symmetries.discrete @ np.linalg.inv(T),
        tuple(
            (T[:3, :3] @ axis, T[:3, :3] @ offset + T[:3, 3])
            for axis, offset in symmetries.continuous
        ),
    )


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
        keypoints=keypoints_of(vertices, name),
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
    write_models_info(path / MODELS_INFO, objects)
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
    if (out_dir / MODELS_INFO).is_file() and not (out_dir / "objects.json").is_file():
        raise ConfigError(
            f"{out_dir} has models that 'casapose objects' has not made and would overwrite: give "
            "another folder"
        )
    files = sorted(f for f in mesh_dir.iterdir() if f.suffix.lower() in MESH_SUFFIXES)
    if not files:
        raise MeshError(f"{mesh_dir}: no mesh files ({', '.join(MESH_SUFFIXES)})")
    info_path = mesh_dir / MODELS_INFO
    return files, read_models_info(info_path) if info_path.is_file() else {}


def _bop_id(file: Path, default: int) -> int:
    """Of a file name like ``obj_000007``."""
    match = BOP_FILE_NAME.fullmatch(file.stem)
    return int(match[1]) if match else default


def _partners(
    files: Sequence[Path], names: Mapping[str, str], reference: ObjectSet
) -> list[tuple[Path, ObjectModel]]:
    """Mesh files with the reference's objects of the same name, in the reference's order."""
    _check_known(names, [file.stem for file in files], "--names")
    by_name = {obj.name: obj for obj in reference.objects}
    if names:
        files = [file for file in files if file.stem in names]
    chosen = {file: names.get(file.stem, file.stem) for file in files}
    alone = [f"{file.name} ({name})" for file, name in chosen.items() if name not in by_name]
    if alone:
        raise ConfigError(
            f"{reference.path} has no object to align {', '.join(alone)} to; it has "
            f"{', '.join(by_name)}: say with --names FILE=NAME which meshes are scans of which"
        )
    for file, name in chosen.items():
        if list(chosen.values()).count(name) > 1:
            raise ConfigError(f"{file}: name {name!r} is used more than once")
    pairs = [(file, by_name[name]) for file, name in chosen.items()]
    return sorted(pairs, key=lambda pair: pair[1].class_id)


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
