"""Photographs around the known objects."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from rendered import SMALL_SCENES, require_gl, small_object_set, small_props

from casapose_ros import cli
from casapose_ros.config import to_dict
from casapose_ros.data.photos import find_photos, photo_crops, photos_digest
from casapose_ros.data.props import props_for
from casapose_ros.data.scenes import load_bodies, sample_scene
from casapose_ros.errors import ConfigError

CROWDED = replace(SMALL_SCENES, distractor_count=(3, 3), sheet_count=(2, 2))


def write(path, colour=(0, 0, 255), shape=(20, 30), dtype=np.uint8):
    """One colour (BGR, BGRA or a grey)."""
    path.parent.mkdir(exist_ok=True, parents=True)
    channels = np.asarray(colour, dtype)
    cv2.imwrite(str(path), np.broadcast_to(channels, (*shape, *channels.shape)))
    return path


def crops(folder, count=4, size=16):
    return photo_crops(np.random.default_rng(0), folder, count, size)


def test_all_photos_of_a_folder_and_those_inside_are_found(tmp_path):
    names = ["b.JPG", "a.png", "inside/c.jpeg"]
    for name in names:
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    assert [p.relative_to(tmp_path).as_posix() for p in find_photos(tmp_path)] == sorted(
        names, key=lambda name: tmp_path / name
    )


def test_every_photo_is_used_before_one_is_used_twice(tmp_path):
    for grey in (10, 20, 30):
        write(tmp_path / f"{grey}.png", (grey,) * 3)
    seen = [int(crop.mean()) for crop in crops(tmp_path, 7)]
    assert sorted(seen[:3]) == sorted(seen[3:6]) == [10, 20, 30]
    assert all(crop.shape == (16, 16, 3) and crop.dtype == np.uint8 for crop in crops(tmp_path))


def test_crops_are_upright_parts_of_half_to_all_of_the_shorter_side(tmp_path):
    """Columns and rows are written into the colours, which then tell where a crop is from."""
    rows, columns = np.mgrid[0:100, 0:200].astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([rows, columns, 0 * rows]))
    edges, lefts = [], []
    for crop in crops(tmp_path, 200, 64):
        width, height = (int(np.ptp(crop[..., channel])) for channel in (1, 2))
        assert abs(width - height) <= 1
        assert (np.diff(crop[..., 1].astype(int), axis=1) >= 0).all()
        edges.append(width)
        lefts.append(int(crop[..., 1].min()))
    assert 47 <= min(edges) < 55 and 92 < max(edges) <= 100
    assert min(lefts) < 10 and max(lefts) > 110


@pytest.mark.parametrize(
    ("colour", "dtype", "expected"),
    [
        ((0, 0, 255), np.uint8, (255, 0, 0)),
        ((0, 0, 200, 255), np.uint8, (200, 0, 0)),
        ((0, 0, 200, 0), np.uint8, (128, 128, 128)),
        ((0, 0, 228, 128), np.uint8, (178, 64, 64)),
        (77, np.uint8, (77, 77, 77)),
        ((0, 0, 51 * 257), np.uint16, (51, 0, 0)),
        (51 * 257, np.uint16, (51, 51, 51)),
    ],
)
def test_kinds_of_images(tmp_path, colour, dtype, expected):
    write(tmp_path / "a.png", colour, dtype=dtype)
    assert np.abs(crops(tmp_path, 1)[0].astype(int) - expected).max() <= 1


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere is not a folder"):
        find_photos(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="has no image .*jpg"):
        find_photos(tmp_path)
    write(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"what a Mac puts beside a file")
    assert [p.name for p in find_photos(tmp_path)] == ["a.png"]
    for content in (b"", b"no image"):
        (tmp_path / "broken.jpg").write_bytes(content)
        with pytest.raises(ConfigError, match="broken.jpg is not an image that can be read"):
            find_photos(tmp_path)
    (tmp_path / "broken.jpg").unlink()
    header = bytearray((tmp_path / "a.png").read_bytes())
    header[16:24] = (100_000).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(header)
    with pytest.raises(ConfigError, match="a.png is not an image that can be read"):
        crops(tmp_path)


def test_photos_stand_as_the_camera_was_held(tmp_path):
    """The upper half is red; written turned, with a note that says so (EXIF)."""
    upright = np.zeros((40, 40, 3), np.uint8)
    upright[:20] = 255, 0, 0
    note = Image.Exif()
    note[274] = 6  # the top is on the right
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.jpg", exif=note, quality=95)
    for crop in crops(tmp_path, 8):
        red = crop[..., 0].astype(float)
        assert red[0].mean() > red[-1].mean() and np.ptp(red, axis=1).max() < 30


def test_digest_is_that_of_the_photos_wherever_they_are(tmp_path):
    for folder in ("here", "there"):
        write(tmp_path / folder / "a.png")
    digest = photos_digest(tmp_path / "here")
    assert digest == photos_digest(tmp_path / "there")
    write(tmp_path / "there" / "b.png")
    assert digest != photos_digest(tmp_path / "there")


def test_as_many_things_as_asked_for_show_photos(tmp_path, monkeypatch):
    monkeypatch.setattr("casapose_ros.data.props.make_props", lambda seed: small_props())
    loaded = load_bodies(small_object_set(tmp_path / "objects")).values()
    bodies, meshes = [body for body, _ in loaded], [mesh for _, mesh in loaded]
    write(tmp_path / "photos" / "a.png")

    def shown(probability):
        config = replace(CROWDED, photo_probability=probability)
        props = props_for(config, meshes, 0, tmp_path / "photos")
        for seed in range(40):
            stage = sample_scene(np.random.default_rng(seed), config, bodies, props).stage
            things = *stage.instances[2:], *stage.floor, stage.background
            for material in (getattr(thing, "material", thing) for thing in things):
                yield any(material.texture is photo for photo in props.photos)

    assert not any(shown(0.0))
    assert all(shown(1.0))
    assert np.mean(list(shown(0.4))) == pytest.approx(0.4, abs=0.1)


def test_seed_chooses_the_crops(tmp_path, monkeypatch):
    monkeypatch.setattr("casapose_ros.data.props.make_props", lambda seed: small_props())
    monkeypatch.setattr("casapose_ros.data.props.TEXTURE_PX", 32)
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), noise)
    config = replace(CROWDED, photo_probability=0.5)
    one, same, other = (props_for(config, [], seed, tmp_path).photos for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_command(tmp_path, monkeypatch, capsys):
    """What the scenario and the command line have to agree on, and what a resumed run needs."""
    require_gl()
    monkeypatch.setattr("casapose_ros.data.props.make_props", lambda seed: small_props())
    small_object_set(tmp_path / "objects")
    write(tmp_path / "photos" / "a.png")

    def render(probability, *more):
        scene = to_dict(replace(CROWDED, photo_probability=probability))
        (tmp_path / "scene.yaml").write_text(yaml.safe_dump(scene))
        arguments = ["--objects", tmp_path / "objects", "--config", tmp_path / "scene.yaml"]
        arguments += ["--frames", 2, "--out", tmp_path / "data", *more]
        return cli.main(["render", *map(str, arguments)]), capsys.readouterr().err

    given = "--photos", tmp_path / "photos"
    assert render(0.0, *given)[0] == 2
    code, said = render(1.0, "--photos", tmp_path, "--out", tmp_path / "data")
    assert code == 2 and "is inside the folder of photos" in said
    code, said = render(1.0)
    assert code == 2 and "photo_probability is 1, but there are no photos" in said
    assert not (tmp_path / "data").exists()
    assert render(1.0, *given)[0] == 0
    image = cv2.imread(str(next((tmp_path / "data").rglob("rgb/*"))))
    middle = image[::20, ::20].reshape(-1, 3).astype(int)
    assert np.mean(middle[:, 2] >= middle[:, :2].max(axis=1)) > 0.5  # red, as the photo
    assert render(1.0, *given, "--resume")[0] == 0
    write(tmp_path / "photos" / "b.png")
    code, said = render(1.0, *given, "--resume")
    assert code == 2 and "begun with other settings (photos: " in said
