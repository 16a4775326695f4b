"""Meshes inside out: found, turned, named; what is right is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from rendered import box_mesh, small_object_set

from casapose_ros.data.meshes import Mesh, load_mesh, load_object_set
from casapose_ros.data.ply import write_ply
from casapose_ros.data.scenes import load_bodies
from casapose_ros.data.surfaces import is_closed, with_outward_faces

RNG = np.random.default_rng(0)


def ball() -> Mesh:
    surface = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
    return Mesh(
        np.array(surface.vertices),
        np.array(surface.faces, dtype=np.int32),
        np.array(surface.vertex_normals),
    )


def inside_out(mesh: Mesh, which=slice(None)) -> Mesh:
    faces = mesh.faces.copy()
    faces[which] = faces[which][:, ::-1]
    normals = trimesh.Trimesh(mesh.vertices, faces, process=False).vertex_normals
    return replace(mesh, faces=faces, normals=np.array(normals))


@pytest.mark.parametrize("mesh", [box_mesh(), ball()], ids=["box", "ball"])
def test_right_meshes_are_left_alone(mesh):
    same, fault = with_outward_faces(mesh)
    assert same is mesh and fault == ""
    assert is_closed(mesh)


@pytest.mark.parametrize("mesh", [box_mesh(), ball()], ids=["box", "ball"])
def test_whole_mesh_inside_out_is_turned(mesh):
    assert not is_closed(inside_out(mesh))
    repaired, fault = with_outward_faces(inside_out(mesh))
    assert fault == f"{len(mesh.faces)} of {len(mesh.faces)} faces looked inwards and were turned"
    assert np.array_equal(repaired.faces, mesh.faces)
    assert np.einsum("ij,ij->i", repaired.normals, mesh.vertices).min() > 0
    assert is_closed(repaired)


def test_mixed_faces_are_turned():
    mesh = ball()
    wrong = RNG.choice(len(mesh.faces), 80, replace=False)
    repaired, fault = with_outward_faces(inside_out(mesh, wrong))
    assert "80 of 320 faces looked inwards" in fault
    assert np.array_equal(repaired.faces, mesh.faces)


def test_one_of_two_pieces_inside_out():
    one = ball()
    both = Mesh(
        np.concatenate([one.vertices, one.vertices + 0.2]),
        np.concatenate([one.faces, one.faces[:, ::-1] + len(one.vertices)]),
        np.concatenate([one.normals, -one.normals]),
    )
    repaired, fault = with_outward_faces(both)
    assert "320 of 640" in fault and is_closed(repaired)


def test_scan_with_a_hole_in_its_foot():
    mesh = ball()
    foot = mesh.vertices[mesh.faces].mean(axis=1)[:, 2] < -0.04
    bowl = replace(mesh, faces=mesh.faces[~foot])
    assert with_outward_faces(bowl) == (bowl, "")
    repaired, fault = with_outward_faces(inside_out(bowl))
    assert fault and np.array_equal(repaired.faces, bowl.faces)


def test_sheet_has_no_inside():
    sheet = Mesh(
        np.array([(0, 0, 0), (0.1, 0, 0), (0.1, 0.1, 0), (0, 0.1, 0)]),
        np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32),
        np.tile([0.0, 0, 1], (4, 1)),
    )
    for each in (sheet, inside_out(sheet)):
        assert with_outward_faces(each) == (each, "")


def test_moebius_band_is_drawn_with_two_sides():
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    across = np.array([-0.01, 0.01])[:, None]
    radius = 0.05 + across * np.cos(turns / 2)
    points = np.stack([radius * np.cos(turns), radius * np.sin(turns), across * np.sin(turns / 2)])
    i = np.arange(24)
    j = (i + 1) % 24
    a, b, c, d = i, j, i + 24, j + 24
    b, d = np.where(i == 23, d, b), np.where(i == 23, b, d)
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)
    band = Mesh(points.reshape(3, -1).T, faces, np.tile([0.0, 0, 1], (48, 1)))
    same, fault = with_outward_faces(band)
    assert same is band and "both sides are drawn alike" in fault


def test_closed_surfaces():
    box = box_mesh()
    assert is_closed(box)
    assert not is_closed(replace(box, faces=box.faces[1:]))


def test_inverted_file_is_named_and_repaired(tmp_path: Path):
    objects = small_object_set(tmp_path)
    first = objects.objects[0]
    mesh = objects.mesh(first)
    write_ply(objects.mesh_path(first), inside_out(mesh))
    with pytest.warns(UserWarning, match=r"obj_000001.ply: 12 of 12 faces looked inwards"):
        loaded = load_bodies(load_object_set(tmp_path))
    assert is_closed(loaded[first.name][1])


def test_scans_of_the_data_set_are_in_order(shared_dir: Path):
    path = shared_dir / "data" / "lmo" / "models" / "obj_000009.ply"
    if not path.is_file():
        pytest.skip("LM-O models are not at ../shared/data/lmo/models")
    assert with_outward_faces(load_mesh(path, "mm"))[1] == ""
