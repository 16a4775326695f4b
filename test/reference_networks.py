"""Weights of the reference networks, made by the rule in the reference data's README."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np

NETWORKS = {
    "base": "pvnet_combined_K8_64x96",
    "c": "casapose_c_K8_64x96",
    "c_gcu3": "casapose_c_gcu3_K8_64x96",
    "c_gcu5": "casapose_c_gcu5_K8_64x96",
}


def manifest(golden: Path, variant: str) -> dict:
    return json.loads((golden / f"manifest_{NETWORKS[variant]}.json").read_text())


def reference(golden: Path, variant: str) -> tuple[np.ndarray, np.ndarray]:
    """The image (1, H, W, 3) float32 and the whole output (1, H, W, 36) of a reference network."""
    data = np.load(golden / f"golden_{NETWORKS[variant]}.npz")
    if "output" in data:
        return data["image"], data["output"]
    logits = np.load(golden / f"golden_{NETWORKS['c_gcu5']}.npz")["output"][..., :9]
    return data["image"], np.concatenate([logits, data["output_vec_conf"]], axis=-1)


def write_h5(golden: Path, variant: str, path: Path) -> None:
    """Write the reference weights as a published file is laid out."""
    import h5py

    spec = importlib.util.spec_from_file_location("golden_helper", golden / "golden_helper.py")
    helper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    layout = manifest(golden, variant)
    weights = helper.all_weights(layout)
    with h5py.File(path, "w") as file:
        for key, value in layout["h5"]["root_attrs"].items():
            file.attrs[key] = [v.encode() for v in value] if isinstance(value, list) else value
        for layer in layout["h5"]["root_attrs"]["layer_names"]:
            entries = [e for e in layout["weights"] if e["layer_name"] == layer]
            group = file.create_group(layer)
            group.attrs["weight_names"] = [e["weight_name"].encode() for e in entries]
            for entry in entries:
                group[entry["weight_name"]] = weights[f"{layer}/{entry['weight_name']}"]
