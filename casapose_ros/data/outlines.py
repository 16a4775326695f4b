"""What an object looks like from all around, drawn from its mesh."""

from __future__ import annotations

import cv2
import numpy as np
import trimesh

from casapose_ros.data.meshes import Mesh
from casapose_ros.outlines.library import DISTANCE, Outlines, view_rotation
from casapose_ros.types import ObjectModel

SUBDIVISIONS = 3
"""Of an icosahedron: 642 views, 8 degrees from one to the next."""
PIECES = 64
"""Of an outline, spread evenly over all its lines."""
SURFACE_POINTS = 60_000
SIDE = 224
"""px of a drawing,"""
MARGIN = 1.15
"""which shows so many diameters."""
MIN_AREA = 30
"""px; smaller holes are gaps between points."""


def draw_outlines(mesh: Mesh, obj: ObjectModel) -> Outlines:
    """Draw the outlines of an object.

    Args:
        mesh: Its mesh.
        obj: Its description; keypoint 0 is the centre.
    """
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    points, _ = trimesh.sample.sample_surface(surface, SURFACE_POINTS, seed=0)
    points = (np.asarray(points) - obj.keypoints[0]) / obj.diameter
    directions = np.asarray(trimesh.creation.icosphere(subdivisions=SUBDIVISIONS).vertices)
    pieces = [_pieces(_drawing(points @ view_rotation(view).T)) for view in directions]
    most = max(len(each) for each in pieces)
    table = np.zeros((len(pieces), most, 4), dtype=np.float32)
    for row, each in zip(table, pieces, strict=True):
        row[: len(each)] = each
    return Outlines(directions.astype(np.float32), table)


def _drawing(points: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) uint8, 1 where (N, 3) points in diameters, axes of the camera, are seen."""
    seen = points[:, :2] * (DISTANCE / (points[:, 2:] + DISTANCE))
    pixels = np.round(seen * (SIDE / MARGIN) + (SIDE - 1) / 2).astype(int).clip(0, SIDE - 1)
    drawing = np.zeros((SIDE, SIDE), dtype=np.uint8)
    drawing[pixels[:, 1], pixels[:, 0]] = 1
    return cv2.morphologyEx(drawing, cv2.MORPH_CLOSE, np.ones((3, 3), dtype=np.uint8))


def _pieces(drawing: np.ndarray) -> np.ndarray:
    """The outline of a drawing and of its holes, (N, 4) as in :class:`Outlines`."""
    contours, tree = cv2.findContours(drawing, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    kept = [
        (contour[:, 0].astype(np.float64), parent >= 0)
        for contour, (*_, parent) in zip(contours, tree[0], strict=True)
        if cv2.contourArea(contour) > MIN_AREA
    ]
    length = sum(np.linalg.norm(line - np.roll(line, 1, axis=0), axis=1).sum() for line, _ in kept)
    return np.vstack([_cut(line, is_hole, PIECES / length) for line, is_hole in kept])


def _cut(line: np.ndarray, is_hole: bool, density: float) -> np.ndarray:
    """A closed line of (M, 2) px in pieces of even length, at least three."""
    line = np.vstack([line, line[:1]])
    way = np.append(0, np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum())
    stops = np.linspace(0, way[-1], max(round(density * way[-1]), 3) + 1)
    ends = np.stack([np.interp(stops, way, line[:, axis]) for axis in (0, 1)], axis=1)
    (x, y), (next_x, next_y) = ends[:-1].T, ends[1:].T
    if (np.sum(x * next_y - next_x * y) > 0) == is_hole:
        ends = ends[::-1]
    middles = (ends[1:] + ends[:-1]) / 2 - (SIDE - 1) / 2
    return np.concatenate([middles, np.diff(ends, axis=0)], axis=1) * (MARGIN / SIDE)
