"""Markers for RViz: a box, three axes and a name per object, and the removal of what is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from casapose_ros.ros import messages
from casapose_ros.types import ObjectModel, ObjectPose
from casapose_ros.visualisation import class_colour

BOX, AXES, NAME = "box", "axes", "name"
"""The namespaces, one per kind, so that RViz can hide each kind."""

_AXES_COLOURS = tuple(ColorRGBA(r=r, g=g, b=b, a=1.0) for r, g, b in np.eye(3).tolist())
_TEXT_COLOUR = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
_BOX_ALPHA = 0.35


class MarkerMemory:
    """Makes the markers of each frame and remembers them, to delete those that are gone."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, int]] = set()

    def update(
        self, objects: Sequence[ObjectPose], header: Header, models: Mapping[str, ObjectModel]
    ) -> MarkerArray:
        """Markers of the objects of one image, and deletions of those shown before.

        Args:
            objects: What was found.
            header: The image's header.
            models: The known objects by name.
        """
        markers = [m for o in objects for m in _markers(o, header, models[o.name])]
        present = {(m.ns, m.id) for m in markers}
        gone = sorted(self._shown - present)
        self._shown = present
        deletions = [Marker(header=header, ns=n, id=i, action=Marker.DELETE) for n, i in gone]
        return MarkerArray(markers=deletions + markers)


def _markers(found: ObjectPose, header: Header, model: ObjectModel) -> list[Marker]:
    # Stable over frames: the same instance of a class keeps its marker.
    common = {"header": header, "id": found.class_id * 1000 + found.instance_id}
    pose = messages.pose(found.R_cam_obj, found.t_cam_obj)
    return [
        Marker(
            ns=BOX,
            type=Marker.CUBE,
            pose=messages.box_pose(found, model),
            scale=messages.box_size(model),
            color=_class_colour(model.class_id),
            **common,
        ),
        _axes(pose, model.diameter, common),
        _name(pose, f"{found.name} {found.score:.2f}", model.diameter, common),
    ]


def _axes(pose: Pose, diameter: float, common: dict) -> Marker:
    length = 0.6 * diameter
    marker = Marker(ns=AXES, type=Marker.LINE_LIST, pose=pose, **common)
    marker.scale.x = 0.03 * diameter
    for axis, colour in zip(np.eye(3), _AXES_COLOURS, strict=True):
        marker.points += [Point(), messages.point(length * axis)]
        marker.colors += [colour, colour]
    return marker


def _name(pose: Pose, text: str, diameter: float, common: dict) -> Marker:
    marker = Marker(ns=NAME, type=Marker.TEXT_VIEW_FACING, text=text, **common)
    marker.pose.position.x = pose.position.x
    # Above the object as the camera sees it: y points down in an optical frame.
    marker.pose.position.y = pose.position.y - 0.7 * diameter
    marker.pose.position.z = pose.position.z
    marker.scale = Vector3(z=0.2 * diameter)
    marker.color = _TEXT_COLOUR
    return marker


def _class_colour(class_id: int) -> ColorRGBA:
    r, g, b = (value / 255 for value in class_colour(class_id))
    return ColorRGBA(r=r, g=g, b=b, a=_BOX_ALPHA)
