"""Arms that were changed at random: each is refused in one line, or moves with numbers."""

from __future__ import annotations

from copy import deepcopy
from xml.etree.ElementTree import Element, fromstring, tostring

import numpy as np
import pytest
from fuzz import fuzz, loads_or
from hypothesis import given, settings
from hypothesis import strategies as st
from urdf_texts import ARM, joint_with, mimicking

from sobo_planner.errors import RobotError
from sobo_planner.robot import Robot

TEXTS = (ARM, joint_with("wrist", type="continuous"), mimicking("grip", "wrist"))
WORDS = [
    *(
        "",
        " ",
        "0",
        "-0",
        "0 0 0",
        "-1",
        "1",
        "1 ",
        "\t1",
        "1e400",
        "1e-400",
        "1e308",
        "nan",
        "inf",
        "-inf",
        "1_0",
        "x",
    ),
    *(
        "0x10",
        "1,5",
        "1 0 0",
        "0 0 1e-200",
        "${x}",
        "$(arg a)",
        "universe",
        "root_joint",
        "base",
        "hand",
        "wrist",
        "grip",
    ),
    *("tip", "fixed", "continuous", "prismatic", "floating", "planar", "mimic", "a\tb", "\u00e9", "<", "&", "xacro:a"),
]
TAGS = [
    *(
        "link",
        "joint",
        "inertial",
        "mass",
        "inertia",
        "origin",
        "axis",
        "limit",
        "parent",
        "child",
        "mimic",
        "collision",
    ),
    *("geometry", "box", "sphere", "capsule", "mesh", "dynamics", "safety_controller", "calibration", "material", "x"),
    *("collision_checking", "transmission", "xacro:macro"),
]
NAMES = [
    *("name", "type", "link", "joint", "xyz", "rpy", "value", "ixx", "lower", "upper", "effort", "velocity", "radius"),
    *("multiplier", "filename", "quat_xyzw", "version", "acceleration"),
]

words, tags, names = st.sampled_from(WORDS), st.sampled_from(TAGS), st.sampled_from(NAMES)
place = st.integers(0, 10**6)
changes = st.lists(st.tuples(place, st.integers(0, 5), place, words, tags, names), min_size=1, max_size=4)


def mutate(robot: Element, at: int, kind: int, where: int, word: str, tag: str, name: str) -> None:
    """One change: an attribute, an element, a tag, or where an element stands."""
    elements = list(robot.iter())
    element, other = elements[at % len(elements)], elements[where % len(elements)]
    attributes = sorted(element.attrib)
    if kind == 0:
        element.set(attributes[where % len(attributes)] if attributes else name, word)
    elif kind == 1 and attributes:
        element.attrib.pop(attributes[where % len(attributes)])
    elif kind == 2 and len(element):
        element.remove(element[where % len(element)])
    elif kind == 3:
        element.append(deepcopy(other) if where % 2 else Element(tag, {name: word}))
    elif kind == 4:
        element.tag = tag
    else:
        element.set(name, word)


@settings(fuzz, max_examples=400)
@given(text=st.sampled_from(TEXTS), changes=changes, locked=st.sampled_from([{}, {"grip": 0.1}, {"wrist": 0.1}]))
def test_an_arm_that_was_changed(text: str, changes: list, locked: dict) -> None:
    robot = fromstring(text)
    for change in changes:
        mutate(robot, *change)
    loads_or(RobotError, lambda: moves(Robot(tostring(robot, encoding="unicode"), "tip", locked_joints=locked)))


def moves(arm: Robot) -> None:
    """Whether everything that is computed for the arm is a number."""
    rest, q = np.zeros(arm.nv), np.clip(np.full(arm.nq, 0.1), arm.position_lower, arm.position_upper)
    for values in (arm.tool_pose(q), arm.gravity(q), arm.forward_dynamics(q, rest, rest), arm.tool_jacobian(q)):
        assert np.isfinite(values).all()
    assert np.all(arm.effort_limit > 0.0) and np.all(arm.velocity_limit > 0.0)
    assert np.all(arm.position_lower < arm.position_upper)
    arm.colliding_pair(q)


@pytest.mark.parametrize("depth", [50, 5000, 100_000])
@pytest.mark.parametrize(
    "around",
    [
        "<robot name='r'>{}</robot>",
        "<robot name='r'><link name='a'>{}</link></robot>",
        "<robot name='r'><link name='a'><inertial>{}</inertial></link></robot>",
        "<robot name='r'><link name='a'/><joint name='j'><limit>{}</limit></joint></robot>",
    ],
)
def test_deeply_nested_elements(depth: int, around: str) -> None:
    text = around.format("<a>" * depth + "</a>" * depth)
    loads_or(RobotError, lambda: Robot(text, "tip"))


@pytest.mark.parametrize("count", [300])
def test_a_long_chain(count: int) -> None:
    """As many joints as no arm has."""
    inertial = '<inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial>'
    limit = '<limit lower="-1" upper="1" effort="1" velocity="1"/>'
    links = "".join(f'<link name="l{i}">{inertial}</link>' for i in range(count + 1))
    joints = "".join(
        f'<joint name="j{i}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/>{limit}</joint>'
        for i in range(count)
    )
    assert Robot(f'<robot name="chain">{links}{joints}</robot>', f"l{count}").nq == count
