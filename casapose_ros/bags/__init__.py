"""ROS 2 bags, written and read without ROS: images, calibrations, ground truth."""
