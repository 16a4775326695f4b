"""Unfolding solids into nets that fit on paper: pure geometry in millimetres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.data.solids import Solid

TAB_MM = 9.0
"""Depth of the glue tabs."""
TAB_SLANTS = (0.6, 1.0, 1.8)
"""Inset of a tab's ends over its depth: narrower tabs where the first do not find room."""
PAGE_AREA_MM = (194.0, 262.0)
"""Width and height that a net with its tabs may take on an A4 page."""
OVERLAP_MM2 = 1e-3


@dataclass(frozen=True)
class NetFace:
    """A face laid flat.

    Attributes:
        index: Which face of the solid.
        R: (2, 2) rotation from the face's frame to the sheet.
        t: (2,) mm; ``p_sheet = R @ p_face + t``, x right and y up.
        corners: (n, 2) mm on the sheet, in the order of the solid's face.
    """

    index: int
    R: np.ndarray
    t: np.ndarray
    corners: np.ndarray


@dataclass(frozen=True)
class Seam:
    """A cut edge of a net, to be glued to the other edge with the same number.

    Attributes:
        number: Counts the solid's seams from 1; each appears twice.
        edge: (2, 2) mm end points on the sheet, the net to the left of the way between them.
        tab: (4, 2) mm corners of the glue tab, or None where the other edge carries it.
    """

    number: int
    edge: np.ndarray
    tab: np.ndarray | None


@dataclass(frozen=True)
class Net:
    """Connected faces of a solid on one sheet, printed side = outside.

    Attributes:
        faces: The faces.
        folds: (F, 2, 2) mm end points of the edges between them.
        seams: The outer edges.
    """

    faces: tuple[NetFace, ...]
    folds: np.ndarray
    seams: tuple[Seam, ...]


def unfold(solid: Solid) -> tuple[Net, ...]:
    """Cut a solid into as few nets as fit on a page each, with glue tabs."""
    pieces = _partition(solid, frozenset(range(len(solid.faces))), {})
    pieces = [[_upright(piece, face) for face in piece] for piece in pieces]
    folded = [_folded_edges(solid, piece) for piece in pieces]
    tabs = _choose_tabs(solid, pieces, folded)
    return tuple(
        _net(solid, piece, edges, tabs) for piece, edges in zip(pieces, folded, strict=True)
    )


def sheet_size(points: np.ndarray) -> np.ndarray:
    """(2,) mm that a net with (N, 2) face corners takes, with room for tabs on all sides."""
    return np.ptp(points, axis=0) + 2 * TAB_MM


def overlap(polygon: np.ndarray, other: np.ndarray) -> float:
    """Common area of two convex polygons, mm^2."""
    area, _ = cv2.intersectConvexConvex(polygon.astype(np.float32), other.astype(np.float32))
    return float(area)


def _edges(face: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(face, face[1:] + face[:1], strict=True))


def _partition(
    solid: Solid, remaining: frozenset[int], known: dict[frozenset[int], list[list[NetFace]]]
) -> list[list[NetFace]]:
    """The fewest pieces for the remaining faces, over all choices of each piece's first face."""
    if not remaining:
        return []
    if remaining not in known:
        options = []
        for first in sorted(remaining):
            piece = _grow(solid, first, remaining)
            rest = remaining - {face.index for face in piece}
            options.append([piece, *_partition(solid, rest, known)])
        known[remaining] = min(options, key=len)
    return known[remaining]


def _grow(solid: Solid, first: int, allowed: frozenset[int]) -> list[NetFace]:
    """Faces that can be laid out together, the first one at the origin."""
    outline = solid.face(first).outline
    piece = [NetFace(first, np.eye(2), np.zeros(2), outline)]
    for parent in piece:  # grows while it is walked: breadth first
        for a, b in _edges(solid.faces[parent.index]):
            child = _neighbour(solid, (a, b))
            if child not in allowed or any(face.index == child for face in piece):
                continue
            placed = _attach(solid, parent, child, (a, b))
            free = all(overlap(placed.corners, face.corners) < OVERLAP_MM2 for face in piece)
            if free and _fits([*piece, placed]):
                piece.append(placed)
    return piece


def _neighbour(solid: Solid, edge: tuple[int, int]) -> int:
    """The face on the other side of an edge: it runs through the edge the other way."""
    return next(i for i, face in enumerate(solid.faces) if edge[::-1] in _edges(face))


def _attach(solid: Solid, parent: NetFace, child: int, edge: tuple[int, int]) -> NetFace:
    """Lay a face next to its neighbour so that their common edge coincides."""
    outline = solid.face(child).outline
    a, b = edge
    from_a, from_b = (outline[solid.faces[child].index(v)] for v in (a, b))
    to_a, to_b = (parent.corners[solid.faces[parent.index].index(v)] for v in (a, b))
    turn = complex(*(to_b - to_a)) / complex(*(from_b - from_a))
    turn /= abs(turn)
    R = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    t = to_a - R @ from_a
    return NetFace(child, R, t, outline @ R.T + t)


def _fits(piece: list[NetFace]) -> bool:
    size = sheet_size(np.concatenate([face.corners for face in piece]))
    return bool(np.all(np.sort(size) <= np.sort(PAGE_AREA_MM)))


def _upright(piece: list[NetFace], face: NetFace) -> NetFace:
    """A face of a piece that was turned, if it must be, to fit the page and moved to the origin."""
    corners = np.concatenate([f.corners for f in piece])
    turned = np.any(sheet_size(corners) > PAGE_AREA_MM)
    R = np.array([[0.0, -1.0], [1.0, 0.0]]) if turned else np.eye(2)
    t = -(corners @ R.T).min(axis=0)
    return NetFace(face.index, R @ face.R, R @ face.t + t, face.corners @ R.T + t)


def _placed_edges(
    solid: Solid, piece: list[NetFace]
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """All edges of a piece: vertex indices and (2, 2) mm end points on the sheet."""
    for face in piece:
        ends = np.stack([face.corners, np.roll(face.corners, -1, axis=0)], axis=1)
        yield from zip(_edges(solid.faces[face.index]), ends, strict=True)


def _folded_edges(solid: Solid, piece: list[NetFace]) -> set[frozenset[int]]:
    """Edges of the solid, as vertex pairs, that are folds of this piece."""
    places = dict(_placed_edges(solid, piece))
    return {
        frozenset((a, b))
        for (a, b), ends in places.items()
        if (b, a) in places and np.allclose(ends, places[b, a][::-1], atol=1e-6)
    }


def _choose_tabs(
    solid: Solid, pieces: list[list[NetFace]], folded: list[set[frozenset[int]]]
) -> dict[tuple[int, int], np.ndarray]:
    """A tab for each seam at one of its two edges, where it covers nothing.

    Returns:
        Tab corners by directed edge (vertex indices of the solid).
    """
    taken = [[face.corners for face in piece] for piece in pieces]
    cut_edges = [
        (edge, ends, occupied)
        for piece, folds, occupied in zip(pieces, folded, taken, strict=True)
        for edge, ends in _placed_edges(solid, piece)
        if frozenset(edge) not in folds
    ]
    tabs: dict[tuple[int, int], np.ndarray] = {}
    for slant in TAB_SLANTS:
        for edge, ends, occupied in cut_edges:
            tab = _tab(*ends, slant)
            free = all(overlap(tab, other) < OVERLAP_MM2 for other in occupied)
            if free and edge not in tabs and edge[::-1] not in tabs:
                tabs[edge] = tab
                occupied.append(tab)
    return tabs


def _tab(start: np.ndarray, end: np.ndarray, slant: float) -> np.ndarray:
    """A trapezium on the right of the way from start to end, which is outside of the face."""
    along = (end - start) / np.linalg.norm(end - start)
    out = TAB_MM * np.array([along[1], -along[0]])
    inset = slant * TAB_MM * along
    return np.array([start, start + out + inset, end + out - inset, end])


def _net(
    solid: Solid,
    piece: list[NetFace],
    folds: set[frozenset[int]],
    tabs: dict[tuple[int, int], np.ndarray],
) -> Net:
    seam_numbers = {frozenset(edge): number for number, edge in enumerate(tabs, start=1)}
    fold_lines: dict[frozenset[int], np.ndarray] = {}
    seams = []
    for edge, ends in _placed_edges(solid, piece):
        if frozenset(edge) in folds:
            fold_lines[frozenset(edge)] = ends
        else:
            seams.append(Seam(seam_numbers[frozenset(edge)], ends, tabs.get(edge)))
    return Net(tuple(piece), np.array(list(fold_lines.values())).reshape(-1, 2, 2), tuple(seams))
