"""The whole network: reference outputs, all variants and sizes, chosen pixels."""

import keras
import numpy as np
import pytest
import reference_networks

from casapose_ros.errors import ConfigError
from casapose_ros.network import CASAPose, NetworkConfig, build_network
from casapose_ros.network.decoders import GUIDED_BLOCKS
from casapose_ros.network.guided import nearest
from casapose_ros.network.published import infer_num_objects, read_published_weights
from casapose_ros.network.upsampling import bilinear_upsampling
from casapose_ros.network.weights import set_weights


def small(variant="c_gcu5", num_objects=2):
    keras.utils.set_random_seed(3)
    return build_network(NetworkConfig(num_objects, variant, width=0.125))


@pytest.mark.parametrize("variant", reference_networks.NETWORKS)
def test_matches_the_reference_network(shared_dir, tmp_path, variant):
    golden = shared_dir / "golden"
    reference_networks.write_h5(golden, variant, tmp_path / "weights.h5")
    weights = read_published_weights(tmp_path / "weights.h5")
    network = build_network(NetworkConfig(infer_num_objects(weights, variant), variant))
    set_weights(network, weights)
    image, expected = reference_networks.reference(golden, variant)
    output = np.concatenate([np.asarray(part) for part in network(image)], axis=-1)
    error = np.abs(output - expected) / (1 + np.abs(expected))
    assert error.max() < 1e-3
    assert error.mean() < 1e-5


def test_number_of_weights_of_the_paper():
    network = build_network(NetworkConfig(8))
    assert network.count_params() == 14_759_433
    # Each further object costs one logit map and one row of CLADE parameters.
    assert build_network(NetworkConfig(9)).count_params() - 14_759_433 == 1056


@pytest.mark.parametrize("variant", GUIDED_BLOCKS)
@pytest.mark.parametrize(("num_objects", "height", "width"), [(1, 8, 8), (5, 24, 40)])
def test_all_variants_at_any_size(variant, num_objects, height, width):
    network = small(variant, num_objects)
    logits, vectors, confidence = network(np.zeros((2, height, width, 3), "f"))
    assert logits.shape == (2, height, width, num_objects + 1)
    assert vectors.shape == (2, height, width, 18)
    assert confidence.shape == (2, height, width, 9)


@pytest.mark.parametrize("variant", GUIDED_BLOCKS)
def test_chosen_pixels_equal_the_whole_image(variant):
    network = small(variant)
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (2, 16, 24, 3)).astype("f")
    labels = rng.integers(0, 3, (2, 16, 24)).astype("i4")
    pixels = np.stack([rng.permutation(16 * 24), rng.permutation(16 * 24)]).astype("i4")
    _, vectors, confidence = network(image, labels)
    _, some_vectors, some_confidence = network(image, labels, pixels)
    for whole, some in ((vectors, some_vectors), (confidence, some_confidence)):
        flat = np.reshape(whole, (2, 16 * 24, -1))
        expected = np.take_along_axis(flat, pixels[..., None], axis=1)
        np.testing.assert_allclose(some, expected, rtol=1e-3, atol=1e-3)


def test_given_labels_guide_the_second_decoder():
    network = small()
    image = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype("f")
    logits, vectors, _ = network(image)
    predicted = np.argmax(np.asarray(logits), axis=-1).astype("i4")
    np.testing.assert_array_equal(network(image, predicted)[1], vectors)
    other = (np.arange(256).reshape(1, 16, 16) // 4 % 3).astype("i4")
    assert np.abs(network(image, other)[1] - vectors).max() > 1e-3


def test_serialises():
    network = small("c")
    copy = CASAPose.from_config(network.get_config())
    assert copy.config == network.config


def test_unguided_upsampling_matches_the_reference_data(shared_dir):
    data = np.load(shared_dir / "golden" / "golden_layers.npz")
    x = keras.ops.convert_to_tensor(data["up_x"])
    np.testing.assert_allclose(bilinear_upsampling(x), data["up_bilinear_y"], atol=1e-6)
    np.testing.assert_array_equal(nearest(x), data["up_nearest_y"])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="XLA as TensorFlow has it")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.05)])
def test_upsampling_has_its_gradient_under_xla(dtype, tolerance):
    import tensorflow as tf

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = bilinear_upsampling(x)
        return tape.gradient(y, x, y)

    x = tf.random.stateless_normal((2, 6, 8, 4), seed=(0, 1))
    expected = gradient(x)
    compiled = tf.function(gradient, jit_compile=True)(tf.cast(x, dtype))
    np.testing.assert_allclose(tf.cast(compiled, "float32"), expected, atol=tolerance)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_objects": 0}, "num_objects"),
        ({"num_objects": 3, "variant": "c_gcu6"}, "known: base, c"),
        ({"num_objects": 3, "width": 0.0}, "width"),
        ({"num_objects": 3, "vector_decoder": (8, 8)}, "five positive widths"),
    ],
)
def test_refuses_bad_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        NetworkConfig(**settings)


def test_the_only_decoder_of_base_is_as_wide_as_the_one_that_gives_vectors():
    wide = NetworkConfig(3, "base", 0.125, (24, 24, 24, 24, 40))
    assert build_network(wide).segmentation_decoder.head.kernel.shape == (1, 1, 40, 4 + 27)


@pytest.mark.parametrize("variant", GUIDED_BLOCKS)
def test_no_pointwise_convolution_is_strided(variant):
    """In their gradient TensorFlow writes outside its memory if they have few channels."""
    network = build_network(NetworkConfig(3, variant, 0.125))
    layers = [x for x in network._flatten_layers() if isinstance(x, keras.layers.Conv2D)]
    assert len(layers) > 20
    assert {x.strides for x in layers if x.kernel_size == (1, 1)} == {(1, 1)}
