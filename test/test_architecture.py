"""Imports point downwards only, read from the source: who may import whom, and what from outside.

The units are the modules and folders directly below ``casapose_ros``. A folder's ``__init__.py``
counts as the folder.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "casapose_ros"

BASE = {"types", "errors", "config", "geometry", "files"}
ESTIMATION = BASE | {
    "network", "keypoints", "pnp", "outlines", "score", "framing", "settings", "bundle",
}  # fmt: skip
# From the bottom to the top: whatever a unit may import stands above it.
ALLOWED = {
    "errors": set(),
    "types": {"errors"},
    "files": {"errors"},
    "config": {"errors"},
    "geometry": {"types", "errors"},
    "objects": BASE,
    "camera_file": BASE,
    "image_messages": BASE,
    "framing": BASE,
    "score": BASE,
    "network": BASE,
    "keypoints": BASE,
    "pnp": BASE,
    "outlines": BASE,
    "settings": BASE | {"framing", "keypoints"},
    "bundle": BASE | {"objects", "settings", "network", "outlines", "score"},
    "visualisation": BASE | {"keypoints"},
    "estimator": ESTIMATION,
    "data": BASE | {"objects", "keypoints"},
    "evaluation": BASE | {"data", "score", "settings"},
    "bags": BASE | {"files", "image_messages", "data", "evaluation"},
    "training": ESTIMATION | {"objects", "data", "evaluation", "estimator"},
    "ros": ESTIMATION
    | {"estimator", "visualisation", "camera_file", "image_messages", "data", "evaluation", "bags"},
}
ALLOWED["commands"] = set(ALLOWED) - {"ros"}
ALLOWED["cli"] = {"commands", "errors"}

# Where a unit may use only some modules of a folder.
ALLOWED_PARTS = {
    ("data", "keypoints"): {"sampling"},
    ("evaluation", "data"): {"bop", "depth_rendering", "meshes", "models_info"},
    ("bags", "data"): {"bop"},
    ("bags", "evaluation"): {"delivery", "judging", "matching"},
    ("ros", "keypoints"): {"components"},
}

# What shows and measures the node may render, read bags and evaluate; the node itself may not.
BESIDE_THE_NODE = ("ros.camera_node", "ros.demo", "ros.replay", "ros.synthetic")

CORE = set(ALLOWED) - {"data", "training", "evaluation", "bags", "ros", "commands", "cli"}
CORE_LIBRARIES = {"numpy", "cv2", "scipy", "keras", "tensorflow", "yaml"}
# Imported inside a function, by the few who use it.
OPTIONAL_LIBRARIES = {
    "network.encoder_files": {"h5py", "torch"},
    "network.inference": {"jax", "torch"},
    "network.published": {"h5py"},
}
ROS_PACKAGES = (
    "rclpy", "casapose_ros.msg", "cv_bridge", "geometry_msgs", "sensor_msgs", "std_msgs",
    "tf_transformations", "tf2_msgs", "vision_msgs", "visualization_msgs",
)  # fmt: skip


def modules() -> list[tuple[str, str, Path]]:
    """All modules as (unit, dotted name, path)."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if parts:
            found.append((parts[0], ".".join(parts), path))
    return found


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # "from package import module" and "from module import name" look alike.
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(path: Path) -> set[tuple[str, ...]]:
    """What a file imports from this package: (unit, part, ...)."""
    names = (name.split(".") for name in imports(path))
    parts = {tuple(name[1:]) for name in names if name[0] == "casapose_ros"}
    return {p for p in parts if p and p[0] not in ("msg", "__version__")}


def outside_imports(path: Path) -> set[str]:
    """Names of the third-party packages a file imports."""
    top = {name.split(".")[0] for name in imports(path)}
    return top - set(sys.stdlib_module_names) - {"casapose_ros"}


def test_the_node_neither_renders_nor_evaluates():
    for unit, name, path in modules():
        if unit == "ros" and not name.startswith(BESIDE_THE_NODE):
            assert not {i[0] for i in own_imports(path)} & {"data", "evaluation", "bags"}, name


def test_layers_have_an_order():
    below = set()
    for unit, allowed in ALLOWED.items():
        assert allowed <= below, f"{unit} may import {allowed - below}, which is not below it"
        below.add(unit)


@pytest.mark.parametrize(("unit", "name", "path"), modules(), ids=[n for _, n, _ in modules()])
def test_imports_point_downwards(unit, name, path):
    assert unit in ALLOWED, f"{unit} is new: say here what it may import"
    for imported in own_imports(path):
        if imported[0] == unit:
            continue
        assert imported[0] in ALLOWED[unit], f"{name} may not import {'.'.join(imported)}"
        parts = ALLOWED_PARTS.get((unit, imported[0]))
        assert parts is None or imported[1] in parts, f"{name} imports {'.'.join(imported)}"


@pytest.mark.parametrize("unit", sorted(CORE))
def test_core_needs_few_libraries(unit):
    for module_unit, name, path in modules():
        if module_unit == unit:
            allowed = CORE_LIBRARIES | OPTIONAL_LIBRARIES.get(name, set())
            assert outside_imports(path) <= allowed, name


def test_only_the_node_needs_ros():
    names = [f"casapose_ros.{name}" for unit, name, _ in modules() if unit != "ros"]
    program = (
        "import importlib, sys\n"
        "blocked, names = (argument.split(',') for argument in sys.argv[1:])\n"
        "sys.modules.update(dict.fromkeys(blocked))\n"
        "for name in names:\n"
        "    importlib.import_module(name)\n"
    )
    arguments = [",".join(ROS_PACKAGES), ",".join(names)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
