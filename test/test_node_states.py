"""Joint states and goals that are wrong, on a node that replans at a fixed rate, over real DDS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import StiffArm, cancel, count, is_at, plans, refusal
from ros_harness import Probe, RosProcess, RosSystem, ros_system
from sensor_msgs.msg import JointState

from sobo_planner.tasks import Task

STATE_TIMEOUT = 0.4  # [s]
RATE = 10.0  # [Hz]: a busy machine keeps up too


@pytest.fixture(scope="module")
def target(task: Task, home: np.ndarray) -> np.ndarray:
    """A goal that takes the arm a second."""
    return task.robot.tool_position(home + 0.3)


@pytest.fixture(scope="module")
def system(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    with ros_system(tmp_path_factory.mktemp("planner"), task.robot.joint_names) as system:
        yield system


@pytest.fixture(scope="module")
def planner(system: RosSystem) -> RosProcess:
    parameters = ("policy:=none", "mode:=receding_horizon", f"rate:={RATE}", f"state_timeout:={STATE_TIMEOUT}")
    return system.start_planner(*parameters)


@pytest.fixture(scope="module")
def shared_arm(system: RosSystem, planner: RosProcess, home: np.ndarray) -> StiffArm:
    return StiffArm(system.probe, home)


@pytest.fixture
def arm(
    shared_arm: StiffArm, system: RosSystem, planner: RosProcess, task: Task, home: np.ndarray
) -> Iterator[StiffArm]:
    """At home, at rest, the node without a goal."""
    probe, arm = system.probe, shared_arm
    follow(arm, probe, task.robot.tool_position(home))
    cancel(probe, arm.tick)
    arm.wait(lambda: plans(probe)[-1]["status"] == "braking" and arm.finished())
    arm.place(home)
    yield arm
    assert planner.running, planner.text()
    arm.mute, arm.edit = False, lambda message: message


@pytest.fixture
def probe(system: RosSystem) -> Probe:
    return system.probe


def follow(arm: StiffArm, probe: Probe, target: np.ndarray) -> None:
    """Sends a goal until the node replans towards it."""

    def taken() -> bool:
        return any(np.allclose(report["goal"], target) for report in plans(probe) if report["goal"])

    probe.reports.clear()
    probe.goal_publisher.publish(probe.goal(target))
    arm.wait(taken)


def cycles(arm: StiffArm, probe: Probe, number: int) -> None:
    """Waits for that many more motions."""
    until = len(probe.trajectories) + number
    arm.wait(lambda: len(probe.trajectories) >= until)


def test_goal_before_the_first_state(
    system: RosSystem, planner: RosProcess, probe: Probe, home: np.ndarray, target: np.ndarray
) -> None:
    """Runs first: it needs a node that has seen no state. The goal is refused and not kept."""
    report = probe.ask(probe.goal(target))
    assert report["reason"] == "NO_STATE"
    probe.wait(lambda: is_at(probe, "NO_STATE"))
    arm = StiffArm(probe, home)
    arm.wait(lambda: is_at(probe, "READY"))
    assert not probe.trajectories
    follow(arm, probe, target)
    arm.wait(lambda: is_at(probe, "TRACKING"))


def test_states_that_stop(arm: StiffArm, probe: Probe, target: np.ndarray) -> None:
    """Nothing is planned from the last one (the monitor compares times); planning goes on with the next one."""
    follow(arm, probe, target)
    before = count(probe, "STALE_STATE")
    arm.mute = True
    arm.wait(lambda: is_at(probe, "STALE_STATE") and count(probe, "STALE_STATE") > before)
    published = len(probe.trajectories)
    counted = count(probe, "STALE_STATE")
    arm.wait(lambda: count(probe, "STALE_STATE") > counted + 10)
    assert len(probe.trajectories) == published
    arm.mute = False
    cycles(arm, probe, 5)
    arm.wait(lambda: is_at(probe, "TRACKING"))


def test_a_robot_that_stands_still_is_not_stale(arm: StiffArm, probe: Probe, home: np.ndarray, task: Task) -> None:
    """Joint states that do not change in a single bit, for several times the timeout."""
    follow(arm, probe, task.robot.tool_position(home))
    still = probe.joint_state(home)
    arm.edit = lambda message: still
    before = count(probe, "STALE_STATE")
    cycles(arm, probe, int(3 * STATE_TIMEOUT * RATE))
    arm.wait(lambda: is_at(probe, "TRACKING"))
    assert count(probe, "STALE_STATE") == before


def bad_states(names: list[str]) -> dict[str, Callable[[JointState], JointState]]:
    """What each fault makes of a joint state."""

    def state(n: list[str], q: list[float], v: list[float]) -> JointState:
        return JointState(name=n, position=q, velocity=v)

    return {
        "nan": lambda m: state(names, [math.nan, *m.position[1:]], list(m.velocity)),
        "infinite velocity": lambda m: state(names, list(m.position), [*m.velocity[:5], -math.inf]),
        "short": lambda m: state(names, list(m.position[:5]), list(m.velocity)),
        "long": lambda m: state(names, list(m.position), [*m.velocity, 0.0]),
        "twice": lambda m: state([*names, names[0]], [*m.position, 0.0], [*m.velocity, 0.0]),
        "without positions": lambda m: state(names, [], list(m.velocity)),
    }


FAULTS = ["nan", "infinite velocity", "short", "long", "twice", "without positions"]


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_states_among_good_ones(arm: StiffArm, probe: Probe, task: Task, target: np.ndarray, fault: str) -> None:
    """Each is refused and counted; motions go on from the good ones."""
    make, before = bad_states(task.robot.joint_names)[fault], count(probe, "BAD_STATE")

    def both(message: JointState) -> JointState:
        probe.state_publisher.publish(message)
        return make(message)

    arm.edit = both
    follow(arm, probe, target)
    cycles(arm, probe, 5)
    arm.wait(lambda: count(probe, "BAD_STATE") > before and is_at(probe, "TRACKING"))


def test_bad_states_alone_age_the_last_good_one(arm: StiffArm, probe: Probe, task: Task, target: np.ndarray) -> None:
    follow(arm, probe, target)
    arm.edit = bad_states(task.robot.joint_names)["nan"]
    arm.wait(lambda: is_at(probe, "STALE_STATE"))
    published = len(probe.trajectories)
    before = count(probe, "BAD_STATE")
    arm.wait(lambda: count(probe, "BAD_STATE") > before)
    assert len(probe.trajectories) == published
    arm.edit = lambda message: message
    cycles(arm, probe, 5)


def test_order_and_extra_joints_do_not_matter(arm: StiffArm, probe: Probe, task: Task, target: np.ndarray) -> None:
    order = [4, 2, 0, 5, 1, 3]

    def jumbled(message: JointState) -> JointState:
        out = JointState(name=["gripper", *(message.name[i] for i in order)])
        out.position = [math.nan, *(message.position[i] for i in order)]
        out.velocity = [math.inf, *(message.velocity[i] for i in order)]
        return out

    rest = np.array(probe.trajectories[-1].points[-1].positions)  # where the node has brought the arm to rest
    arm.place(rest)
    arm.edit = jumbled
    follow(arm, probe, target)
    first = plans(probe)[0]
    np.testing.assert_allclose(first["start"][:6], rest, atol=1e-6)
    arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - target) < 0.05)
    arm.wait(lambda: is_at(probe, "TRACKING"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"position": (math.nan, 0.0, 0.5)}, "BAD_GOAL"),
        ({"position": (0.0, -math.inf, 0.5)}, "BAD_GOAL"),
        ({"w": 0.5}, "BAD_GOAL"),
        ({"w": math.nan}, "BAD_GOAL"),
        ({"frame": ""}, "BAD_FRAME"),
        ({"frame": "/base_link"}, "BAD_FRAME"),
        ({"frame": "map"}, "BAD_FRAME"),
        ({"position": (5.0, 0.0, 0.5)}, "OUT_OF_REACH"),
    ],
)
def test_a_bad_goal_leaves_the_good_one(
    arm: StiffArm, probe: Probe, target: np.ndarray, change: dict, reason: str
) -> None:
    follow(arm, probe, target)
    goal = probe.goal(change.get("position", target), change.get("frame", "base_link"))
    goal.pose.orientation.w = change.get("w", 1.0)
    probe.goal_publisher.publish(goal)
    report = arm.wait(lambda: refusal(probe, reason))
    assert report["detail"]
    cycles(arm, probe, 3)
    np.testing.assert_array_equal(plans(probe)[-1]["goal"], target)


def at_limit(task: Task, home: np.ndarray, beyond: float) -> np.ndarray:
    """Home with the last joint, which turns the tool alone, that far beyond its upper limit."""
    q = home.copy()
    q[5] = task.robot.position_upper[5] + beyond
    return q


def test_a_hair_outside_a_limit(arm: StiffArm, probe: Probe, task: Task, home: np.ndarray, target: np.ndarray) -> None:
    arm.place(at_limit(task, home, 1e-8))
    follow(arm, probe, target)
    cycles(arm, probe, 3)


def test_far_outside_a_limit(arm: StiffArm, probe: Probe, task: Task, home: np.ndarray, target: np.ndarray) -> None:
    """Refused with joint, value and bound; in the middle of a motion, it ends."""
    bad = at_limit(task, home, 1.0)
    probe.reports.clear()
    arm.place(bad)
    arm.tick()
    probe.goal_publisher.publish(probe.goal(target))
    detail = arm.wait(lambda: refusal(probe, "BAD_START"))["detail"]
    assert "wrist_3_joint" in detail and f"{bad[5]:.3f}"[:4] in detail and f"{bad[5] - 1.0:.3f}"[:4] in detail
    assert not plans(probe)
    arm.place(home)
    follow(arm, probe, target)
    arm.wait(lambda: is_at(probe, "TRACKING"))
    before = count(probe, "BAD_START")
    arm.edit = lambda message: probe.joint_state(bad)
    arm.wait(lambda: count(probe, "BAD_START") > before and is_at(probe, "READY"))
