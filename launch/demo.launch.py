"""A synthetic camera and the pose node: ros2 launch casapose_ros demo.launch.py"""

from ament_index_python.packages import get_package_share_path
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    share = get_package_share_path("casapose_ros")
    scene = str(share / "config" / "scenes" / "demo.yaml")
    model = str(share / "models" / "demo")
    arguments = [
        DeclareLaunchArgument("scene", default_value=scene, description="scenario, YAML"),
        DeclareLaunchArgument("rate", default_value="5.0", description="images per second"),
        DeclareLaunchArgument("model_path", default_value=model, description="model bundle"),
        DeclareLaunchArgument("rviz", default_value="true", description="whether to show RViz"),
    ]
    camera = Node(
        package="casapose_ros",
        executable="camera_node",
        name="camera",
        output="screen",
        parameters=[
            {
                "scene_file": ParameterValue(LaunchConfiguration("scene"), value_type=str),
                "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
            }
        ],
    )
    pose_node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / "launch" / "casapose.launch.py")),
        launch_arguments={
            "model_path": LaunchConfiguration("model_path"),
            "params_file": str(share / "config" / "demo.yaml"),
            "rviz": LaunchConfiguration("rviz"),
        }.items(),
    )
    return LaunchDescription([*arguments, camera, pose_node])
