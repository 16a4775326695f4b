"""Weights on disk: what fits is loaded, what does not is refused and named."""

import numpy as np
import pytest
import reference_networks

from casapose_ros.errors import WeightsError
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.published import infer_num_objects, read_published_weights
from casapose_ros.network.weights import get_weights, load_weights, save_weights, set_weights


def small(num_objects=2, variant="c_gcu5", width=0.125):
    return build_network(NetworkConfig(num_objects, variant, width=width))


def test_float32_round_trip_is_exact_and_float16_close(tmp_path):
    first, second = small(), small()
    for dtype, tolerance in (("float32", 0), ("float16", 1e-3)):
        save_weights(first, tmp_path / "weights.npz", dtype)
        load_weights(second, tmp_path / "weights.npz")
        for name, value in get_weights(first).items():
            np.testing.assert_allclose(get_weights(second)[name], value, atol=tolerance, rtol=1e-3)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (small(3), "another number of objects"),
        (small(width=0.25), "another number of objects or width"),
        (small(variant="base"), "another variant"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, other, message):
    save_weights(other, tmp_path / "weights.npz")
    network = small()
    before = get_weights(network)
    with pytest.raises(WeightsError, match=message):
        load_weights(network, tmp_path / "weights.npz")
    np.testing.assert_equal(get_weights(network), before)


def test_nan_is_refused():
    network = small()
    weights = get_weights(network)
    weights["segmentation_decoder/head/kernel"][0, 0, 0, 0] = np.nan
    with pytest.raises(WeightsError, match="segmentation_decoder/head/kernel holds NaN"):
        set_weights(network, weights)


def test_values_beyond_float16_are_refused(tmp_path):
    network = small()
    network.encoder.conv0.kernel.assign(network.encoder.conv0.kernel * 0 + 1e6)
    with pytest.raises(WeightsError, match="cannot be saved as float16"):
        save_weights(network, tmp_path / "weights.npz")


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04 cut short"])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.npz"):
        load_weights(small(), path)
    with pytest.raises(WeightsError, match="no such"):
        load_weights(small(), tmp_path / "missing.npz")


def test_pickled_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "weights.npz", evil=np.array([object()], dtype=object))
    with pytest.raises(WeightsError, match="not a readable"):
        load_weights(small(), tmp_path / "weights.npz")


def _h5_with(tmp_path, layers):
    import h5py

    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = list(layers)
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = list(weights)
            for name, value in weights.items():
                group[name] = value
    return path


def test_published_names_with_suffixes_or_by_order(tmp_path):
    beta, gamma, mean, variance = (np.full((3, 4), i, "f") for i in range(4))
    clade = {
        "pv_block_7_clade/pv_block_7_clade_beta_1:0": beta,
        "pv_block_7_clade/pv_block_7_clade_gamma_1:0": gamma,
        "pv_block_7_clade/moving_mean_1:0": mean,
        "pv_block_7_clade/moving_variance_1:0": variance,
    }
    unnamed = {f"layer/weight_{i}": value for i, value in enumerate(clade.values())}
    for weights in (clade, unnamed):
        read = read_published_weights(_h5_with(tmp_path, {"pv_block_7_clade": weights}))
        prefix = "vector_decoder/block2_clade/"
        np.testing.assert_equal(read[prefix + "beta"], beta)
        np.testing.assert_equal(read[prefix + "gamma"], gamma)
        np.testing.assert_equal(read[prefix + "statistics/moving_mean"], mean)
        np.testing.assert_equal(read[prefix + "statistics/moving_variance"], variance)


def test_published_files_that_are_not(tmp_path):
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(WeightsError, match="not a readable HDF5"):
        read_published_weights(tmp_path / "text.h5")
    with pytest.raises(WeightsError, match="no such file"):
        read_published_weights(tmp_path / "missing.h5")
    with pytest.raises(WeightsError, match="unknown layer 'dense'"):
        read_published_weights(_h5_with(tmp_path, {"dense": {"dense/kernel:0": np.ones(2)}}))
    with pytest.raises(WeightsError, match="no segmentation head"):
        infer_num_objects({}, "c_gcu5")


@pytest.mark.parametrize("variant", ["c_gcu5", "base"])
def test_number_of_objects_is_inferred(shared_dir, tmp_path, variant):
    reference_networks.write_h5(shared_dir / "golden", variant, tmp_path / "weights.h5")
    assert infer_num_objects(read_published_weights(tmp_path / "weights.h5"), variant) == 8
