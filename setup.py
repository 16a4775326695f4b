"""Installation with pip; a ROS workspace uses package.xml and CMakeLists.txt instead."""

import re
from pathlib import Path

from setuptools import find_packages, setup

MANIFEST = (Path(__file__).parent / "package.xml").read_text()

MESHES = ["trimesh", "pillow", "matplotlib"]
RENDER = [*MESHES, "moderngl", "rich"]
BAGS = ["rosbags", "mcap", "apsw", "lz4", "zstandard"]
EVALUATE = [*RENDER, *BAGS]
CLUSTER = ["distributed"]
IMPORT = ["h5py"]
# Training on several GPUs or hosts; earlier Python versions get a JAX without what that needs.
JAX = ["jax>=0.8,<0.11; python_version >= '3.11'"]

setup(
    name="casapose_ros",
    version=re.search(r"<version>(.+)</version>", MANIFEST)[1],
    description="6D poses of known objects from one RGB camera, for ROS 2",
    license="Apache-2.0",
    # Bags are written without ROS, but with its messages' definitions.
    packages=[
        *find_packages(include=["casapose_ros", "casapose_ros.*"]),
        "casapose_ros.message_definitions",
    ],
    package_dir={"casapose_ros.message_definitions": "msg"},
    package_data={"casapose_ros.message_definitions": ["*.msg"]},
    python_requires=">=3.10",
    # TensorFlow is left to an extra, because its two packages provide the same module.
    install_requires=["numpy", "opencv-python-headless<5", "scipy", "keras>=3", "pyyaml"],
    extras_require={
        "cpu": ["tensorflow-cpu>=2.18"],
        "gpu": ["tensorflow[and-cuda]>=2.18"],
        "meshes": MESHES,
        "render": RENDER,
        "train": RENDER,
        "evaluate": EVALUATE,
        "cluster": CLUSTER,
        "import": IMPORT,
        "jax": JAX,
        "all": [*EVALUATE, *CLUSTER, *IMPORT],
        "dev": ["pytest", "ruff", *JAX],
    },
    entry_points={"console_scripts": ["casapose = casapose_ros.cli:main"]},
)
