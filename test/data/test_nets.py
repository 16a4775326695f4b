import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from casapose_ros.data import nets_pdf
from casapose_ros.data.nets import PAGE_AREA_MM, TAB_MM, overlap, unfold
from casapose_ros.data.solids import demo_solids

SOLIDS = {solid.name: solid for solid in demo_solids()}
NETS = {name: unfold(solid) for name, solid in SOLIDS.items()}

each_solid = pytest.mark.parametrize("name", SOLIDS)


def edge_lengths(polygon):
    return np.linalg.norm(np.roll(polygon, -1, axis=0) - polygon, axis=1)


def edge_key(points):
    """An edge's end points in 3D, whichever way it is run through."""
    return tuple(sorted(map(tuple, np.round(points, 6) + 0.0)))


@each_solid
def test_every_face_lies_in_one_net_congruent_and_not_mirrored(name):
    solid = SOLIDS[name]
    laid = [face for net in NETS[name] for face in net.faces]
    assert sorted(face.index for face in laid) == list(range(len(solid.faces)))
    for face in laid:
        true = solid.face(face.index)
        np.testing.assert_allclose(edge_lengths(face.corners), edge_lengths(true.corners))
        assert np.linalg.det(face.R) == pytest.approx(1)
        back = (face.corners - face.t) @ face.R @ true.axes + true.origin
        np.testing.assert_allclose(back, true.corners, atol=1e-9)


@each_solid
def test_folds_and_seams_are_the_edges_of_the_solid(name):
    """Each edge in 3D is a fold of two faces that touch, or a seam of two cut edges."""
    solid = SOLIDS[name]
    seen = {}
    for sheet, net in enumerate(NETS[name]):
        folds = [edge_key(fold) for fold in net.folds]
        numbers = {edge_key(seam.edge): seam.number for seam in net.seams}
        for face in net.faces:
            corners = solid.face(face.index).corners
            for k in range(len(corners)):
                ends = [k, (k + 1) % len(corners)]
                flat = edge_key(face.corners[ends])
                kind = "fold" if flat in folds else numbers[flat]
                seen.setdefault(edge_key(corners[ends]), []).append((kind, (sheet, flat)))
    for (kind, flat), (other_kind, other_flat) in seen.values():
        assert kind == other_kind
        assert (flat == other_flat) == (kind == "fold")


@each_solid
def test_a_net_hangs_together(name):
    for net in NETS[name]:
        assert len(net.folds) == len(net.faces) - 1
        assert len({edge_key(fold) for fold in net.folds}) == len(net.folds)


@each_solid
def test_each_seam_joins_two_equal_edges_with_one_tab(name):
    seams = {}
    for net in NETS[name]:
        for seam in net.seams:
            seams.setdefault(seam.number, []).append(seam)
    assert sorted(seams) == list(range(1, len(seams) + 1))
    for one, other in seams.values():
        assert np.linalg.norm(np.diff(one.edge, axis=0)) == pytest.approx(
            np.linalg.norm(np.diff(other.edge, axis=0))
        )
        assert (one.tab is None) != (other.tab is None)


@each_solid
def test_nothing_on_a_sheet_overlaps(name):
    for net in NETS[name]:
        tabs = [seam.tab for seam in net.seams if seam.tab is not None]
        polygons = [face.corners for face in net.faces] + tabs
        for i, polygon in enumerate(polygons):
            for other in polygons[:i]:
                assert overlap(polygon, other) < 0.01


@each_solid
def test_a_net_fits_on_a_page(name):
    for net in NETS[name]:
        points = np.concatenate([face.corners for face in net.faces])
        np.testing.assert_allclose(points.min(axis=0), 0, atol=1e-9)
        for seam in net.seams:
            if seam.tab is not None:
                assert np.all(seam.tab > -TAB_MM - 1e-9)
                assert np.all(seam.tab < np.array(PAGE_AREA_MM) - TAB_MM + 1e-9)
        assert np.all(points.max(axis=0) + 2 * TAB_MM <= PAGE_AREA_MM)


def draw(page, dpi):
    """The page as (H, W, 3) uint8."""
    page.set_dpi(dpi)
    canvas = FigureCanvasAgg(page)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.fixture(scope="module")
def cube_page():
    return nets_pdf._net_page(SOLIDS["cube"], NETS["cube"][0], "cube, sheet 1")


def test_the_ruler_and_the_net_have_true_scale_on_the_page(cube_page):
    px_per_mm = 5
    image = draw(cube_page, px_per_mm * 25.4)
    assert abs(image.shape[1] - 210 * px_per_mm) <= 1
    assert abs(image.shape[0] - 297 * px_per_mm) <= 1
    ruler = image[-12 * px_per_mm : -8 * px_per_mm].min(axis=(0, 2)) < 128
    # The word "100 mm" follows the ruler after a gap.
    start = np.argmax(ruler)
    length = np.argmin(ruler[start:])
    assert length / px_per_mm == pytest.approx(100, abs=0.6)
    # The cube's faces have black frames: their outer size is the only large dark extent.
    dark = (image.max(axis=2) < 40)[: -20 * px_per_mm]
    rows = np.flatnonzero(dark.sum(axis=1) > 80 * px_per_mm)
    columns = np.flatnonzero(dark.sum(axis=0) > 150 * px_per_mm)
    assert (rows[-1] - rows[0] + 1) / px_per_mm == pytest.approx(200, abs=0.6)
    assert (columns[-1] - columns[0] + 1) / px_per_mm == pytest.approx(100, abs=0.6)


def test_the_pdf_page_is_a4_and_the_same_every_time(tmp_path, cube_page, monkeypatch):
    monkeypatch.setattr(nets_pdf, "nets_pages", lambda: [cube_page])
    for name in ("a.pdf", "b.pdf"):
        nets_pdf.write_nets_pdf(tmp_path / name)
    content = (tmp_path / "a.pdf").read_bytes()
    assert content == (tmp_path / "b.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", content)
    millimetres = [float(points) / 72 * 25.4 for points in box.groups()]
    np.testing.assert_allclose(millimetres, [210, 297], atol=0.01)


def test_there_is_a_page_of_instructions_and_one_per_net(monkeypatch):
    monkeypatch.setattr(nets_pdf, "PRINT_PX_PER_MM", 2.0)  # saves seconds
    pages = list(nets_pdf.nets_pages())
    assert len(pages) == 1 + sum(len(nets) for nets in NETS.values())
    image = draw(pages[0], 60)
    assert image.std() > 10
