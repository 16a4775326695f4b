"""Outlines: as smooth as the share of the pixel that is covered, and nothing else touched."""

import numpy as np

from casapose_ros.data.antialiasing import composed

HEIGHT, WIDTH = 48, 64


def half_plane(normal, offset):
    """Labels at the pixels' centres and corners, and each pixel's true share, of n.p > offset."""

    def inside(rows, columns):
        return normal[0] * columns[None] + normal[1] * rows[:, None] > offset

    centres = inside(np.arange(HEIGHT) + 0.5, np.arange(WIDTH) + 0.5)
    corners = inside(np.arange(HEIGHT + 1.0), np.arange(WIDTH + 1.0))
    fine = inside((np.arange(16 * HEIGHT) + 0.5) / 16, (np.arange(16 * WIDTH) + 0.5) / 16)
    share = fine.reshape(HEIGHT, 16, WIDTH, 16).mean(axis=(1, 3))
    return centres.astype(np.uint8), corners.astype(np.uint8), share


def flat(*rgb):
    return np.full((HEIGHT, WIDTH, 4), (*rgb, 255), np.uint8)


def test_edge_follows_the_covered_share():
    rng = np.random.default_rng(0)
    for _ in range(20):
        angle = rng.uniform(0, 2 * np.pi)
        normal = np.cos(angle), np.sin(angle)
        offset = normal[0] * WIDTH / 2 + normal[1] * HEIGHT / 2 + rng.uniform(-5, 5)
        labels, corners, share = half_plane(normal, offset)
        image = composed(flat(0, 100, 0), flat(200, 100, 0), labels, corners)
        error = np.abs(image[..., 0] / 200 - share)
        assert error.max() < 0.35 and error[(share > 0) & (share < 1)].mean() < 0.15
        assert abs(image[..., 0].mean() / 200 - share.mean()) < 0.004
        assert (image[..., 1] == 100).all()  # the same on both sides


def test_edge_between_two_instances_hides_the_floor():
    right, corners, _ = half_plane((1.0, 0.2), 40.0)
    lit = np.where(right[..., None] > 0, flat(200, 0, 0), flat(0, 200, 0))
    image = composed(flat(0, 0, 255), lit, 1 + right, 1 + corners)
    assert image[..., 2].max() == 0
    assert (np.abs(image[..., :2].sum(axis=2).astype(int) - 200) <= 2).all()


def test_without_instances_the_floor_is_left_alone():
    floor = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    nothing = np.zeros((HEIGHT, WIDTH), np.uint8)
    image = composed(floor, flat(9, 9, 9), nothing, np.zeros((HEIGHT + 1, WIDTH + 1), np.uint8))
    assert np.array_equal(image, floor[..., :3])


def test_floor_keeps_its_detail_beside_instances():
    floor = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    labels, corners, share = half_plane((1.0, 0.0), 40.0)
    image = composed(floor, flat(9, 9, 9), labels, corners)
    assert np.array_equal(image[:, :39], floor[:, :39, :3])
    assert (image[:, 41:] == 9).all()


def test_sliver_between_the_centres_does_not_show():
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    corners = np.zeros((HEIGHT + 1, WIDTH + 1), np.uint8)
    corners[20, 10:30] = 7
    image = composed(flat(100, 100, 100), flat(0, 0, 0), labels, corners)
    assert image.shape == (HEIGHT, WIDTH, 3) and (image == 100).all()
