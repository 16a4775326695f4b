"""How good the poses are: errors, matching to ground truth, and the report."""
