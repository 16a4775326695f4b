"""The nodes: the only place that talks to ROS. What they publish is computed elsewhere."""
