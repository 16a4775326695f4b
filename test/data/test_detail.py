"""Coarser meshes: they stay where they were, keep both sides of a wall, and their colours."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from rendered import box_mesh, require_gl
from scipy.spatial import cKDTree

from casapose_ros.data.colours import surface_colours
from casapose_ros.data.detail import Volume, coarsened, colour_volume, levels_of_detail
from casapose_ros.data.meshes import Mesh, load_mesh
from casapose_ros.data.rendering import Renderer
from casapose_ros.data.stage import Instance, Material, Stage
from casapose_ros.data.surfaces import is_closed
from casapose_ros.types import CameraModel


def scanned(surface: trimesh.Trimesh, colours=None) -> Mesh:
    return Mesh(
        np.array(surface.vertices),
        np.array(surface.faces, dtype=np.int32),
        np.array(surface.vertex_normals),
        colours=colours,
    )


def ball(radius=0.05) -> Mesh:
    return scanned(trimesh.creation.icosphere(subdivisions=5, radius=radius))


def distance(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Metres from points to a mesh, nearly: to the planes of the nearest of many samples."""
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    samples, faces = trimesh.sample.sample_surface(surface, 100_000, seed=0)
    _, nearest = cKDTree(samples).query(points, k=4)
    normals = surface.face_normals[faces][nearest]
    return np.abs(np.einsum("ijk,ijk->ij", points[:, None] - samples[nearest], normals)).min(axis=1)


@pytest.mark.parametrize("cell", [0.003, 0.006])
def test_coarse_ball_is_still_round(cell):
    mesh = ball()
    coarse = coarsened(mesh, cell)
    assert len(coarse.faces) < 0.5 * len(mesh.faces)
    radii = np.linalg.norm(coarse.vertices, axis=1)
    assert np.abs(radii - 0.05).max() < 0.03 * cell
    assert np.percentile(distance(mesh.vertices, coarse), 95) < 0.08 * cell
    outward = np.einsum("ij,ij->i", coarse.normals, coarse.vertices / radii[:, None])
    assert outward.min() > 0.97


def test_corners_of_a_box_stay():
    surface = trimesh.creation.box((0.1, 0.08, 0.06)).subdivide_to_size(0.002)
    coarse = coarsened(scanned(surface), 0.006)
    low, high = coarse.vertices.min(axis=0), coarse.vertices.max(axis=0)
    assert np.allclose(high - low, [0.1, 0.08, 0.06], atol=4e-4)
    off = distance(np.array(surface.vertices), coarse)
    assert off.max() < 0.0015 and np.percentile(off, 95) < 0.0005


def split(mesh: Mesh) -> Mesh:
    """Every triangle with vertices and flat normals of its own, as STL files have them."""
    vertices = mesh.vertices[mesh.faces].reshape(-1, 3)
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    normals = np.repeat(trimesh.Trimesh(mesh.vertices, mesh.faces).face_normals, 3, axis=0)
    return Mesh(vertices, faces, normals)


@pytest.mark.parametrize("cell", [0.0045, 0.01])
@pytest.mark.parametrize(
    "surface",
    [
        trimesh.creation.box((0.1, 0.08, 0.06)).subdivide_to_size(0.002),
        trimesh.creation.cylinder(0.03, 0.08, sections=64).subdivide_to_size(0.003),
    ],
    ids=["box", "cylinder"],
)
def test_hard_edges_do_not_gape(surface, cell):
    mesh = split(scanned(surface))
    coarse = coarsened(mesh, cell)
    assert is_closed(mesh) and is_closed(coarse)
    assert len(coarse.faces) < 0.6 * len(mesh.faces)
    shape = trimesh.Trimesh(coarse.vertices, coarse.faces, process=False)
    assert shape.volume == pytest.approx(surface.volume, rel=0.01)
    # Edges stay sharp: normals are those of the faces, not of their mean.
    sharp = np.abs(coarse.normals @ np.array([0.0, 0.0, 1.0]))
    assert np.mean((sharp < 0.1) | (sharp > 0.99)) > 0.99


def test_thin_wall_keeps_two_sides():
    wall = scanned(trimesh.creation.box((0.1, 0.1, 0.002)).subdivide_to_size(0.003))
    coarse = coarsened(wall, 0.01)
    assert np.ptp(coarse.vertices[:, 2]) == pytest.approx(0.002, abs=2e-4)
    volume = trimesh.Trimesh(coarse.vertices, coarse.faces, process=False).volume
    assert volume == pytest.approx(0.1 * 0.1 * 0.002, rel=0.1)


def test_simple_meshes_have_one_level():
    assert [cell for cell, _ in levels_of_detail(box_mesh())] == [0.0]
    cells = [cell for cell, _ in levels_of_detail(ball())]
    assert cells[0] == 0 and len(cells) >= 3 and cells == sorted(cells)


def colours_in(volume: Volume, points: np.ndarray) -> np.ndarray:
    """(N, 3) what the volume has at points of the surface."""
    place = (points - volume.low) / volume.size * volume.colours.shape[2::-1]
    x, y, z = np.floor(place).astype(int).T
    return volume.colours[z, y, x, :3].astype(int)


def test_volume_has_the_colours_of_the_surface():
    mesh = ball()
    colours = (127 + 2000 * mesh.vertices).astype(np.uint8)
    volume = colour_volume(scanned(trimesh.Trimesh(mesh.vertices, mesh.faces), colours))
    assert np.abs(colours_in(volume, mesh.vertices) - colours).max() < 8
    assert (volume.colours[..., 3] == 255).all()


def test_volume_has_the_colours_of_large_triangles_too():
    """Twelve triangles, far larger than voxels: one by its vertices, one by its texture."""
    box = box_mesh((0.2, 0.2, 0.2), (200, 100, 50))
    uv = 0.5 + 0.49 * box.vertices[:, :2] / 0.1
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = (200, 100, 50)
    textured = replace(box, colours=None, uv=uv, texture=halves)
    points, _ = surface_colours(np.random.default_rng(1), box, 2000)
    assert np.all(colours_in(colour_volume(box), points) == (200, 100, 50))
    right = points[:, 0] > 0
    clear = np.abs(points[:, 0]) > 0.005
    seen = colours_in(colour_volume(textured), points)
    assert np.all(seen[clear & right] == (200, 100, 50)) and np.all(seen[clear & ~right] == 0)


CAMERA = CameraModel(np.array([[570.0, 0, 319.5], [0, 570, 239.5], [0, 0, 1]]), 640, 480)


def test_far_scan_is_drawn_as_if_it_were_whole(shared_dir: Path):
    """The masks of the coarse mesh against those of every triangle of the scan."""
    path = shared_dir / "data" / "lmo" / "models" / "obj_000005.ply"
    if not path.is_file():
        pytest.skip("LM-O models are not at ../shared/data/lmo/models")
    require_gl()
    mesh = load_mesh(path, "mm")
    rng = np.random.default_rng(0)
    with Renderer(640, 480, {"can": mesh}) as renderer:
        bodies = renderer._drawer._bodies
        levels = bodies["can"].levels
        assert len(levels) > 2
        for z in (0.4, 0.7, 1.1, 1.5):
            R = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            stage = lone(Instance("can", R * np.linalg.det(R), np.array([0.02, -0.05, z])))
            drawn = renderer.draw(stage, CAMERA)
            object.__setattr__(bodies["can"], "levels", levels[:1])
            whole = renderer.draw(stage, CAMERA)
            object.__setattr__(bodies["can"], "levels", levels)
            inside = whole.labels > 0
            outline = inside.sum() - (inside & np.roll(inside, 1, 0) & np.roll(inside, 1, 1)).sum()
            assert np.sum(drawn.labels != whole.labels) <= 0.25 * outline
            both = inside & (drawn.labels > 0)
            difference = drawn.image[both].astype(float) - whole.image[both]
            assert np.abs(difference.mean()) < 2 and np.abs(difference).mean() < 6


def test_near_texture_is_not_blurred():
    """A dense textured ball: near, its texture is shown; far, a coarse mesh with its colours."""
    require_gl()
    surface = ball()
    uv = 0.5 + surface.vertices[:, :2] * 9
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    textured = replace(surface, uv=uv, texture=stripes)
    with Renderer(640, 480, {"ball": textured}) as renderer:
        near, far = (
            renderer.draw(lone(Instance("ball", np.eye(3), np.array([0, 0, z]))), CAMERA)
            for z in (0.3, 2.5)
        )
    shown = near.image[near.labels > 0].astype(float)
    assert np.percentile(shown, 20) < 20 and np.percentile(shown, 95) > 200
    grey = far.image[far.labels > 0].astype(float)
    assert 60 < grey.mean() < 160 and grey.std() < 60


def lone(instance: Instance) -> Stage:
    """A thing in even light before black."""
    return Stage(
        instances=(instance,),
        floor=(),
        lamps=(),
        up=np.array([0.0, -1, 0]),
        focus=instance.t_ref_obj,
        sky=np.ones(3),
        ground=np.ones(3),
        background=Material(texture=np.zeros((4, 4, 3), np.uint8)),
    )
