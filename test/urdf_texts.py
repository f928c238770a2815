"""A small arm as the text of a URDF, in which tests change what they are about."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, fromstring, tostring

#: base -> shoulder (revolute) -> lift (prismatic) -> wrist (revolute) -> a flange and its tip (fixed), with a finger
#: beside it (revolute, and one that mimics it).
ARM = """<robot name="arm">
  <link name="base"/>
  <link name="upper">
    <inertial><origin xyz="0.1 0 0.2" rpy="0 0 0"/><mass value="2.0"/>
      <inertia ixx="0.02" ixy="0" ixz="0" iyy="0.03" iyz="0" izz="0.01"/></inertial>
    <collision><origin xyz="0.1 0 0.2"/><geometry><cylinder radius="0.03" length="0.2"/></geometry></collision>
  </link>
  <link name="fore">
    <inertial><origin xyz="0.2 0 0"/><mass value="1.0"/>
      <inertia ixx="0.01" ixy="0" ixz="0" iyy="0.01" iyz="0" izz="0.01"/></inertial>
  </link>
  <link name="hand">
    <inertial><origin xyz="0 0.05 0"/><mass value="0.5"/>
      <inertia ixx="0.001" ixy="0" ixz="0" iyy="0.001" iyz="0" izz="0.001"/></inertial>
  </link>
  <link name="flange"/>
  <link name="tip"/>
  <link name="finger">
    <inertial><mass value="0.1"/><inertia ixx="1e-4" ixy="0" ixz="0" iyy="1e-4" iyz="0" izz="1e-4"/></inertial>
  </link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><origin xyz="0 0 0.3"/>
    <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="100" velocity="3"/></joint>
  <joint name="slide" type="prismatic"><parent link="upper"/><child link="fore"/><origin xyz="0.3 0 0" rpy="0 0.4 0"/>
    <axis xyz="1 0 0"/><limit lower="0" upper="0.5" effort="200" velocity="1"/></joint>
  <joint name="wrist" type="revolute"><parent link="fore"/><child link="hand"/><origin xyz="0.4 0 0"/>
    <axis xyz="0 1 0"/><limit lower="-3" upper="3" effort="20" velocity="3"/></joint>
  <joint name="mount" type="fixed"><parent link="hand"/><child link="flange"/><origin xyz="0 0 0.1"/></joint>
  <joint name="tool" type="fixed"><parent link="flange"/><child link="tip"/><origin xyz="0.1 0 0.1"/></joint>
  <joint name="grip" type="revolute"><parent link="hand"/><child link="finger"/><origin xyz="0.1 0 0"/>
    <axis xyz="0 0 1"/><limit lower="-0.5" upper="0.8" effort="5" velocity="1"/></joint>
</robot>"""


def changed(change: Callable[[Element], object], text: str = ARM) -> str:
    """The arm after a change of its root element."""
    robot = fromstring(text)
    change(robot)
    return tostring(robot, encoding="unicode")


def named(robot: Element, tag: str, name: str) -> Element:
    """A link or joint of the arm."""
    found = robot.find(f"{tag}[@name='{name}']")
    assert found is not None
    return found


def joint_with(name: str, limit: dict[str, str] | None = None, text: str = ARM, **attributes: str) -> str:
    """The arm with other attributes of one joint, and of its limit."""

    def change(robot: Element) -> None:
        joint = named(robot, "joint", name)
        joint.attrib.update(attributes)
        element = joint.find("limit")
        if limit is not None and element is not None:
            element.attrib.update(limit)

    return changed(change, text)


def mimicking(name: str, leader: str, text: str = ARM, **numbers: str) -> str:
    """The arm with a joint that mimics another one."""
    return changed(lambda r: named(r, "joint", name).append(Element("mimic", {"joint": leader, **numbers})), text)
