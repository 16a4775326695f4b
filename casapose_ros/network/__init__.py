"""The CASAPose network (paper sections 3.1 and 3.2), written with ``keras.ops``."""

from casapose_ros.network.model import CASAPose, NetworkConfig, build_network

__all__ = ["CASAPose", "NetworkConfig", "build_network"]
