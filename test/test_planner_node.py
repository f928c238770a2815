"""The planner node as a process, over real DDS."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from rcl_interfaces.srv import DescribeParameters
from ros_harness import Probe, RosProcess, RosSystem, ros_system
from sensor_msgs.msg import JointState

from sobo_planner.paths import share_path
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.outputs.diagnostics import to_json
from sobo_planner.ros.simulator.tracking import PlanAssembler
from sobo_planner.ros.support import node_parameters
from sobo_planner.tasks import Task

MIB = 1024**2
STATE_TIMEOUT = 0.4


@pytest.fixture(scope="module")
def target(task: Task, home: np.ndarray) -> np.ndarray:
    """A goal close to home."""
    return task.robot.tool_position(home + 0.3)


@pytest.fixture(scope="module")
def system(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    with ros_system(tmp_path_factory.mktemp("planner"), task.robot.joint_names) as system:
        yield system


@pytest.fixture(scope="module")
def planner(system: RosSystem) -> RosProcess:
    """One planner without a policy, for all tests that leave it serving."""
    return system.start_planner("policy:=none", f"state_timeout:={STATE_TIMEOUT}")


@pytest.fixture
def probe(system: RosSystem, planner: RosProcess) -> Iterator[Probe]:
    yield system.probe
    assert planner.running, planner.text()


def served(probe: Probe, home: np.ndarray, target: np.ndarray) -> dict:
    report = probe.plan(probe.goal(target), probe.joint_state(home))
    assert report["status"] in ("converged", "feasible"), report
    return report


def test_goal_before_the_first_state(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    """Runs first: it needs a node that has seen no state. The goal is refused and not kept."""
    report = probe.ask(probe.goal(target))
    assert (report["status"], report["reason"]) == ("refused", "NO_STATE")
    np.testing.assert_array_equal(report["goal"], target)
    probe.wait(lambda: probe.values().get("count_NO_STATE") == "1")
    assert "no joint state" in probe.status["planner"].message
    report = served(probe, home, target)
    assert report["plan_id"] == 1


def test_plan_is_complete_and_consistent(probe: Probe, task: Task, home: np.ndarray, target: np.ndarray) -> None:
    report = served(probe, home, target)
    trajectory, gains, feedforward = probe.pieces(report)
    T, n = task.horizon, task.robot.nq
    assert [(dim.label, dim.size) for dim in gains.layout.dim] == [("T", T), ("rows", n), ("cols", 2 * n)]
    assert [(dim.label, dim.size) for dim in feedforward.layout.dim] == [("T", T), ("nu", n)]
    assert list(trajectory.joint_names) == task.robot.joint_names
    assert all(len(point.effort) == 0 for point in trajectory.points)
    times, states = conversions.trajectory_arrays(trajectory, task.robot.joint_names)
    assert times[0] > 0.0 and np.all(states[-1, n:] == 0.0)
    np.testing.assert_allclose(report["start"], [*home, *np.zeros(n)])
    np.testing.assert_array_equal(report["goal"], target)
    assert np.linalg.norm(task.robot.tool_position(states[-1, :n]) - target) < 0.01
    assert report["tool_error"] < 0.01 and report["iterations"] >= 0
    assert report["phases_ms"]["total"] >= report["phases_ms"]["refine"] > 0.0
    assembler = PlanAssembler(task.robot.joint_names)
    assembler.add_trajectory(trajectory)
    assembler.add_gains(gains)
    assembler.add_feedforward(feedforward)
    tracked = assembler.add_report(to_json(report))
    assert tracked is not None and tracked.K.shape == (T, n, 2 * n)
    # The feedforward is that of the middle of each step: the pieces belong together, shifted by no step.
    X = np.vstack([report["start"], states[:T]])
    middle, a = 0.5 * (X[:-1] + X[1:]), np.diff(X[:, n:], axis=0) / tracked.dt
    needed = [task.robot.inverse_dynamics(x[:n], x[n:], each) for x, each in zip(middle, a, strict=True)]
    np.testing.assert_allclose(tracked.U, needed + task.robot.friction_torque(middle[:, n:]), atol=0.05)


def test_order_and_extra_joints_do_not_matter(probe: Probe, task: Task, home: np.ndarray, target: np.ndarray) -> None:
    names = task.robot.joint_names
    order = [4, 2, 0, 5, 1, 3]
    state = JointState(name=["gripper", *(names[i] for i in order)])
    state.position = [math.nan, *(float(home[i]) for i in order)]
    state.velocity = [math.nan] + [0.0] * 6
    plain = probe.pieces(served(probe, home, target))[0]
    report = probe.plan(probe.goal(target), state)
    shuffled = probe.pieces(report)[0]
    np.testing.assert_allclose(report["start"][:6], home)
    a = conversions.trajectory_arrays(plain, names)[1]
    b = conversions.trajectory_arrays(shuffled, names)[1]
    assert np.linalg.norm(task.robot.tool_position(b[-1, :6]) - target) < 0.01
    np.testing.assert_allclose(a[0], b[0], atol=0.05)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"position": (math.nan, 0.0, 0.5)}, "BAD_GOAL"),
        ({"position": (0.0, math.inf, 0.5)}, "BAD_GOAL"),
        ({"frame": "map"}, "BAD_FRAME"),
        ({"frame": ""}, "BAD_FRAME"),
        ({"w": 0.5}, "BAD_GOAL"),
        ({"w": math.nan}, "BAD_GOAL"),
        ({"position": (5.0, 0.0, 0.5)}, "OUT_OF_REACH"),
        ({"position": (1e300, 0.0, 0.0)}, "BAD_GOAL"),
    ],
)
def test_bad_goal_is_refused_and_the_node_serves_on(
    probe: Probe, planner: RosProcess, home: np.ndarray, target: np.ndarray, change: dict, reason: str
) -> None:
    goal = probe.goal(change.get("position", target), change.get("frame", "base_link"))
    goal.pose.orientation.w = change.get("w", 1.0)
    state = probe.joint_state(home)
    report = probe.ask_until(goal, state, lambda report: report.get("reason") == reason)
    assert report["status"] == "refused"
    assert report["detail"]
    assert reason in planner.text(), "the log says why"
    served(probe, home, target)


def bad_states(names: list[str], home: np.ndarray) -> dict[str, JointState]:
    q, zero = [float(value) for value in home], [0.0] * 6
    return {
        "nan": JointState(name=names, position=[math.nan, *q[1:]], velocity=zero),
        "infinite velocity": JointState(name=names, position=q, velocity=[math.inf, *zero[1:]]),
        "short": JointState(name=names, position=q[:5], velocity=zero),
        "long": JointState(name=names, position=q, velocity=[*zero, 0.0]),
        "twice": JointState(name=[*names, names[0]], position=[*q, 0.0], velocity=[*zero, 0.0]),
        "without positions": JointState(name=names, position=[], velocity=zero),
    }


@pytest.mark.parametrize("fault", ["nan", "infinite velocity", "short", "long", "twice", "without positions"])
def test_bad_state_is_refused_and_the_node_serves_on(
    probe: Probe, task: Task, home: np.ndarray, target: np.ndarray, fault: str
) -> None:
    bad = bad_states(task.robot.joint_names, home)[fault]
    before = int(probe.values()["count_BAD_STATE"])
    probe.wait(
        lambda: int(probe.values()["count_BAD_STATE"]) > before,
        each=lambda: probe.state_publisher.publish(bad),
    )
    # The last valid state has aged meanwhile: nothing is planned from it.
    probe.ask_until(probe.goal(target), bad, lambda report: report.get("reason") == "STALE_STATE")
    served(probe, home, target)


def test_refusals_are_in_the_diagnostics(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    before = int(probe.values()["count_BAD_FRAME"])
    probe.ask(probe.goal(target, "map"))
    probe.wait(lambda: int(probe.values()["count_BAD_FRAME"]) > before)
    assert probe.values()["last_problem"].startswith("BAD_FRAME: goal in frame 'map'")
    served(probe, home, target)
    before = int(probe.values()["plans"])
    probe.wait(lambda: int(probe.values()["plans"]) > before or probe.values()["last_iterations"])
    assert probe.values()["policy"] == "none"


def test_start_outside_the_limits(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    q = home.copy()
    q[1] = 7.0
    state = probe.joint_state(q)
    report = probe.ask_until(probe.goal(target), state, lambda report: report["status"] == "refused")
    assert report["reason"] == "BAD_START"
    assert "shoulder_lift_joint" in report["detail"] and "7.0" in report["detail"]
    served(probe, home, target)


def test_positions_alone_are_read_as_rest(probe: Probe, task: Task, home: np.ndarray, target: np.ndarray) -> None:
    state = JointState(name=task.robot.joint_names, position=[float(value) for value in home])
    report = probe.plan(probe.goal(target), state)
    np.testing.assert_array_equal(report["start"][6:], np.zeros(6))
    probe.wait(lambda: int(probe.values()["states_without_velocity"]) > 0)


def test_goals_are_not_queued(probe: Probe, task: Task, home: np.ndarray) -> None:
    """Of a burst of goals the last is planned, and every one is answered."""
    targets = [task.robot.tool_position(home + 0.02 * i) for i in range(1, 7)]
    served(probe, home, targets[0])
    probe.reports.clear()
    for target in targets:
        probe.goal_publisher.publish(probe.goal(target))
    probe.wait(
        lambda: len(probe.reports) == len(targets),
        each=lambda: probe.state_publisher.publish(probe.joint_state(home)),
    )
    planned = [report for report in probe.reports if report["status"] != "refused"]
    assert {report["reason"] for report in probe.reports if report not in planned} <= {"SUPERSEDED"}
    np.testing.assert_array_equal(planned[-1]["goal"], targets[-1])


def test_parameters(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    assert probe.set_parameters("planner", publish_effort=True)[0].successful
    trajectory = probe.pieces(served(probe, home, target))[0]
    assert all(len(point.effort) == 6 for point in trajectory.points)
    assert probe.set_parameters("planner", publish_effort=False)[0].successful
    for refused in ({"task": "other"}, {"state_timeout": -1.0}, {"deadline": 1e9}, {"publish_effort": "yes"}):
        result = probe.set_parameters("planner", **refused)[0]
        assert not result.successful and result.reason
    client = probe.create_client(DescribeParameters, "planner/describe_parameters")
    probe.wait(client.service_is_ready)
    future = client.call_async(DescribeParameters.Request(names=[spec.name for spec in node_parameters.PLANNER]))
    probe.wait(future.done)
    for spec, descriptor in zip(node_parameters.PLANNER, future.result().descriptors, strict=True):
        assert descriptor.description == spec.description
        assert descriptor.read_only == spec.read_only
        bounds = [*descriptor.floating_point_range, *descriptor.integer_range]
        ranges = [(bound.from_value, bound.to_value) for bound in bounds]
        assert ranges == ([spec.bounds] if spec.bounds else [])


def test_shipped_policy(task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path) -> None:
    """It fits the shipped robot and task; the process stays small with it, and torch is nowhere in it."""
    with ros_system(tmp_path, task.robot.joint_names) as system:
        planner, probe = system.start_planner(), system.probe
        assert probe.values()["policy_error"] == ""
        report = served(probe, home, target)
        assert report["policy"].endswith("config/policies/ur5")
        assert report["phases_ms"]["policy"] > 0.0
        process = Path(f"/proc/{planner.node_pid}")
        peak = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
        assert peak is not None and int(peak[1]) * 1024 < 300 * MIB, peak
        assert "torch" not in (process / "maps").read_text()


def test_policy_that_does_not_fit(task: Task, tmp_path: Path) -> None:
    """The node is not configured, and says which policy does not fit what; a lifecycle manager may try again."""
    broken = tmp_path / "policy"
    shutil.copytree(share_path("config/policies/ur5"), broken)
    config = json.loads((broken / "config.json").read_text())
    config["robot_hash"] = "0" * 64
    (broken / "config.json").write_text(json.dumps(config))
    with ros_system(tmp_path, task.robot.joint_names) as system:
        process = system.start("sobo_planner.ros.planner_node", f"policy:={broken}")
        assert process.wait() == 1
    assert "PolicyError" in process.text() and "0" * 12 in process.text() and task.robot_hash[:12] in process.text()
    assert "Traceback" not in process.text()


def test_a_task_without_a_policy_is_planned_from_interpolation(
    task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path
) -> None:
    """A robot of one's own has none yet: the node serves it and says so; SIGINT ends it cleanly."""
    text = share_path("config/ur5.yaml").read_text().replace("name: ur5", "name: my_arm")
    own = tmp_path / "my_arm.yaml"
    own.write_text(text.replace("urdf/ur5.urdf", str(share_path("urdf/ur5.urdf"))))
    with ros_system(tmp_path, task.robot.joint_names) as system:
        process, probe = system.start_planner(f"task:={own}"), system.probe
        report = served(probe, home, target)
        assert report["source"] != "policy" and report["policy"] == "none"
        assert "no policy is shipped" in probe.values()["policy_error"]
        assert probe.status["planner"].level == probe.status["planner"].WARN
        assert process.interrupt() == 0
    assert "Traceback" not in process.text()


def test_unknown_task_is_one_line(task: Task, tmp_path: Path) -> None:
    with ros_system(tmp_path, task.robot.joint_names) as system:
        process = system.start("sobo_planner.ros.planner_node", "task:=no_such_robot")
        assert process.wait() == 1
    assert "no_such_robot" in process.text()
    assert "Traceback" not in process.text()
