"""Two scans of one object: moved, resampled, noisy, with parts that only one of them has."""

from dataclasses import replace

import numpy as np
import pytest
from other_scans import cut, largest_error, moved, subdivided
from rendered import box_mesh

from casapose_ros.data.alignment import align_meshes
from casapose_ros.data.demo_objects import demo_mesh, symmetries_of
from casapose_ros.data.meshes import load_mesh
from casapose_ros.data.solids import demo_solids
from casapose_ros.errors import MeshError

SOLIDS = {solid.name: solid for solid in demo_solids()}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", ["cube", "house"])
def test_a_solid_is_found_by_its_shape_and_its_colours(name, rng):
    reference = demo_mesh(SOLIDS[name])
    scan, T = moved(cut(subdivided(reference), rng, 0.15), rng)
    # Darker, with another white balance.
    scan = replace(scan, texture=(scan.texture * [0.5, 0.7, 0.6] + 20).astype(np.uint8))
    found = align_meshes(scan, reference, name)
    millimetres, degrees = largest_error(found.T_reference_obj, T, reference)
    assert millimetres < 0.3 and degrees < 0.2
    assert found.ties == 1
    assert found.median < 0.0003 and found.percentile_95 < 0.0008
    assert found.common == pytest.approx(0.87, abs=0.04)


def test_what_nothing_tells_apart_is_said_and_turned_least(rng):
    solid = SOLIDS["hexagon"]
    reference = demo_mesh(solid)
    scan, T = moved(subdivided(reference), rng)
    found = align_meshes(scan, reference, "hexagon")
    assert found.ties == len(symmetries_of(solid).discrete) + 1
    equivalent = [np.eye(4), *symmetries_of(solid).discrete]
    errors = [largest_error(found.T_reference_obj, S @ T, reference) for S in equivalent]
    millimetres, degrees = min(errors)
    assert millimetres < 0.3 and degrees < 0.2
    angles = [np.trace((S @ T)[:3, :3]) for S in equivalent]
    assert np.argmin([millimetres for millimetres, _ in errors]) == np.argmax(angles)


@pytest.mark.parametrize(("bop_id", "cut_reference"), [(1, False), (8, True), (11, False)])
def test_the_evaluation_meshes_of_linemod_are_other_scans(bop_id, cut_reference, rng, shared_dir):
    """They have other vertices, a fifth as many, and no colours."""
    name = f"obj_{bop_id:06d}.ply"
    reference = load_mesh(shared_dir / "data/lmo/models" / name, "mm")
    scan, T = moved(load_mesh(shared_dir / "data/lmo/models_eval" / name, "mm"), rng)
    if cut_reference:
        reference = cut(reference, rng, 0.2)
    else:
        scan = cut(scan, rng, 0.15)
    found = align_meshes(scan, reference, name)
    millimetres, degrees = largest_error(found.T_reference_obj, T, reference)
    assert millimetres < 0.2 and degrees < 0.1
    assert found.ties == 1 and found.median < 0.0003


def test_another_object_is_refused(rng):
    scan, _ = moved(demo_mesh(SOLIDS["wedge"]), rng)
    with pytest.raises(
        MeshError,
        match=r"block: the scan does not fit .* It is 16\d\.\d mm across, the reference "
        r"167\.4 mm: another object",
    ):
        align_meshes(scan, box_mesh((0.14, 0.08, 0.045)), "block")


def test_another_scale_is_refused_however_similar(rng):
    reference = demo_mesh(SOLIDS["cuboid"])
    scan, _ = moved(cut(reference, rng, 0.1), rng, scale=1.03)
    with pytest.raises(
        MeshError,
        match=r"cuboid: the scan has the reference's shape, but is (2\.[5-9]|3\.[012]) % larger\. "
        r"It is 1\d\d\.\d mm across, the reference 176\.9 mm",
    ):
        align_meshes(scan, reference, "cuboid")
