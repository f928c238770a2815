"""What a URDF parser would drop without an error is refused, with the link or joint named."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest

from sobo_planner.errors import RobotError
from sobo_planner.paths import share_path
from sobo_planner.robot import Robot
from sobo_planner.robot.urdf import parse, read
from sobo_planner.robot.urdf_check import check_numbers

TEXT = share_path("urdf/ur5.urdf").read_text()
LIMIT = '<limit lower="1" upper="-1" effort="1" velocity="1"/>'


@pytest.mark.parametrize("path", sorted(share_path("urdf").glob("*.urdf")), ids=lambda path: path.name)
def test_shipped_robots_pass(path) -> None:
    check_numbers(parse(path.read_text()))


@pytest.mark.parametrize(
    ("element", "says"),
    [
        ('<inertial><mass value="nan"/></inertial>', "mass needs finite numbers in value, 1 of them, got 'nan'"),
        ('<inertial><mass value="-1"/></inertial>', "the mass must not be negative, got -1"),
        ("<inertial><mass/></inertial>", "got None"),
        ('<inertial><inertia ixx="1"/></inertial>', "inertia needs finite numbers in ixy"),
        ('<inertial><origin xyz="0 0"/></inertial>', "origin needs finite numbers in xyz, 3 of them, got '0 0'"),
        ('<collision><geometry><cylinder radius="1"/></geometry></collision>', "cylinder needs .* length"),
        ("<collision><geometry><cone/></geometry></collision>", "one shape of box, cylinder, sphere, mesh; .*cone"),
        ("<collision><geometry/></collision>", r"it has \[\]"),
        ("<collision/>", r"it has \[\]"),
        ("<collision><geometry><mesh/></geometry></collision>", "mesh needs a filename"),
        ('<collision><geometry><sphere radius="-1"/></geometry></collision>', "sphere has a negative size"),
        ('<collision><geometry><box size="1 1 -1"/></geometry></collision>', "box has a negative size"),
        (
            '<inertial><origin quat_xyzw="0 0 0 1"/></inertial>',
            "quaternion .quat_xyzw., which is not supported: write rpy",
        ),
        ('<inertial><mass value="1"/></inertial>', "inertial needs an element <inertia>"),
        ('<inertial><mass value="1_0"/></inertial>', "mass needs finite numbers in value"),
        ('<inertial><mass value="\uff11"/></inertial>', "mass needs finite numbers in value"),
        ('<inertial><mass value="inf"/></inertial>', "mass needs finite numbers in value"),
        ('<inertial><mass value="1e999"/></inertial>', "mass needs finite numbers in value"),
    ],
)
def test_what_is_wrong_in_which_link(element: str, says: str) -> None:
    with pytest.raises(RobotError, match=f"link 'arm'.*{says}"):
        check_numbers(parse(f'<robot name="r"><link name="arm">{element}</link></robot>'))


def test_limits_are_in_order() -> None:
    with pytest.raises(RobotError, match="joint 'j': lower limit 1 above the upper one -1"):
        check_numbers(parse(f'<robot><joint name="j">{LIMIT}</joint></robot>'))


def test_what_it_looks_like_does_not_count() -> None:
    visual = '<visual><origin xyz="x"/><geometry><cone/></geometry></visual>'
    check_numbers(parse(f'<robot><link name="a">{visual}</link></robot>'))


def test_a_robot_is_not_read_without_the_inertia_that_its_file_names(tmp_path, capfd) -> None:
    """The parser alone would take the forearm for weightless."""
    start = TEXT.index("<inertia ", TEXT.index('<link name="forearm_link">'))
    path = tmp_path / "robot.urdf"
    path.write_text(TEXT[:start] + TEXT[start:].replace('ixx="', 'ixx="x', 1))
    with pytest.raises(RobotError, match=r"robot\.urdf: link 'forearm_link': inertia needs finite numbers in ixx"):
        Robot.from_urdf(path, "tool0")


@pytest.mark.parametrize(("old", "new"), [("8.393", "8.393 "), ("8.393", " 8.393\t"), ('xyz="0 0 0', 'xyz="0\t0\n0')])
def test_white_space_around_numbers_changes_nothing(old, new) -> None:
    """The parser alone would take the upper arm for weightless, or drop a shape."""
    assert old in TEXT
    plain, spaced = Robot(TEXT, "tool0"), Robot(TEXT.replace(old, new), "tool0")
    q = [0.1, -1.0, 1.0, 0.2, 0.3, 0.4]
    np.testing.assert_array_equal(spaced.gravity(q), plain.gravity(q))
    np.testing.assert_array_equal(spaced.tool_pose(q), plain.tool_pose(q))


def test_what_is_written_for_the_parser_is_the_same_robot() -> None:
    """All figures of Pinocchio's own reading, bit by bit."""
    ours, theirs = (pin.buildModelFromXML(text) for text in (read(TEXT, {}).text, TEXT))
    assert ours == theirs
    texts = read(TEXT, {}).text, TEXT
    shapes, same = (pin.buildGeomFromUrdfString(theirs, text, pin.COLLISION).geometryObjects for text in texts)
    assert len(shapes) == len(same) > 6 and all(a == b for a, b in zip(shapes, same, strict=True))
