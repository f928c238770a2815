"""URDFs that describe no arm that can move as they say: refused when they are read, with the link or joint named."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pytest
from urdf_texts import ARM, changed, joint_with, mimicking, named

from sobo_planner.errors import RobotError
from sobo_planner.robot import Robot


def refused(text: str, tool: str = "tip", **options) -> str:
    """Why a robot is refused: in one line."""
    with pytest.raises(RobotError) as error:
        Robot(text, tool, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_arm_itself_is_taken() -> None:
    arm = Robot(ARM, "tip")
    assert arm.joint_names == ["shoulder", "slide", "wrist", "grip"]
    assert np.isfinite(arm.gravity(np.zeros(4))).all()


# ---------------------------------------------------------------- inertia


def drop(link: str, path: str | None = None) -> Callable[[Element], None]:
    def change(robot: Element) -> None:
        inertial = named(robot, "link", link).find("inertial")
        assert inertial is not None
        if path is None:
            named(robot, "link", link).remove(inertial)
        else:
            inertial.remove(inertial.find(path))

    return change


def inertial_with(link: str, path: str, **attributes: str) -> Callable[[Element], None]:
    def change(robot: Element) -> None:
        element = named(robot, "link", link).find(f"inertial/{path}")
        assert element is not None
        element.attrib.update(attributes)

    return change


ZERO = dict.fromkeys(("ixx", "ixy", "ixz", "iyy", "iyz", "izz"), "0")


@pytest.mark.parametrize("link", ["upper", "fore", "hand", "finger"])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (drop, ["<inertial>"]),
        (lambda link: drop(link, "mass"), ["<mass>"]),
        (lambda link: drop(link, "inertia"), ["<inertia>"]),
        (lambda link: inertial_with(link, "mass", value="0"), ["mass"]),
        (lambda link: inertial_with(link, "mass", value="0.0"), ["mass"]),
        (lambda link: inertial_with(link, "inertia", **ZERO), ["inertia tensor"]),
        (lambda link: inertial_with(link, "inertia", ixx="-0.1"), ["negative principal moment", "ixx"]),
        (lambda link: inertial_with(link, "inertia", ixy="0.5"), ["negative principal moment", "ixx"]),
    ],
    ids=["no inertial", "no mass", "no tensor", "mass 0", "mass 0.0", "zero tensor", "negative", "indefinite"],
)
def test_a_moving_link_without_inertia(link, fault, says) -> None:
    message = refused(changed(fault(link)))
    assert all(part in message for part in [f"link '{link}'", *says]), message


def test_what_is_fixed_to_a_link_may_have_the_inertia() -> None:
    """Pinocchio merges links that are fixed to each other: what counts is the body that moves."""

    def move(robot: Element) -> None:
        hand, flange = (named(robot, "link", name) for name in ("hand", "flange"))
        inertial = hand.find("inertial")
        hand.remove(inertial)
        flange.append(inertial)

    arm = Robot(changed(move), "tip")
    assert np.isfinite(arm.forward_dynamics(np.zeros(4), np.zeros(4), np.ones(4))).all()


def test_a_link_that_does_not_move_needs_no_inertia() -> None:
    text = changed(drop("finger"))
    assert "link 'finger'" in refused(text)
    assert Robot(text, "tip", locked_joints={"grip": 0.1}).nq == 3


def test_nothing_of_a_body_has_inertia() -> None:
    message = refused(changed(drop("hand")))
    assert "link 'hand' moves with joint 'wrist'" in message and "'flange', 'tip'" in message


def test_a_joint_about_whose_axis_nothing_has_inertia() -> None:
    """A slender rod about its own axis: its tensor is not zero, and yet nothing resists the joint."""
    text = changed(inertial_with("finger", "inertia", izz="0"))
    assert "joint 'grip' moves an inertia of" in refused(text)
    assert Robot(text, "tip", armature=[0.0, 0.0, 0.0, 0.1]).nq == 4  # the rotor's resists


def test_numbers_that_overflow() -> None:
    assert "number" in refused(changed(inertial_with("hand", "mass", value="1e308")))


# ---------------------------------------------------------------- joints


@pytest.mark.parametrize("joint", ["shoulder", "slide", "wrist", "grip"])
@pytest.mark.parametrize("name", ["effort", "velocity"])
@pytest.mark.parametrize("value", ["0", "0.0", "-1", "-0"])
def test_a_joint_that_may_not_move(joint, name, value) -> None:
    message = refused(joint_with(joint, {name: value}))
    assert f"joint '{joint}': limit needs a positive {name}, got {value}" in message
    assert Robot(joint_with("grip", {name: value}), "tip", locked_joints={"grip": 0.0}).nq == 3


@pytest.mark.parametrize("joint", ["shoulder", "slide", "wrist"])
@pytest.mark.parametrize("name", ["effort", "velocity", "lower", "upper"])
def test_a_limit_that_is_left_out(joint, name) -> None:
    text = changed(lambda robot: named(robot, "joint", joint).find("limit").attrib.pop(name))
    assert f"joint '{joint}': limit needs {name}" in refused(text)


@pytest.mark.parametrize("joint", ["shoulder", "slide"])
@pytest.mark.parametrize("kind", ["revolute", "continuous", "prismatic"])
def test_a_joint_without_limits(joint, kind) -> None:
    def change(robot: Element) -> None:
        element = named(robot, "joint", joint)
        element.remove(element.find("limit"))
        element.set("type", kind)

    assert f"joint '{joint}': limit needs effort, velocity" in refused(changed(change))
    arm = Robot(changed(change), "tip", locked_joints={joint: 0.3})  # one that does not move needs none
    assert arm.nq == 3


def test_limits_that_leave_no_way() -> None:
    assert "joint 'wrist': lower limit 1 is not below" in refused(joint_with("wrist", {"lower": "1", "upper": "1"}))
    assert "joint 'wrist': lower limit 2 above" in refused(joint_with("wrist", {"lower": "2", "upper": "1"}))


@pytest.mark.parametrize("joint", ["shoulder", "slide", "wrist"])
@pytest.mark.parametrize("axis", ["0 0 0", "0 0.0 -0", "1e-320 0 0", "0 1e200 0"])
def test_an_axis_without_a_direction(joint, axis) -> None:
    text = changed(lambda robot: named(robot, "joint", joint).find("axis").set("xyz", axis))
    assert f"joint '{joint}': axis" in refused(text)


def test_the_length_of_an_axis_does_not_matter() -> None:
    text = changed(lambda robot: named(robot, "joint", "wrist").find("axis").set("xyz", "0 5 0"))
    q = [0.1, 0.2, 0.3, 0.4]
    np.testing.assert_allclose(Robot(text, "tip").gravity(q), Robot(ARM, "tip").gravity(q))


@pytest.mark.parametrize("kind", ["floating", "planar", "spherical", "Revolute", "", "revolute "])
def test_joints_of_other_types(kind) -> None:
    for locked in ({}, {"wrist": 0.0}):
        message = refused(joint_with("wrist", type=kind), locked_joints=locked)
        assert f"joint 'wrist': type '{kind}' is not supported" in message and "continuous" in message


# ---------------------------------------------------------------- names and tree


@pytest.mark.parametrize(("tag", "name"), [("joint", "wrist"), ("joint", "mount"), ("link", "hand"), ("link", "base")])
def test_two_of_the_same_name(tag, name) -> None:
    def change(robot: Element) -> None:
        robot.append(named(robot, tag, name))

    assert f"two {tag}s with the name '{name}'" in refused(changed(change))


@pytest.mark.parametrize("tag", ["link", "joint"])
@pytest.mark.parametrize("name", [None, ""])
def test_one_without_a_name(tag, name) -> None:
    def change(robot: Element) -> None:
        robot.find(tag).attrib.pop("name")
        if name is not None:
            robot.find(tag).set("name", name)

    assert f"{tag} number 1 has no name" in refused(changed(change))


def relink(joint: str, end: str, link: str | None) -> str:
    def change(robot: Element) -> None:
        element = named(robot, "joint", joint)
        if link is None:
            element.remove(element.find(end))
        else:
            element.find(end).set("link", link)

    return changed(change)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed(lambda robot: SubElement(robot, "link", {"name": "stand"})), ["more than one root", "base", "stand"]),
        (relink("wrist", "parent", "tip"), ["circle", "wrist"]),
        (relink("shoulder", "parent", "tip"), ["circle", "shoulder"]),
        (relink("wrist", "child", "fore"), ["link 'fore'", "two joints", "'slide'", "'wrist'"]),
        (relink("wrist", "parent", "hand"), ["joint 'wrist'", "link 'hand'", "itself"]),
        (relink("tool", "child", "upper"), ["link 'upper'", "two joints", "'shoulder'", "'tool'"]),
        (relink("wrist", "parent", "elbow"), ["joint 'wrist'", "parent", "'elbow'"]),
        (relink("wrist", "child", "elbow"), ["joint 'wrist'", "child", "'elbow'"]),
        (relink("wrist", "child", None), ["joint 'wrist'", "<child"]),
        (relink("wrist", "parent", None), ["joint 'wrist'", "<parent"]),
        ("<robot name='r'/>", ["no link"]),
        ("<robot name='r'><link name='a'/></robot>", ["not move"]),
        ("<robot><link name='a'/></robot>", ["<robot name=...>"]),
        ("<sdf name='r'><link name='a'/></sdf>", ["<sdf>"]),
    ],
)
def test_what_is_no_tree(text, says) -> None:
    message = refused(text, "a" if "'a'" in text else "tip")
    assert all(part in message for part in says) or "no movable joint" in message, message


# ---------------------------------------------------------------- what other tools should have replaced


@pytest.mark.parametrize(
    "text",
    [
        ARM.replace("<robot ", '<robot xmlns:xacro="http://www.ros.org/wiki/xacro" ').replace(
            "</robot>", '<xacro:property name="m" value="1"/></robot>'
        ),
        ARM.replace("<robot ", '<robot xmlns:x="http://www.ros.org/wiki/xacro" ').replace(
            "</robot>", "<x:arm/></robot>"
        ),
        ARM.replace("</robot>", '<xacro:include filename="arm.xacro"/></robot>'),  # its prefix is not even declared
        ARM.replace("<inertial>", "<inertial><xacro:solid/>", 1),
        ARM.replace("</robot>", "<gazebo><xacro:if value='1'/></gazebo></robot>"),
    ],
)
def test_xacro_that_was_not_run(text) -> None:
    message = refused(text)
    assert "xacro element <x" in message and "run xacro" in message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('mass value="2.0"', 'mass value="${m}"', ["link 'upper'", "<mass>", "${m}"]),
        ('name="tip"', 'name="${prefix}tip"', ["link '${prefix}tip'", "${prefix}tip"]),
        ('joint name="wrist"', 'joint name="${p}wrist"', ["joint '${p}wrist'"]),
        ('upper="3"', 'upper="${pi}"', ["joint 'wrist'", "<limit>", "${pi}"]),
        ('robot name="arm"', 'robot name="$(arg name)"', ["robot", "$(arg name)"]),
    ],
)
def test_expressions_of_xacro(old, new, says) -> None:
    message = refused(ARM.replace(old, new))
    assert all(part in message for part in [*says, "run xacro"]), message


def test_a_namespace_that_is_not_used_is_no_fault() -> None:
    text = ARM.replace("<robot ", '<robot xmlns:xacro="http://www.ros.org/wiki/xacro" ')
    assert Robot(text, "tip").nq == 4


def test_a_default_namespace_hides_nothing_from_the_checks() -> None:
    text = ARM.replace("<robot ", '<robot xmlns="http://www.ros.org" ').replace('mass value="2.0"', 'mass value="x"')
    assert "link 'upper': mass needs finite numbers" in refused(text)


def test_entities_are_refused() -> None:
    text = '<!DOCTYPE robot [<!ENTITY m "2.0">]>' + ARM.replace('mass value="2.0"', 'mass value="&m;"')
    assert "entity 'm'" in refused(text)


# ---------------------------------------------------------------- the tool


def test_a_link_and_a_joint_of_the_same_name() -> None:
    """The link is meant: z1's gripper, for one."""
    text = ARM.replace('joint name="tool"', 'joint name="hand"')
    q = [0.1, 0.2, 0.3, 0.4]
    arm, same = Robot(ARM, "hand"), Robot(text, "hand")
    np.testing.assert_array_equal(same.tool_position(q), arm.tool_position(q))
    np.testing.assert_array_equal(same.frame_position(q, "hand"), arm.frame_position(q, "hand"))
    np.testing.assert_array_equal(same.tool_jacobian(q), arm.tool_jacobian(q))


@pytest.mark.parametrize("tool", ["base", "universe"])
def test_a_tool_that_does_not_move(tool) -> None:
    assert f"the frame '{tool}' does not move" in refused(ARM, tool)


def test_a_tool_that_is_no_frame() -> None:
    assert "'palm' is not in the URDF; its links are: base, upper" in refused(ARM, "palm")


# ---------------------------------------------------------------- mimic


@pytest.mark.parametrize("locked", [{}, {"wrist": 0.0}])
def test_coupled_joints_are_refused_with_what_to_do(locked) -> None:
    message = refused(mimicking("grip", "shoulder", multiplier="2"), locked_joints=locked)
    assert "joint 'grip' mimics joint 'shoulder'" in message and "robot.locked_joints ({grip: 0.0})" in message


def test_a_mimic_joint_may_be_locked() -> None:
    arm = Robot(mimicking("grip", "shoulder"), "tip", locked_joints={"grip": 0.3})
    assert arm.joint_names == ["shoulder", "slide", "wrist"]


def test_one_that_mimics_nothing() -> None:
    assert "joint 'grip': mimic joint='thumb'" in refused(mimicking("grip", "thumb"))
    assert Robot(mimicking("grip", "thumb"), "tip", locked_joints={"grip": 0.3}).nq == 3


def test_one_that_mimics_itself() -> None:
    assert "joint 'grip' mimics joint 'grip'" in refused(mimicking("grip", "grip"))


# ---------------------------------------------------------------- meshes


@pytest.mark.parametrize("name", ["package://arm/upper.stl", "/nowhere/upper.stl", "upper.obj", "/etc/passwd"])
def test_a_mesh_that_cannot_be_read(name) -> None:
    text = ARM.replace('<cylinder radius="0.03" length="0.2"/>', f'<mesh filename="{name}"/>')
    message = refused(text)
    assert name in message and "robot.collision: false" in message and "/project/" not in message
    assert Robot(text, "tip", collision=False).nq == 4
