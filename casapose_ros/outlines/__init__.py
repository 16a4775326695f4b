"""Where an object's outline lies among the network's labels, which tells how far away it is.

Keypoints of which the network is unsure are drawn towards their mean; they then lie too near to one
another, and the object seems too far away. The mask has no such habit. ``library`` holds what an
object looks like from all around, ``fitting`` lays the outline of one view over the labels.
"""

from casapose_ros.outlines.fitting import FittedOutline, fit_outline
from casapose_ros.outlines.library import Outlines, load_outlines, save_outlines

__all__ = ["FittedOutline", "Outlines", "fit_outline", "load_outlines", "save_outlines"]
