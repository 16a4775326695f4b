"""The file of surfaces: what was saved comes back, what is no such file is refused."""

import pickle
import zipfile

import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import box_object

from casapose_ros.errors import BundleError
from casapose_ros.outlines import load_surfaces, save_surfaces

SURFACES = (box_surface(box_object()), box_surface(box_object(size=(0.05, 0.05, 0.1))))


class Trap:
    """Its pickle writes a file when it is read."""

    def __reduce__(self):
        return (open, ("executed", "w"))


def test_what_was_saved_comes_back(tmp_path):
    save_surfaces(tmp_path / "surfaces.npz", SURFACES)
    loaded = load_surfaces(tmp_path / "surfaces.npz", 2)
    for there, here in zip(SURFACES, loaded, strict=True):
        np.testing.assert_allclose(here, there, atol=3e-4)


def test_a_file_of_other_objects_is_refused(tmp_path):
    save_surfaces(tmp_path / "surfaces.npz", SURFACES)
    with pytest.raises(BundleError, match="of 3 objects, got .*casapose outlines"):
        load_surfaces(tmp_path / "surfaces.npz", 3)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((9, 2)), r"expected \(N, 3\) points, got float64 \(9, 2\)"),
        (np.zeros((2, 3)), r"got float64 \(2, 3\)"),
        (np.zeros((9, 3), int), r"got int64 \(9, 3\)"),
        (np.array(["a", "b"]), r"got <U1 \(2,\)"),
        (np.full((9, 3), np.nan), "not finite"),
        (np.full((9, 3), 2.5), "more than 2 diameters"),
    ],
)
def test_what_is_no_surface_is_refused(tmp_path, points, message):
    np.savez(tmp_path / "surfaces.npz", **{"1": points})
    with pytest.raises(BundleError, match=message):
        load_surfaces(tmp_path / "surfaces.npz", 1)


def test_nothing_in_the_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("trap.npz", **{"1": np.array([Trap()], dtype=object)})
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "text.npz").write_text("no archive")
    with zipfile.ZipFile("cut.npz", "w") as archive:
        archive.writestr("1.npy", b"\x93NUMPY\x01\x00")
    for name in ("trap.npz", "raw.npz", "text.npz", "cut.npz", "missing.npz"):
        with pytest.raises(BundleError, match="copy the bundle again"):
            load_surfaces(tmp_path / name, 1)
    assert not (tmp_path / "executed").exists()
