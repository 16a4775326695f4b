"""Meshes and object sets as files.

Files come in any unit and many formats; a :class:`Mesh` is always in metres. An object set is a
folder that describes the objects a network is trained for, with one mesh each; a plain BOP models
folder is accepted in its place.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from trimesh.visual import ColorVisuals

from casapose_ros.data.models_info import MODELS_INFO, read_models_info
from casapose_ros.errors import MeshError
from casapose_ros.keypoints.sampling import sample_keypoints
from casapose_ros.objects import objects_from_json, objects_to_json, read_objects
from casapose_ros.types import ObjectModel

METRES_PER_UNIT = {"mm": 0.001, "cm": 0.01, "m": 1.0}
UNIT_NAMES = {"mm": "millimetres", "cm": "centimetres", "m": "metres"}
PLAUSIBLE_DIAMETER = (0.005, 5.0)
"""Metres. Outside, the unit was most likely wrong."""
MESH_SUFFIXES = (".ply", ".obj", ".stl", ".glb")


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in metres.

    Attributes:
        vertices: (V, 3) float64 metres, object frame.
        faces: (F, 3) int32 vertex indices, anticlockwise seen from outside.
        normals: (V, 3) float64 unit vectors.
        uv: (V, 2) float64 texture coordinates, (0, 0) at the image's *lower* left corner as in
            OpenGL and BOP, or None.
        texture: (H, W, 3) uint8 RGB, or None. Given if and only if ``uv`` is.
        colours: (V, 3) uint8 RGB, or None.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray | None = None
    texture: np.ndarray | None = None
    colours: np.ndarray | None = None

    @property
    def diameter(self) -> float:
        """Largest distance between two vertices, metres."""
        return largest_distance(self.vertices)


@dataclass(frozen=True)
class ObjectSet:
    """The objects of a network and where their meshes are.

    Attributes:
        path: The folder.
        objects: Descriptions, by class id 1..K.
    """

    path: Path
    objects: tuple[ObjectModel, ...]

    def mesh_path(self, obj: ObjectModel) -> Path:
        """The object's mesh file (PLY, millimetres)."""
        return self.path / mesh_file_name(obj.bop_id)

    def mesh(self, obj: ObjectModel) -> Mesh:
        """Load the object's mesh, in metres."""
        return load_mesh(self.mesh_path(obj), "mm")


def mesh_file_name(bop_id: int) -> str:
    """BOP's name for a mesh file."""
    return f"obj_{bop_id:06d}.ply"


def load_mesh(path: str | Path, unit: str) -> Mesh:
    """Read a PLY, OBJ, STL or GLB file; scenes are flattened into one mesh.

    Args:
        path: The file. A PLY may be textured as in BOP (``comment TextureFile``, ``texture_u``).
        unit: The file's unit: ``mm``, ``cm`` or ``m``.

    Raises:
        MeshError: The file is missing, unreadable or of another format, has no faces or NaN
            vertices, its texture is missing, or its size makes no sense in this unit.
    """
    path = Path(path)
    if unit not in METRES_PER_UNIT:
        raise MeshError(f"unknown unit {unit!r}; known: {', '.join(METRES_PER_UNIT)}")
    loaded = _read(path)
    if not len(loaded.faces):
        raise MeshError(f"{path}: no faces; a point cloud must be meshed first")
    if len(np.unique(loaded.faces)) < len(loaded.vertices):
        loaded.remove_unreferenced_vertices()  # left behind by editing: no part of the surface
    vertices = np.asarray(loaded.vertices, dtype=np.float64) * METRES_PER_UNIT[unit]
    if not np.all(np.isfinite(vertices)):
        bad = int(np.sum(~np.isfinite(vertices).all(axis=1)))
        raise MeshError(f"{path}: {bad} of {len(vertices)} vertices are NaN or infinite")
    check_size(vertices, unit, str(path))
    uv, texture = _texture(loaded)
    bare = loaded.visual.kind is None
    return Mesh(
        vertices=vertices,
        faces=np.asarray(loaded.faces, dtype=np.int32),
        normals=_normals(vertices, loaded.faces),
        uv=uv,
        texture=texture,
        colours=None if texture is not None or bare else _vertex_colours(loaded),
    )


def load_object_set(path: str | Path) -> ObjectSet:
    """Open an object set folder, or a BOP models folder as if it were one.

    The objects of a BOP folder get the class ids 1..K in the order of their BOP ids, and are
    named after their files.

    Raises:
        MeshError: The folder or a mesh is missing, or a mesh is bad.
        ConfigError: ``objects.json`` is bad.
    """
    path = Path(path)
    if (path / "objects.json").is_file():
        objects = read_objects(path / "objects.json")
    elif (path / MODELS_INFO).is_file():
        objects = _bop_objects(path)
    else:
        raise MeshError(
            f"{path}: neither an object set (objects.json) nor a BOP models folder "
            "(models_info.json); make one with 'casapose objects'"
        )
    for obj in objects:
        if not (path / mesh_file_name(obj.bop_id)).is_file():
            raise MeshError(f"{path}: {mesh_file_name(obj.bop_id)} of {obj.name} is missing")
    return ObjectSet(path, objects)


def keypoints_of(vertices: np.ndarray, where: str) -> np.ndarray:
    """An object's keypoints, (9, 3) metres; see :mod:`~casapose_ros.keypoints.sampling`.

    Args:
        vertices: (V, 3) metres.
        where: What to call the mesh in a message.

    Raises:
        MeshError: It has too few vertices.
    """
    try:
        return sample_keypoints(vertices)
    except MeshError as error:
        raise MeshError(f"{where}: {error}; subdivide its faces") from error


def largest_distance(points: np.ndarray) -> float:
    """Largest distance between two of (N, 3) points; only their convex hull is searched."""
    points = np.unique(points, axis=0)
    if len(points) > 100:
        # Joggled input (QJ) also gives flat meshes a hull.
        points = points[ConvexHull(points, qhull_options="QJ").vertices]
    return float(pdist(points).max()) if len(points) > 1 else 0.0


def check_size(vertices: np.ndarray, unit: str, where: str) -> None:
    """Refuse a mesh whose size shows that its unit is wrong.

    Args:
        vertices: (V, 3) metres.
        unit: What the file was said to be in.
        where: What to call the mesh in the message.

    Raises:
        MeshError: The diameter is outside 5 mm .. 5 m.
    """
    low, high = PLAUSIBLE_DIAMETER
    diameter = largest_distance(vertices)
    if low <= diameter <= high:
        return
    raw = diameter / METRES_PER_UNIT[unit]
    fitting = [
        UNIT_NAMES[name] for name, metres in METRES_PER_UNIT.items() if low <= raw * metres <= high
    ]
    hint = f"; is the file in {' or '.join(fitting)}?" if fitting else ""
    raise MeshError(
        f"{where}: read in {UNIT_NAMES[unit]} the object is {diameter:.3g} m across{hint} "
        f"(plausible: {low:g} m to {high:g} m)"
    )


def _bop_objects(path: Path) -> tuple[ObjectModel, ...]:
    infos = read_models_info(path / MODELS_INFO)
    if not infos:
        raise MeshError(f"{path / 'models_info.json'}: it has no objects")
    objects = []
    for class_id, (bop_id, info) in enumerate(sorted(infos.items()), start=1):
        mesh_path = path / mesh_file_name(bop_id)
        objects.append(
            ObjectModel(
                name=mesh_path.stem,
                class_id=class_id,
                bop_id=bop_id,
                keypoints=keypoints_of(load_mesh(mesh_path, "mm").vertices, str(mesh_path)),
                diameter=info.diameter,
                box_min=info.box_min,
                box_max=info.box_max,
                symmetries=info.symmetries,
            )
        )
    # The checks of an object set's own file.
    return objects_from_json(objects_to_json(objects), str(path / MODELS_INFO))


def _read(path: Path) -> trimesh.Trimesh:
    if not path.is_file():
        raise MeshError(f"{path}: no such mesh file")
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise MeshError(f"{path}: unknown mesh format; known: {', '.join(MESH_SUFFIXES)}")
    if path.suffix.lower() == ".ply":
        _check_ply_texture(path)
    try:
        # No merging of vertices: texture seams and flat shading live on duplicates.
        scene = trimesh.load_scene(path, process=False)
        return _flatten([part for part in scene.dump() if isinstance(part, trimesh.Trimesh)])
    # Parsers of foreign formats fail in any way; whatever it is, the file is unreadable.
    except Exception as error:
        raise MeshError(f"{path}: unreadable mesh: {error or type(error).__name__}") from error


def _flatten(parts: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    """One mesh of all parts. Textures are packed together only if all parts have materials."""
    if len(parts) == 1:
        return parts[0]
    if any(part.visual.kind != "texture" for part in parts):
        # Joining unlike visuals would drop them all: keep at least the colour at each vertex.
        for part in parts:
            part.visual = ColorVisuals(mesh=part, vertex_colors=_vertex_colours(part))
    return trimesh.util.concatenate(parts) if parts else trimesh.Trimesh()


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit vertex normals; those in files are not used, as the reader may reorder vertices."""
    return np.array(trimesh.Trimesh(vertices, faces, process=False).vertex_normals)


def _texture(loaded: trimesh.Trimesh) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Texture coordinates and RGB image, or (None, None)."""
    if loaded.visual.kind != "texture" or loaded.visual.uv is None:
        return None, None
    material = loaded.visual.material
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None:
        return None, None
    uv = np.array(loaded.visual.uv, dtype=np.float64)
    return uv, np.array(image.convert("RGB"))


def _check_ply_texture(path: Path) -> None:
    """Refuse a PLY whose header names an image that cannot be read: trimesh paints it grey."""
    with path.open("rb") as file:
        header = list(itertools.takewhile(lambda line: not line.startswith(b"end_header"), file))
    for line in header:
        if not line.lower().startswith(b"comment texturefile "):
            continue
        name = line.split(maxsplit=2)[2].decode(errors="replace").strip()
        try:
            with Image.open(path.parent / name) as image:
                image.verify()
        # Pillow reports broken images as SyntaxError or OSError, by format.
        except (OSError, SyntaxError) as error:
            raise MeshError(f"{path}: its texture {name} is unreadable: {error}") from error


def _vertex_colours(part: trimesh.Trimesh) -> np.ndarray:
    """(V, 3) uint8 RGB from vertex, face, texture or material colours; grey without any."""
    visual = part.visual.to_color() if part.visual.kind == "texture" else part.visual
    return np.array(np.broadcast_to(visual.vertex_colors[..., :3], part.vertices.shape), np.uint8)
