"""From the network's fields to 2D keypoints (paper section 3.3)."""
