"""Links fixed to the URDF's root, against Pinocchio; goals, boxes and pushes in their frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from ros_harness import RosSystem, ros_system

from sobo_planner.errors import ConfigError, RobotError
from sobo_planner.paths import share_path
from sobo_planner.robot import Robot
from sobo_planner.robot.frames import Placement, fixed_links
from sobo_planner.robot.urdf import parse
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.tasks import load_arm

DATA = Path(pin.__file__).parents[4] / "share" / "example-robot-data" / "robots"
URDFS = (
    "ur_description/urdf/ur5_robot.urdf",
    "panda_description/urdf/panda.urdf",
    "kinova_description/robots/kinova.urdf",
    "xarm_description/urdf/xarm7.urdf",
    "iiwa_description/urdf/iiwa14.urdf",
    "talos_data/robots/talos_left_arm.urdf",
    "z1_description/urdf/z1.urdf",
    "so_arm_description/urdf/so101.urdf",
)
UR5 = share_path("urdf/ur5.urdf").read_text()
TURN = (0.4, -0.3, 2.0)  # roll, pitch, yaw [rad]
ORIGIN = (0.1, -0.2, 0.8)  # [m]
coordinates = st.tuples(*[st.floats(-2.0, 2.0)] * 3).map(np.array)


def on_a_table(text: str = UR5) -> str:
    """The arm on a link `world`, turned and 0.8 m up, with a link `stand` beside and one `bolt` on that."""
    numbers = " ".join(map(str, ORIGIN)), " ".join(map(str, TURN))
    more = f"""<link name="world"/><link name="stand"/><link name="bolt"/>
    <joint name="mount" type="fixed"><parent link="world"/><child link="base_link"/>
      <origin xyz="{numbers[0]}" rpy="{numbers[1]}"/></joint>
    <joint name="beside" type="fixed"><parent link="base_link"/><child link="stand"/><origin rpy="0 0 1.5"/></joint>
    <joint name="on" type="fixed"><parent link="stand"/><child link="bolt"/><origin xyz="0 0.5 0"/></joint></robot>"""
    return text.replace("</robot>", more)


def own_task(folder: Path, urdf: str, base_frame: str | None = None) -> Path:
    (folder / "arm.urdf").write_text(urdf)
    text = share_path("config/ur5.yaml").read_text().replace("urdf/ur5.urdf", "arm.urdf")
    line = "" if base_frame is None else f"  base_frame: {base_frame}\n"
    text = text.replace("  base_frame: base_link\n", line)
    (folder / "own.yaml").write_text(text)
    return folder / "own.yaml"


def matrix(placement: Placement) -> pin.SE3:
    return pin.SE3(pin.Quaternion(placement.quaternion), placement.position)


def expected(text: str) -> dict[str, pin.SE3]:
    """What Pinocchio says of links that hang on the universe."""
    model = pin.buildModelFromXML(text)
    bodies = [frame for frame in model.frames if frame.type == pin.FrameType.BODY and frame.parentJoint == 0]
    return {frame.name: frame.placement for frame in bodies}


def agree(found: dict[str, Placement], wanted: dict[str, pin.SE3]) -> None:
    assert found.keys() == wanted.keys()
    for name, placement in found.items():
        np.testing.assert_allclose(matrix(placement).homogeneous, wanted[name].homogeneous, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in URDFS if (DATA / name).is_file()] or URDFS[:1])
def test_links_of_arms_are_where_pinocchio_has_them(name: str) -> None:
    if not (DATA / name).is_file():
        pytest.skip("example-robot-data is not installed")
    text = (DATA / name).read_text()
    agree(fixed_links(parse(text), {}), expected(text))


def test_a_chain_of_fixed_links() -> None:
    text = on_a_table()
    found = fixed_links(parse(text), {})
    assert next(iter(found)) == "world" and {"world", "base_link", "stand", "bolt"} <= found.keys()
    assert "upper_arm_link" not in found
    agree(found, expected(text))


@pytest.mark.parametrize("joint", ["shoulder_pan_joint", "shoulder_lift_joint"])
def test_locked_joints_do_not_move(joint: str) -> None:
    text = UR5
    model = pin.buildModelFromXML(text)
    reduced = pin.buildReducedModel(model, [model.getJointId(joint)], np.full(model.nq, 0.7))
    wanted = {f.name: f.placement for f in reduced.frames if f.type == pin.FrameType.BODY and f.parentJoint == 0}
    agree(fixed_links(parse(text), {joint: 0.7}), wanted)
    rail = '<robot name="r"><link name="a"/><link name="b"/><joint name="j" type="prismatic"><parent link="a"/>'
    rail += '<child link="b"/><axis xyz="0 0 2"/><limit lower="0" upper="1" velocity="1" effort="1"/></joint></robot>'
    np.testing.assert_allclose(fixed_links(parse(rail), {"j": 0.3})["b"].position, [0.0, 0.0, 0.3])
    assert list(fixed_links(parse(rail), {})) == ["a"]


@given(coordinates, coordinates)
def test_placements_are_composed_and_inverted(p: np.ndarray, turn: np.ndarray) -> None:
    rotation = pin.Quaternion(pin.rpy.rpyToMatrix(*turn))
    placement = Placement(p, rotation.coeffs())
    for product in (placement @ placement.inverse(), placement.inverse() @ placement):
        np.testing.assert_allclose(matrix(product).homogeneous, np.eye(4), atol=1e-12)
    goal = np.concatenate([p, rotation.coeffs()])
    moved = placement.goal(goal)
    wanted = matrix(placement) * pin.SE3(rotation, p)
    np.testing.assert_allclose(moved[:3], wanted.translation, atol=1e-12)
    np.testing.assert_allclose(pin.Quaternion(moved[3:]).matrix(), wanted.rotation, atol=1e-12)
    np.testing.assert_allclose(placement.goal(p), wanted.translation, atol=1e-12)
    np.testing.assert_array_equal(Placement.identity().goal(goal), goal)


def test_robots_know_their_fixed_links(tmp_path: Path) -> None:
    (tmp_path / "arm.urdf").write_text(on_a_table())
    robot = Robot.from_urdf(tmp_path / "arm.urdf", "tool0")
    assert robot.root_link == "world"
    np.testing.assert_allclose(robot.placement("base_link").position, ORIGIN)
    with pytest.raises(RobotError, match="'upper_arm_link' is neither the URDF's root link nor fixed to it; these are"):
        robot.placement("upper_arm_link")


def test_the_base_frame_of_a_task_is_checked_when_it_is_loaded(tmp_path: Path) -> None:
    for name in ("world", "base_link", "bolt", None):
        task = load_arm(own_task(tmp_path, on_a_table(), name))
        assert task.robot.root_link == "world"
    for name in ("no_such_link", "wrist_3_link"):
        with pytest.raises(RobotError, match=f"base_frame: '{name}' is neither the URDF's root link nor fixed to it"):
            load_arm(own_task(tmp_path, on_a_table(), name))
    with pytest.raises(ConfigError, match="leading slash"):
        load_arm(own_task(tmp_path, on_a_table(), "/world"))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    """A node whose arm stands on a table, turned and 0.8 m up."""
    folder = tmp_path_factory.mktemp("table")
    task = own_task(folder, on_a_table(), "base_link")
    with ros_system(folder, load_arm(task).robot.joint_names) as system:
        system.start_planner("policy:=none", f"task:={task}")
        system.task = task  # type: ignore[attr-defined]
        yield system


FRAMES = {"root": None, "turned": Placement(np.array(ORIGIN), pin.Quaternion(pin.rpy.rpyToMatrix(*TURN)).coeffs())}


@pytest.mark.parametrize("name", FRAMES)
def test_a_tool_box_is_in_its_frame(name: str, home: np.ndarray) -> None:
    """A swing about the first joint, and boxes that end on its way or beyond it."""
    task, frame = load_arm("ur5"), FRAMES[name]
    time, s = 0.02 * np.arange(51), np.linspace(0.0, 1.0, 51)
    X = np.tile([*home, *np.zeros(6)], (51, 1))
    X[:, 0] += 0.4 * (10 * s**3 - 15 * s**4 + 6 * s**5)
    X[:, 6] = 0.4 * 30 * (s**2 - 2 * s**3 + s**4)
    inverse = (frame or Placement.identity()).inverse()
    path = np.array([inverse.goal(task.robot.tool_position(x[:6])) for x in X])
    axis = int(np.ptp(path, axis=0).argmax())
    for end, refused in ((0.5, True), (1.1, False)):
        lower, upper = path.min(axis=0) - 0.1, path.max(axis=0) + 0.1
        far = path[0] + end * (path[-1] - path[0])
        (upper if path[-1, axis] > path[0, axis] else lower)[axis] = far[axis]
        checker = PlanChecker(task, tool_box=(lower, upper), box_frame=frame)
        found = checker.check(time, X, np.zeros((50, 6)), np.zeros((50, 6, 12)))
        assert (found is not None) is refused, found
        assert found is None or (found.limit is Limit.TOOL_BOX and f"tool {'xyz'[axis]}" in found.detail)


@pytest.mark.parametrize("frame", ["base_link", "world", "bolt"])
def test_a_goal_ends_where_it_was_meant(system: RosSystem, home: np.ndarray, frame: str) -> None:
    """In the frame of its header; the report gives it in the base frame."""
    probe, task = system.probe, load_arm(system.task)  # type: ignore[attr-defined]
    wanted = task.robot.tool_position(home + 0.2 + 0.05 * len(frame) / 10)
    sent = task.robot.placement(frame).inverse().goal(wanted)
    probe.reports.clear()
    report = probe.plan(probe.goal(sent, frame), probe.joint_state(home))
    end = np.array(probe.pieces(report)[0].points[-1].positions)
    np.testing.assert_allclose(task.robot.tool_position(end), wanted, atol=0.01)
    in_base = task.robot.placement("base_link").inverse().goal(wanted)
    np.testing.assert_allclose(report["goal"], in_base, atol=1e-9)
    far = probe.ask_until(
        probe.goal((5.0, 0.0, 0.5), frame), probe.joint_state(home), lambda r: r.get("reason") == "OUT_OF_REACH"
    )
    meant = (
        task.robot.placement("base_link").inverse().goal(task.robot.placement(frame).goal(np.array([5.0, 0.0, 0.5])))
    )
    np.testing.assert_allclose(far["goal"], meant, atol=1e-9)
