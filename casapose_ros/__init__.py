"""CASAPose for ROS 2: 6D poses of known objects from one RGB camera.

The package name is shared with the ROS interface package that rosidl generates
(``casapose_ros.msg``). Extending the path lets both live together, whether the Python sources are
installed by colcon, by pip or used straight from a source tree.
"""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
__version__ = "0.1.0"
