"""Laying an object's outline over the network's labels, which makes its pose better.

Keypoints of which the network is unsure are drawn towards their mean; they then lie too near to one
another, and the object seems too far away. The mask has no such habit. ``surfaces`` holds what an
object is made of, ``tracing`` draws the line around it, ``evidence`` says what the line encloses,
``search`` finds where it fits, and ``fitting`` the pose that fits both outline and keypoints.
"""

from casapose_ros.outlines.fitting import Fit, Pose, fit_outline
from casapose_ros.outlines.surfaces import load_surfaces, save_surfaces

__all__ = ["Fit", "Pose", "fit_outline", "load_surfaces", "save_surfaces"]
