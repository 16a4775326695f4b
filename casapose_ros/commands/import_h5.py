"""``casapose import-h5``: turn published weights into a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "import-h5"
HELP = "make a bundle from weights published for the method (Keras HDF5)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("weights", type=Path, metavar="WEIGHTS.h5", help="published weights")
    parser.add_argument(
        "--variant",
        default="c_gcu5",
        help="the network that they were trained for (c_gcu5)",
    )
    parser.add_argument(
        "--objects",
        required=True,
        type=Path,
        metavar="OBJECTS",
        help="object set in the order in which the network was trained",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="BUNDLE", help="folder to write")
    parser.add_argument("--name", help="name of the model (default: that of the bundle's folder)")
    parser.add_argument(
        "--network-size", default="640x480", metavar="WxH", help="input size (640x480)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the bundle and say what is in it."""
    from casapose_ros.bundle import save_bundle
    from casapose_ros.data.meshes import load_object_set
    from casapose_ros.errors import ConfigError, WeightsError
    from casapose_ros.framing import parse_network_size
    from casapose_ros.network import NetworkConfig, build_network
    from casapose_ros.network.published import infer_num_objects, read_published_weights
    from casapose_ros.network.weights import set_weights

    size = parse_network_size(args.network_size)
    if size is None:
        raise ConfigError("--network-size must be WxH here: a bundle has one input size")
    weights = read_published_weights(args.weights)
    num_objects = infer_num_objects(weights, args.variant)
    objects = load_object_set(args.objects).objects
    if len(objects) != num_objects:
        raise WeightsError(
            f"{args.weights} was trained for {num_objects} objects, {args.objects} has "
            f"{len(objects)}: {', '.join(model.name for model in objects)}"
        )
    network = build_network(NetworkConfig(num_objects, args.variant))
    set_weights(network, weights, str(args.weights))
    save_bundle(args.out, network, objects, name=args.name or args.out.name, input_size=size)
    print(f"{args.out}: {args.variant}, {num_objects} objects, {network.count_params():,} weights")
    return 0
