"""``casapose import-h5``: a published file becomes a bundle that gives the same output."""

import numpy as np
import pytest
import reference_networks

from casapose_ros.bundle import load_bundle, load_network
from casapose_ros.cli import main

pytestmark = pytest.mark.usefixtures("shared_dir")


@pytest.fixture
def weights(shared_dir, tmp_path):
    reference_networks.write_h5(shared_dir / "golden", "c_gcu5", tmp_path / "weights.h5")
    return tmp_path / "weights.h5"


def test_imports_a_bundle(shared_dir, tmp_path, weights, capsys):
    objects, out = shared_dir / "data" / "lmo" / "models", tmp_path / "bundle"
    assert main(["import-h5", str(weights), "--objects", str(objects), "--out", str(out)]) == 0
    assert "8 objects" in capsys.readouterr().out
    bundle = load_bundle(out)
    assert bundle.input_size == (640, 480)
    image, expected = reference_networks.reference(shared_dir / "golden", "c_gcu5")
    logits, _, _ = load_network(bundle)(image)
    # Weights are stored as float16.
    np.testing.assert_allclose(logits, expected[..., :9], atol=0.05 * np.abs(expected).max())


def test_another_number_of_objects_or_variant_is_refused(shared_dir, tmp_path, weights, capsys):
    from casapose_ros.data.demo_objects import demo_object_set

    demo_object_set(tmp_path / "demo")
    out = str(tmp_path / "bundle")
    command = ["import-h5", str(weights), "--out", out, "--objects"]
    assert main([*command, str(tmp_path / "demo")]) == 2
    assert "trained for 8 objects" in capsys.readouterr().err
    models = str(shared_dir / "data" / "lmo" / "models")
    assert main([*command, models, "--variant", "c"]) == 2
    assert "another variant" in capsys.readouterr().err
    assert main([*command, models, "--variant", "c_gcu6"]) == 2
    assert "unknown variant 'c_gcu6'; known: base" in capsys.readouterr().err
