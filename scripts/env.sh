# shellcheck shell=bash
# The environment in which ROS 2 from .venv and the messages built into .colcon work, for bash:
#     source scripts/env.sh          in a shell of your own
#     scripts/ros-run COMMAND...     for one command
# Another ROS installation's paths are left out on purpose: two of them in one process do not mix.

_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
_site=$(echo "$_root"/.colcon/install/lib/python3.*/site-packages)

case ":$PATH:" in
  *":$_root/.venv/bin:"*) ;;
  *) export PATH="$_root/.venv/bin:$PATH" ;;
esac
export AMENT_PREFIX_PATH="$_root/.colcon/install:$_root/.venv"
# The sources come first, so that an edit needs no build; casapose_ros.msg is found behind them.
export PYTHONPATH="$_root:$_site"
export RMW_IMPLEMENTATION=rmw_fastrtps_cpp

# The wheels' start-up hook would set LD_LIBRARY_PATH by running Python a second time, unless the
# guard variable says that it has happened. The two belong together: set both.
_libraries="$_root/.colcon/install/lib:$_root/.venv/lib"
for _folder in "$_root"/.venv/lib/python3.*/site-packages/ros_*.libs; do
  _libraries="$_libraries:$_folder"
done
case "${LD_LIBRARY_PATH:-}" in
  "$_libraries"*) ;;
  *) export LD_LIBRARY_PATH="$_libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
esac
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1

# Nodes here find each other and nobody else's, unless you say so.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
export ROS_LOG_DIR="${ROS_LOG_DIR:-$_root/.colcon/log/ros}"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"

unset _root _site _libraries _folder
