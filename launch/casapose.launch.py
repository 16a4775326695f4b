"""The pose node for a camera that is there: ros2 launch casapose_ros casapose.launch.py -s"""

from ament_index_python.packages import get_package_share_path
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    share = get_package_share_path("casapose_ros")
    arguments = {
        "model_path": (str(share / "models" / "demo"), "folder of the model bundle"),
        "image": ("image", "topic of the camera's images"),
        "camera_info": ("camera_info", "topic of its calibration"),
        "params_file": (str(share / "config" / "casapose.yaml"), "parameters of the node"),
        "rviz": ("false", "whether to show the results in RViz"),
    }
    pose_node = Node(
        package="casapose_ros",
        executable="casapose_node",
        name="casapose",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            # Without the type a folder called 1.0 would become a number.
            {"model_path": ParameterValue(LaunchConfiguration("model_path"), value_type=str)},
        ],
        remappings=[(name, LaunchConfiguration(name)) for name in ("image", "camera_info")],
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(share / "config" / "casapose.rviz")],
        remappings=[("image", LaunchConfiguration("image"))],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]
    return LaunchDescription([*declared, pose_node, rviz])
