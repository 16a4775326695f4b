"""The measures of the BOP Challenge since 2019: VSD, MSSD, MSPD and their average recall.

Hodan et al., "BOP Challenge 2020 on 6D Object Localization", ECCVW 2020. ``errors`` has the three
error functions, ``depth`` the images that VSD compares, ``targets`` what is asked for,
``comparing`` the errors of one target, ``scores`` the matching, ``evaluating`` a run's figures.
"""

from casapose_ros.evaluation.bop19.depth import DepthSource, measured_depth, open_depth
from casapose_ros.evaluation.bop19.evaluating import NO_DEPTH, AverageRecalls, BopScores, evaluate
from casapose_ros.evaluation.bop19.targets import TARGETS_FILE, Target, read_targets

__all__ = [
    "NO_DEPTH",
    "TARGETS_FILE",
    "AverageRecalls",
    "BopScores",
    "DepthSource",
    "Target",
    "evaluate",
    "measured_depth",
    "open_depth",
    "read_targets",
]
