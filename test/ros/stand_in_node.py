"""``casapose_node`` with exact poses instead of a network, as a process.

What it does is in the environment: ``STAND_IN_SECONDS`` per image; ``STAND_IN_DIES_AFTER`` so many
images.
"""

import os

from ros_fakes import FakeEstimator, Script

from casapose_ros.ros.model import LoadedModel
from casapose_ros.ros.node import CasaposeNode
from casapose_ros.ros.run import run_node


class MortalEstimator(FakeEstimator):
    def with_config(self, config):
        super().with_config(config)
        return MortalEstimator(self.script, config)

    def run(self, image, camera):
        if len(self.script.images) == int(os.environ.get("STAND_IN_DIES_AFTER", -1)):
            print("out of memory", flush=True)
            os._exit(7)
        return super().run(image, camera)


def load(path, device):
    script = Script(seconds=float(os.environ.get("STAND_IN_SECONDS", 0.02)))
    return LoadedModel(MortalEstimator(script), "stand-in")


if __name__ == "__main__":
    run_node(lambda: CasaposeNode(load))
