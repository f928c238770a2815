"""How far an arm can be from its root: no posture exceeds it."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.robot.reach import MESH, reach
from sobo_planner.robot.urdf import parse
from sobo_planner.tasks import ArmReach

RAIL = """<robot name="rail">
  <link name="base"/>
  <link name="slide"><collision><origin xyz="0 0 0.3"/><geometry><sphere radius="0.1"/></geometry></collision></link>
  <link name="{link}">{collision}</link>
  <joint name="along" type="prismatic"><origin xyz="3 4 0"/><parent link="base"/><child link="slide"/>
    <limit lower="-2" upper="1" effort="1" velocity="1"/></joint>
  <joint name="up" type="fixed"><origin xyz="0 0 1"/><parent link="slide"/><child link="{link}"/></joint>
</robot>"""
MESHED = '<collision><geometry><mesh filename="a.stl"/></geometry></collision>'


@pytest.mark.parametrize(
    "collision, locked, expected", [("", {}, 8.0), (MESHED, {}, 8.0 + MESH), ("", {"along": -0.5}, 6.5)]
)
def test_the_links_and_the_ways_of_joints_add_up(collision: str, locked: dict, expected: float) -> None:
    assert reach(parse(RAIL.format(link="top", collision=collision)), locked) == pytest.approx(expected)


def test_no_posture_is_further_and_some_is_not_much_nearer(task: ArmReach) -> None:
    robot = task.robot
    bound = reach(parse(robot.description.text), robot.description.locked)
    Q = np.random.default_rng(0).uniform(-3.0, 3.0, (500, robot.nq))
    farthest = np.linalg.norm(robot.tool_positions(Q), axis=1).max()
    assert farthest < bound < 2.0 * farthest
