"""The planner node on simulated time, over real DDS: the test is the clock, and lets it jump and stand still."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time
from node_tools import POSITION_JUMP, StiffArm, ask, count, is_at, planned, plans, refusal, seconds
from ros_harness import Probe, RosProcess, RosSystem, ros_system
from rosgraph_msgs.msg import Clock

from sobo_planner.tasks import Task

MODES = {"plan_once": (), "receding_horizon": ("rate:=10.0",)}
LAG = 2.0  # [s] that the node may know of the time late; no jump is as short


class SimulatedClock:
    """Publishes a time that goes on with the computer's until it is set or stopped."""

    def __init__(self, probe: Probe) -> None:
        self._publisher = probe.create_publisher(Clock, "/clock", 10)
        self._offset = 1000.0 - time.monotonic()
        self._stopped: float | None = None

    def now(self) -> float:
        """Simulated time [s]."""
        return self._stopped if self._stopped is not None else time.monotonic() + self._offset

    def jump(self, by: float) -> None:
        self._offset += by

    def stop(self) -> None:
        self._stopped = self.now()

    def go_on(self) -> None:
        assert self._stopped is not None
        self._offset, self._stopped = self._stopped - time.monotonic(), None

    def tick(self) -> None:
        now = self.now()
        self._publisher.publish(Clock(clock=Time(sec=int(now), nanosec=int(1e9 * (now % 1.0)))))


class TimedArm(StiffArm):
    """An arm on simulated time, which is published with every joint state."""

    def __init__(self, probe: Probe, q: np.ndarray, clock: SimulatedClock) -> None:
        self.clock = clock
        super().__init__(probe, q, clock.now)

    def tick(self) -> None:
        self.clock.tick()
        super().tick()


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def system(mode: str, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    with ros_system(tmp_path_factory.mktemp("clock"), task.robot.joint_names) as system:
        yield system


@pytest.fixture(scope="module")
def arm(mode: str, system: RosSystem, home: np.ndarray) -> TimedArm:
    return TimedArm(system.probe, home, SimulatedClock(system.probe))


@pytest.fixture(scope="module")
def planner(mode: str, system: RosSystem) -> RosProcess:
    return system.start_planner("use_sim_time:=true", f"mode:={mode}", "policy:=none", *MODES[mode])


@pytest.fixture
def probe(system: RosSystem, planner: RosProcess) -> Iterator[Probe]:
    yield system.probe
    assert planner.running and "Traceback" not in planner.text(), planner.text()


@pytest.fixture(scope="module")
def targets(task: Task, home: np.ndarray) -> list[np.ndarray]:
    return [task.robot.tool_position(home + [pan, 0, 0, 0, 0, 0]) for pan in (0.5, -0.5, 0.4, -0.4, 0.3, -0.3)]


def follow(probe: Probe, arm: TimedArm, target: np.ndarray) -> dict:
    """Sends a goal until it is planned for; returns the first report.

    A busy computer may hold up joint states while the goal is planned for, or need longer than a moving arm waits: the
    node refuses it then, and whoever sent it has to send it again.
    """
    report = ask(probe, arm, target, again=("NO_STATE", "STALE_STATE", "DEADLINE_MISSED", "CLOCK_JUMP"))
    assert planned(report), report
    return report


def test_it_tells_how_it_is_without_a_clock(probe: Probe) -> None:
    """Runs first: simulated time has not begun, and whoever looks for the reason sees diagnostics all the same."""
    assert is_at(probe, "NO_STATE")


def test_stamps_are_simulated_time(probe: Probe, arm: TimedArm, targets: list[np.ndarray]) -> None:
    arm.wait(lambda: is_at(probe, "READY"))
    asked = arm.clock.now()
    report = follow(probe, arm, targets[0])
    assert asked - LAG <= seconds(Time(**report["stamp"])) <= arm.clock.now()
    arm.wait(lambda: any(seconds(message.header.stamp) > 1000.0 for message in probe.trajectories))


@pytest.mark.parametrize("by", [-500.0, 700.0, -3.0, 5.0])
def test_a_jump(probe: Probe, arm: TimedArm, mode: str, task: Task, targets: list[np.ndarray], by: float) -> None:
    """Counted; the moving arm is braked where it is, in the new time; goals are dropped, and served again when sent."""
    target, other = targets[1:3] if by < 0 else targets[3:5]
    follow(probe, arm, target)
    arm.wait(lambda: np.abs(arm.state()[6:]).max() > 0.2)
    before = count(probe, "CLOCK_JUMP")
    arm.place(arm.state()[:6])  # the controller of an arm whose clock jumps holds where it is
    arm.clock.jump(by)
    asked = arm.clock.now()
    arm.clock.tick()
    braking = arm.wait(lambda: next((each for each in plans(probe) if each["status"] == "braking"), None))
    assert asked - LAG <= seconds(Time(**braking["stamp"])) <= arm.clock.now()
    assert np.abs(np.array(braking["start"]) - arm.state()).max() < POSITION_JUMP
    if mode == "receding_horizon":  # would go on to replan for it
        arm.wait(lambda: refusal(probe, "CLOCK_JUMP", target))
    arm.wait(lambda: count(probe, "CLOCK_JUMP") > before)
    asked = arm.clock.now()
    report = follow(probe, arm, other)
    assert asked - LAG <= seconds(Time(**report["stamp"])) <= arm.clock.now()
    arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - other) < 0.05)


def test_a_clock_that_stands_still(probe: Probe, arm: TimedArm, task: Task, targets: list[np.ndarray]) -> None:
    """A paused simulation: no two motions share a stamp (the monitor compares), and it goes on where it was."""
    follow(probe, arm, targets[0])
    jumps = count(probe, "CLOCK_JUMP")
    arm.clock.stop()
    arm.wait(lambda: abs(probe.diagnosed - arm.clock.now()) < 0.01)  # its last message has come
    stamps = {seconds(Time(**follow(probe, arm, target)["stamp"])) for target in targets[1:4]}
    assert max(stamps) - min(stamps) < 0.2, "time stood still"
    arm.clock.go_on()
    follow(probe, arm, targets[5])
    arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - targets[5]) < 0.05)
    assert count(probe, "CLOCK_JUMP") == jumps
