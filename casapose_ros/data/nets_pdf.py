"""The printable sheets of the demo objects: nets at true scale on A4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.transforms import Affine2D

from casapose_ros.data.demo_objects import face_style
from casapose_ros.data.face_textures import paint_face
from casapose_ros.data.nets import PAGE_AREA_MM, TAB_MM, Net, unfold
from casapose_ros.data.solids import Solid, demo_solids
from casapose_ros.geometry import look_at

A4_MM = (210.0, 297.0)
MM_PER_INCH = 25.4
PRINT_PX_PER_MM = 6.0
"""About 150 dpi."""
RULER_MM = 100
AREA_CORNER_MM = ((A4_MM[0] - PAGE_AREA_MM[0]) / 2, 20.0)
VIEW_FROM = (0.55, -1.0, 0.75)
"""Direction of the eye in the drawings of the folded objects."""
VIEW_SCALE = 0.27

INSTRUCTIONS = """\
Paper objects for casapose_ros

1.  Print on A4, single-sided, at 100 % ("actual size", no fitting to the page), in colour.
     Matt paper of 160 g/m² or more keeps its shape best.
2.  Check the scale: the ruler at the foot of each page must measure 100 mm.
     A print at another scale gives wrong distances.
3.  Cut along the solid outline, tabs included. Score the dashed lines with a ruler and
     a blunt blade.
4.  Fold all dashed lines backwards: the printed side is the outside.
5.  Glue each tab behind the edge that carries the same number. Close the base last.

Show an object to a calibrated camera, standing on a table as drawn here.
The model that comes with the package knows the cube, the cuboid and the wedge;
train your own for the others.
"""


def write_nets_pdf(path: str | Path) -> None:
    """Write the sheets of all demo objects, with instructions on the first page."""
    # Without the date the file comes out the same every time.
    with PdfPages(path, metadata={"CreationDate": None, "Title": "casapose_ros objects"}) as pdf:
        for page in nets_pages():
            pdf.savefig(page)


def nets_pages() -> Iterator[Figure]:
    """The pages one by one, each an A4 figure whose axes are in millimetres."""
    solids = demo_solids()
    yield _instruction_page(solids)
    for solid in solids:
        nets = unfold(solid)
        for number, net in enumerate(nets, start=1):
            yield _net_page(solid, net, f"{solid.name}, sheet {number} of {len(nets)}")


def _page() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(A4_MM[0] / MM_PER_INCH, A4_MM[1] / MM_PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, A4_MM[0]), ylim=(0, A4_MM[1]))
    axes.set_axis_off()
    _draw_ruler(axes, (A4_MM[0] - RULER_MM) / 2, 10.0)
    return figure, axes


def _draw_ruler(axes: Axes, left: float, bottom: float) -> None:
    axes.plot([left, left + RULER_MM], [bottom, bottom], color="black", lw=0.6)
    for mm in range(0, RULER_MM + 1, 10):
        axes.plot([left + mm] * 2, [bottom, bottom + (4 if mm % 50 == 0 else 2)], "k-", lw=0.6)
    axes.text(left + RULER_MM + 3, bottom, "100 mm", fontsize=8)


def _instruction_page(solids: tuple[Solid, ...]) -> Figure:
    figure, axes = _page()
    axes.text(20, 282, INSTRUCTIONS, fontsize=10.5, va="top", linespacing=1.6)
    for place, solid in enumerate(solids):
        centre = np.array([40.0 + 65 * (place % 3), 178.0 - 58 * (place // 3)])
        _draw_folded(axes, solid, centre)
        size = " x ".join(f"{mm:.0f}" for mm in np.ptp(solid.vertices, axis=0))
        axes.text(*(centre - (0, 32)), f"{solid.name}\n{size} mm", ha="center", fontsize=9)
    return figure


def _draw_folded(axes: Axes, solid: Solid, centre: np.ndarray) -> None:
    """Draw a solid as it stands on the table, in parallel projection."""
    R, _ = look_at(np.array(VIEW_FROM), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    to_page = VIEW_SCALE * np.array([R[0], -R[1]])  # the camera's y points down, the page's up
    for index in range(len(solid.faces)):
        face = solid.face(index)
        if np.cross(*face.axes) @ VIEW_FROM > 0:
            place = (to_page @ face.axes.T, to_page @ face.origin + centre)
            _draw_face(axes, solid, index, place, PRINT_PX_PER_MM / 2)


def _net_page(solid: Solid, net: Net, title: str) -> Figure:
    figure, axes = _page()
    axes.text(A4_MM[0] / 2, 288, f"{title}: print at 100 %", fontsize=9, ha="center")
    size = np.concatenate([face.corners for face in net.faces]).max(axis=0)
    shift = np.array(AREA_CORNER_MM) + (np.array(PAGE_AREA_MM) - size) / 2
    for face in net.faces:
        _draw_face(axes, solid, face.index, (face.R, face.t + shift), PRINT_PX_PER_MM)
    _draw_lines(axes, net, shift)
    return figure


def _draw_face(
    axes: Axes, solid: Solid, index: int, place: tuple[np.ndarray, np.ndarray], px_per_mm: float
) -> None:
    """Paint a face at ``A @ p_face + t`` mm on the page, where ``place`` is (A, t)."""
    outline = solid.face(index).outline
    image = paint_face(outline, face_style(solid, index), px_per_mm)
    width, height = np.array(image.shape[1::-1]) / px_per_mm
    top = outline[:, 1].max()  # of which the whole pixels fall short or go below the rectangle
    affine = np.eye(3)
    affine[:2, :2], affine[:2, 2] = place
    to_page = Affine2D(affine) + axes.transData
    # Only interpolation "none" embeds the pixels as they are; others resample them.
    picture = axes.imshow(
        image, extent=(0, width, top - height, top), interpolation="none", aspect="auto"
    )
    picture.set_transform(to_page)
    picture.set_clip_path(Polygon(outline, transform=to_page))
    axes.set(xlim=(0, A4_MM[0]), ylim=(0, A4_MM[1]))  # imshow moves the limits


def _draw_lines(axes: Axes, net: Net, shift: np.ndarray) -> None:
    """Dashed fold lines, solid cut lines and the numbers of the seams."""
    dashed = {"color": "grey", "lw": 0.5, "ls": (0, (6, 4))}
    for fold in net.folds + shift:
        axes.plot(*fold.T, **dashed)
    for seam in net.seams:
        edge = seam.edge + shift
        along = (edge[1] - edge[0]) / np.linalg.norm(edge[1] - edge[0])
        if seam.tab is None:
            axes.plot(*edge.T, color="black", lw=0.6)
        else:
            axes.plot(*(seam.tab + shift).T, color="black", lw=0.6)
            axes.plot(*edge.T, **dashed)
        x, y = edge.mean(axis=0) + TAB_MM / 2 * np.array([along[1], -along[0]])
        angle = np.degrees(np.arctan2(along[1], along[0]))
        axes.text(x, y, str(seam.number), fontsize=8, ha="center", va="center", rotation=angle)
