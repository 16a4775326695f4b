"""From an object's 2D keypoints to its pose (paper, section 4)."""

from casapose_ros.pnp.refinement import pose_covariance, projection_jacobian
from casapose_ros.pnp.solving import PnPSolution, solve_pnp

__all__ = ["PnPSolution", "pose_covariance", "projection_jacobian", "solve_pnp"]
