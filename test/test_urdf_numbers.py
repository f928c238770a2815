"""What a URDF parser would drop without an error is refused, with the link or joint named."""

from __future__ import annotations

import pytest

from sobo_planner.errors import RobotError
from sobo_planner.paths import share_path
from sobo_planner.robot import Robot
from sobo_planner.robot.urdf_check import check_numbers

TEXT = share_path("urdf/ur5.urdf").read_text()


@pytest.mark.parametrize("path", sorted(share_path("urdf").glob("*.urdf")), ids=lambda path: path.name)
def test_shipped_robots_pass(path) -> None:
    check_numbers(path.read_text())


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
    ],
)
def test_what_is_wrong_in_which_link(element: str, says: str) -> None:
    with pytest.raises(RobotError, match=f"link 'arm'.*{says}"):
        check_numbers(f'<robot name="r"><link name="arm">{element}</link></robot>')


def test_limits_are_in_order() -> None:
    with pytest.raises(RobotError, match="joint 'j': lower limit 1 above the upper one -1"):
        check_numbers('<robot><joint name="j"><limit lower="1" upper="-1" effort="1" velocity="1"/></joint></robot>')


def test_what_it_looks_like_does_not_count() -> None:
    check_numbers('<robot><link name="a"><visual><origin xyz="x"/><geometry><cone/></geometry></visual></link></robot>')


def test_a_robot_is_not_read_without_the_inertia_that_its_file_names(tmp_path, capfd) -> None:
    """The parser alone would take the forearm for weightless."""
    start = TEXT.index("<inertia ", TEXT.index('<link name="forearm_link">'))
    path = tmp_path / "robot.urdf"
    path.write_text(TEXT[:start] + TEXT[start:].replace('ixx="', 'ixx="x', 1))
    with pytest.raises(RobotError, match=r"robot\.urdf: link 'forearm_link': inertia needs finite numbers in ixx"):
        Robot.from_urdf(path, "tool0")
