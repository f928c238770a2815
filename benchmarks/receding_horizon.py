"""Receding horizon on real topics: the rate that the node achieves, its latency, and the deadlines that it misses.

Starts the planner node and the simulated arm as processes in a ROS domain of their own and sends a new goal every few
seconds, whether the arm moves or not. Latencies are those that the node reports of each motion: from the arrival of the
joint state to the publication of the trajectory; intervals are those between their stamps. Run it as

    python benchmarks/receding_horizon.py --minutes 10 --engine onnxruntime

Results: benchmarks/results/receding_horizon_<engine>.json and a table on standard output.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import tyro
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tqdm import tqdm

from sobo_planner.errors import TaskError
from sobo_planner.ros.demo.processes import Processes
from sobo_planner.ros.support import domain
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach, load_arm

REFUSED = "refused"
PERCENTILES = (50, 90, 99)
#: Goals that the system gets to begin with.
WARM_GOALS = 60
DRAIN = 0.2  # [s] that are enough to take the reports of some seconds
LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True)
class Config:
    """Measures the planner node in mode receding_horizon beside the simulated arm."""

    minutes: float = 10.0
    """How long to measure."""
    rate: float = 100.0
    """Cycles a second to ask for."""
    engine: str = "onnxruntime"
    """Engine of the policy's network: native, onnxruntime or tensorrt."""
    goal_every: float = 3.0
    """Time between two goals [s]."""
    seed: int = 0
    """Seed of the goals."""
    task: str = "ur5"
    """Task name, or path of a task YAML file."""
    out: Path = Path("benchmarks/results")
    """Folder of the result."""


class Listener(Node):
    """Sends goals and keeps the node's reports of its motions, and nothing else, to take as little time as possible."""

    def __init__(self, task: ArmReach) -> None:
        super().__init__("receding_horizon_benchmark")
        self.task = task
        self.state: JointState | None = None
        self.reports: list[dict[str, Any]] = []
        self.diagnostics: dict[str, str] = {}
        self.goals = self.create_publisher(PoseStamped, "goal_pose", QoSProfile(depth=1))
        self.create_subscription(JointState, "joint_states", self._on_state, LATEST)
        self.create_subscription(String, "plan_report", self._on_report, QoSProfile(depth=2000))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def _on_state(self, message: JointState) -> None:
        self.state = message

    def _on_report(self, message: String) -> None:
        self.reports.append(json.loads(message.data))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "planner":
                self.diagnostics = {pair.key: pair.value for pair in status.values}

    def spin_until(self, end: float) -> None:
        """Takes messages until a monotonic time."""
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.1))

    def rest_until(self, end: float) -> None:
        """Leaves the processors to node and arm, and takes what has come at the end."""
        time.sleep(max(end - DRAIN - time.monotonic(), 0.0))
        self.spin_until(end)

    def wait_for_system(self) -> None:
        """Waits until joint states arrive here and at the planner."""
        end = time.monotonic() + 60.0
        while self.state is None or not self.diagnostics.get("state_age_s"):
            if time.monotonic() > end:
                raise SystemExit("planner and simulated arm did not come up within 60 s")
            self.spin_until(time.monotonic() + 0.1)

    def send_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Sends a random goal that can be reached from where the arm is. Returns it."""
        assert self.state is not None
        x = np.array([*self.state.position, *np.zeros(self.task.nu)])
        while True:
            target = self.task.sample(rng).target
            try:
                self.task.goal_configuration(Instance(x, target))
                break
            except TaskError:
                continue
        goal = PoseStamped()
        goal.header.frame_id = self.task.robot.root_link
        goal.pose.orientation.w = 1.0
        goal.pose.position.x, goal.pose.position.y, goal.pose.position.z = map(float, target)
        self.goals.publish(goal)
        return target

    def error(self, target: np.ndarray) -> float:
        """Distance of the tool from a target [m]."""
        assert self.state is not None
        return float(np.linalg.norm(self.task.robot.tool_position(self.state.position) - target))


def wait_for_motions(config: Config, listener: Listener, rng: np.random.Generator) -> None:
    """Sends goals until motions come in: the first cycles load what they need, and a busy machine delays states."""
    for _ in range(WARM_GOALS):
        listener.reports.clear()
        listener.send_goal(rng)
        listener.spin_until(time.monotonic() + config.goal_every)
        if sum(report["status"] != REFUSED for report in listener.reports) > 10 * config.goal_every:
            listener.reports.clear()
            return
    last = listener.reports[-1] if listener.reports else {}
    raise SystemExit(f"no motions within {WARM_GOALS} goals; the last report: {last.get('detail') or last}")


def measure(config: Config, listener: Listener, pids: dict[str, int]) -> dict[str, Any]:
    """Sends goals for the time asked for, and sums up what the node reported."""
    rng = np.random.default_rng(config.seed)
    listener.wait_for_system()
    wait_for_motions(config, listener, rng)
    before, cpu = dict(listener.diagnostics), {name: cpu_seconds(pid) for name, pid in pids.items()}
    errors, began = [], time.monotonic()
    for i in tqdm(range(round(60 * config.minutes / config.goal_every)), desc="goals", unit="goal"):
        target = listener.send_goal(rng)
        listener.rest_until(began + (i + 1) * config.goal_every)
        errors.append(listener.error(target))
    seconds = time.monotonic() - began
    reports = list(listener.reports)
    listener.spin_until(time.monotonic() + 1.5)  # one more line of diagnostics
    used = {name: (cpu_seconds(pid) - cpu[name]) / seconds for name, pid in pids.items()}
    listener.reports = reports
    return summary(listener, before, errors, seconds, used)


def summary(
    listener: Listener, before: dict[str, str], errors: list[float], seconds: float, used: dict[str, float]
) -> dict[str, Any]:
    """Figures of one measurement."""
    motions = [report for report in listener.reports if report["status"] != REFUSED]
    if not motions:
        raise SystemExit(f"no motion came in while measuring, of {len(listener.reports)} reports")
    phases = {name: [report["phases_ms"].get(name, 0.0) for report in motions] for name in motions[0]["phases_ms"]}
    counts = {
        key.removeprefix("count_"): int(value) - int(before.get(key, 0))
        for key, value in listener.diagnostics.items()
        if key.startswith("count_") and value != before.get(key)
    }
    stamps = [1e3 * report["stamp"]["sec"] + 1e-6 * report["stamp"]["nanosec"] for report in motions]
    return {
        "seconds": seconds,
        "motions": len(motions),
        "achieved_rate_hz": len(motions) / seconds,
        "interval_ms": percentiles(np.diff(stamps)),
        "phases_ms": {name: percentiles(values) for name, values in phases.items()},
        "counts": counts,
        "sources": {s: sum(r["source"] == s for r in motions) for s in {r["source"] for r in motions}},
        "refined_share": float(np.mean([report["status"] == "refined" for report in motions])),
        "goals": len(errors),
        "goals_refused": len(listener.reports) - len(motions),
        "within_1cm": int(np.sum(np.array(errors) < 0.01)),
        "error_m": percentiles(errors),
        "cores_used": used,
    }


def percentiles(values: Any) -> dict[str, float]:
    """Median, 90th and 99th percentile, and the largest."""
    return {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES} | {"max": float(np.max(values))}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """What it ran on."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    packages = {name: version(name) for name in ("numpy", "libaligator", "libpinocchio", "onnxruntime")}
    # Of this process, and so of those that it starts: 0 without `chrt`.
    how = {"load": os.getloadavg()[0], "real_time_priority": os.sched_getparam(0).sched_priority}
    return {"cpu": names[0].split(": ")[1] if names else platform.machine(), "cores": os.cpu_count()} | how | packages


def print_table(result: dict[str, Any]) -> None:
    """The figures that matter."""
    counts, seconds = result["counts"], result["seconds"]
    missed = counts.get("DEADLINE_MISSED", 0)
    print(f"\nachieved rate {result['achieved_rate_hz']:.1f} Hz over {seconds:.0f} s, {missed} deadlines missed")
    for name, figures in {"interval": result["interval_ms"], **result["phases_ms"]}.items():
        print(f"{name:>20} [ms]  " + "  ".join(f"{key} {value:8.2f}" for key, value in figures.items()))
    print(f"goals within 1 cm after their time: {result['within_1cm']} of {result['goals']}; counts: {counts}")


def main() -> int:
    """Runs the measurement. Returns the exit status."""
    config = tyro.cli(Config, description=__doc__)
    with tempfile.TemporaryDirectory() as logs:
        environment = domain.isolated_environment(logs)
        domain.apply(environment)
        task = load_arm(config.task)
        with Processes(Path(logs), environment) as processes:
            common = ["--ros-args", "-p", f"task:={config.task}"]
            settings = ["mode:=receding_horizon", f"rate:={config.rate}", f"engines:={config.engine}"]
            words = [word for setting in settings for word in ("-p", setting)]
            pids = {
                "planner": processes.start("planner", "sobo_planner.ros.planner_node", common + words),
                "simulated arm": processes.start("arm_simulator", "sobo_planner.ros.arm_simulator_node", common),
            }
            rclpy.init()
            listener = Listener(task)
            try:
                result = measure(config, listener, pids)
            finally:
                listener.destroy_node()
                rclpy.try_shutdown()
    settings_used = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
    path = config.out / f"receding_horizon_{config.engine}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"config": settings_used, "machine": machine(), **result}, indent=2) + "\n")
    print_table(result)
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
