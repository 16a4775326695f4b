"""One image through the compiled network."""

import keras
import numpy as np
import pytest

from casapose_ros.errors import ImageError
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.inference import FieldPredictor


@pytest.fixture(scope="module")
def predictor():
    return FieldPredictor(build_network(NetworkConfig(3, width=0.125)))


@pytest.mark.parametrize("shape", [(16, 24), (8, 8)])
def test_fields_have_the_images_size(predictor, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    fields = predictor(image)
    assert fields.logits.shape == (*shape, 4) and fields.logits.dtype == np.float32
    assert fields.vectors.shape == (*shape, 9, 2)
    assert fields.confidence.shape == (*shape, 9)
    np.testing.assert_array_equal(fields.labels, fields.logits.argmax(-1))
    # Channels are dy, dx per keypoint, in the network's own order.
    _, vectors, _ = predictor.network((image[None] / 127.5 - 1).astype("f"))
    np.testing.assert_allclose(fields.vectors[..., 4, 1], vectors[0, ..., 9], atol=1e-3)


def test_measures_the_weights_that_the_network_has_now():
    """Compiled once, yet not with the weights of that moment: training goes on."""
    network = build_network(NetworkConfig(1, "base", width=0.125))
    predict = FieldPredictor(network)
    image = np.full((8, 8, 3), 100, np.uint8)
    before = predict(image).logits
    head = network.segmentation_decoder.head.kernel
    head.assign(-keras.ops.convert_to_numpy(head))
    np.testing.assert_allclose(predict(image).logits, -before, rtol=1e-4, atol=1e-5)
    assert np.abs(before).max() > 1e-3


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((16, 20, 3), np.uint8), "multiple of 8, got 20x16"),
        (np.zeros((0, 8, 3), np.uint8), "multiple of 8"),
        (np.zeros((16, 16, 3), np.float32), "uint8"),
        (np.zeros((16, 16), np.uint8), r"\(H, W, 3\)"),
    ],
)
def test_refuses_other_images(predictor, image, message):
    with pytest.raises(ImageError, match=message):
        predictor(image)
