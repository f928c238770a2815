"""Shared by the tests of the running planner node: an arm that follows trajectories, services, counters, hand-overs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.time import Time
from ros_harness import Probe, RosProcess, ros_system
from scipy.interpolate import CubicHermiteSpline
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.paths import share_path
from sobo_planner.tasks import Task

POSITION_JUMP, VELOCITY_JUMP = 0.02, 0.2  # [rad, rad/s] that a hand-over may jump by
MODES = {"plan_once": (), "receding_horizon": ("rate:=20.0",)}  # and parameters: a busy machine keeps up too
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "shutdown": Transition.TRANSITION_INACTIVE_SHUTDOWN,
}


def seconds(stamp: Any) -> float:
    """A time or duration message as a number."""
    return float(stamp.sec + 1e-9 * stamp.nanosec)


class Desired:
    """What trajectories ask of an arm over time, from the messages alone."""

    def __init__(self, q: Sequence[float]) -> None:
        self.place(q)

    def place(self, q: Sequence[float]) -> None:
        """An arm at rest, without a trajectory."""
        self._rest = np.array([*q, *np.zeros(len(q))], float)
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, message: JointTrajectory) -> tuple[np.ndarray, np.ndarray] | None:
        """Adds a trajectory. Returns the state before and after the hand-over, where there was a trajectory."""
        stamp = seconds(message.header.stamp)
        times = np.array([stamp + seconds(point.time_from_start) for point in message.points])
        states = np.array([[*point.positions, *point.velocities] for point in message.points])
        before = self.at(times[0]) if self._parts else None
        self._parts = [*self._parts[-20:], (times, states)]
        return None if before is None else (before, states[0])

    @property
    def end(self) -> float:
        """Time at which the newest trajectory ends [s]."""
        return float(self._parts[-1][0][-1]) if self._parts else -np.inf

    def at(self, moment: float) -> np.ndarray:
        """Desired state [q, v] at a time [s]; that of the newest trajectory that has begun."""
        for times, states in reversed(self._parts):
            if times[0] <= moment:
                if moment >= times[-1]:
                    return np.concatenate([np.split(states[-1], 2)[0], np.zeros(states.shape[1] // 2)])
                k = int(np.searchsorted(times, moment, side="right"))
                q, v = np.split(states[k - 1 : k + 1], 2, axis=1)
                spline = CubicHermiteSpline(times[k - 1 : k + 1], q, v)  # as joint_trajectory_controller does
                return np.concatenate([spline(moment), spline(moment, 1)])
        return self._rest


class StiffArm:
    """An arm that is always where its trajectories want it, driven by the test: it publishes when `tick` is called.

    Attributes:
        mute: Publishes nothing, as a driver that has stopped.
        edit: Changes each joint state before it is sent.
    """

    def __init__(self, probe: Probe, q: Sequence[float], clock: Callable[[], float] | None = None) -> None:
        self._probe = probe
        self._clock = clock or (lambda: 1e-9 * probe.get_clock().now().nanoseconds)
        self.mute = False
        self.edit: Callable[[JointState], JointState] = lambda message: message
        self.place(q)

    def place(self, q: Sequence[float]) -> None:
        """Puts the arm somewhere, at rest; trajectories from before are forgotten."""
        self._desired, self._taken = Desired(q), len(self._probe.trajectories)

    def state(self) -> np.ndarray:
        """[q, v] now."""
        trajectories = self._probe.trajectories
        self._taken = min(self._taken, len(trajectories))
        while self._taken < len(trajectories):
            self._desired.add(trajectories[self._taken])
            self._taken += 1
        return self._desired.at(self._clock())

    def finished(self) -> bool:
        """Whether its trajectories have all ended, by its clock; the node then follows none of them any more."""
        self.state()
        return self._desired.end <= self._clock()

    def tick(self) -> None:
        """Publishes a joint state."""
        q, v = np.split(self.state(), 2)
        if not self.mute:
            message = self._probe.joint_state(q, v)
            message.header.stamp = Time(nanoseconds=round(1e9 * self._clock())).to_msg()
            self._probe.state_publisher.publish(self.edit(message))

    def wait(self, condition: Callable[[], Any], timeout: float = 20.0) -> Any:
        """Waits for a condition while joint states go on."""
        return self._probe.wait(condition, timeout, each=self.tick)


@contextmanager
def serving(
    folder: Path, task: Task, home: np.ndarray, mode: str, *parameters: str
) -> Iterator[tuple[Probe, StiffArm]]:
    """A node with an arm at home; it has to live to the end, without a defect."""
    with ros_system(folder, task.robot.joint_names) as system:
        process: RosProcess = system.start_planner(f"mode:={mode}", *MODES[mode], *parameters)
        arm = StiffArm(system.probe, home)
        arm.wait(lambda: is_at(system.probe, "READY"), 60.0)  # long horizons take long to prepare
        yield system.probe, arm
        assert process.interrupt() == 0
        assert "Traceback" not in process.text() and "INTERNAL_ERROR" not in process.text(), process.text()


def ask(
    probe: Probe, arm: StiffArm, goal: np.ndarray | tuple, again: Sequence[str] = ("NO_STATE", "STALE_STATE")
) -> dict:
    """Sends a goal; returns the first report of it. Again if it was refused for one of these reasons.

    By default, if no state had come in shortly before, which happens on a busy computer.
    """

    def answer() -> dict | None:
        return next((r for r in probe.reports if r["goal"] is not None and np.allclose(r["goal"], goal)), None)

    for _ in range(10):
        probe.reports.clear()
        probe.goal_publisher.publish(probe.goal(goal))
        report: dict = arm.wait(answer, 40.0)
        if report.get("reason") not in again:
            return report
    raise AssertionError(f"never answered: {report}")


def planned(report: dict) -> bool:
    return report["status"] in ("converged", "feasible", "refined", "start")


def largest_jumps(trajectories: Sequence[JointTrajectory]) -> tuple[float, float]:
    """Largest steps in desired position [rad] and velocity [rad/s] from each trajectory to the next."""
    desired = Desired([])
    steps = [step for message in trajectories if (step := desired.add(message)) is not None]
    steps = [step for step in steps if len(step[0])]  # what came before the first of them is not known
    assert steps, "no trajectory took over from another"
    n = len(steps[0][0]) // 2
    differences = np.abs([after - before for before, after in steps])
    return float(differences[:, :n].max()), float(differences[:, n:].max())


def count(probe: Probe, status: str) -> int:
    """How often the node says that it met a status."""
    return int(probe.values().get(f"count_{status}", "0"))


def is_at(probe: Probe, status: str) -> bool:
    """Whether that is what the node says it is doing."""
    return probe.values().get("status") == status


def plans(probe: Probe) -> list[dict[str, Any]]:
    """Reports of motions, without refusals."""
    return [report for report in probe.reports if report["status"] != "refused"]


def refusal(probe: Probe, reason: str, goal: Sequence[float] | None = None) -> dict[str, Any] | None:
    """The report of a goal refused for a reason, if there is one."""
    found = [report for report in probe.reports if report.get("reason") == reason]
    if goal is not None:
        found = [report for report in found if report["goal"] is not None and np.allclose(report["goal"], goal)]
    return found[-1] if found else None


def calling(
    probe: Probe,
    kind: Any,
    name: str,
    request: Any,
    each: Callable[[], None] | None = None,
    just_before: Callable[[], None] | None = None,
) -> Any:
    """Calls a service and returns the response; `just_before` runs when nothing is left but to send the request."""
    client = probe.create_client(kind, name)
    try:
        probe.wait(client.service_is_ready, each=each)
        if just_before is not None:
            just_before()
        future = client.call_async(request)
        probe.wait(future.done, each=each)
        return future.result()
    finally:
        probe.destroy_client(client)


def cancel(probe: Probe, each: Callable[[], None] | None = None, **options: Any) -> Any:
    return calling(probe, Trigger, "planner/cancel", Trigger.Request(), each, **options)


def hold(probe: Probe, on: bool, each: Callable[[], None] | None = None, **options: Any) -> Any:
    return calling(probe, SetBool, "planner/hold", SetBool.Request(data=on), each, **options)


def change_state(probe: Probe, transition: str, each: Callable[[], None] | None = None, **options: Any) -> bool:
    """Asks for a transition as a lifecycle manager does. Returns whether it succeeded."""
    request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
    return bool(calling(probe, ChangeState, "planner/change_state", request, each, **options).success)


def lifecycle_state(probe: Probe) -> str:
    return str(calling(probe, GetState, "planner/get_state", GetState.Request()).current_state.label)


def own_task(folder: Path, name: str = "own.yaml", **sections: dict[str, Any]) -> Path:
    """A copy of the UR5's task file with other values in some sections."""
    data = yaml.safe_load(share_path("config/ur5.yaml").read_text())
    data["robot"]["urdf"] = str(share_path("urdf/ur5.urdf"))
    for section, values in sections.items():
        data[section] |= values
    path = folder / name
    path.write_text(yaml.safe_dump(data))
    return path


def resident_mib(pid: int) -> float:
    """Resident memory of a process [MiB]."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def monotonic_for(period: float) -> Callable[[], bool]:
    """A condition that holds once a time has passed: for what must not happen."""
    end = time.monotonic() + period
    return lambda: time.monotonic() >= end
