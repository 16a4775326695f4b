"""Where an object's outline lies among the network's labels, which tells how far away it is.

Keypoints of which the network is unsure are drawn towards their mean; they then lie too near to one
another, and the object seems too far away. The mask has no such habit. ``surfaces`` holds what an
object is made of, ``tracing`` draws the line around it, ``fitting`` lays that line over the labels.
"""

from casapose_ros.outlines.fitting import FittedOutline, fit_outline
from casapose_ros.outlines.surfaces import load_surfaces, save_surfaces

__all__ = ["FittedOutline", "fit_outline", "load_surfaces", "save_surfaces"]
