"""The goals of an hour for the planner node, in minutes: does it answer all of them, and does its memory stay bounded?

    python benchmarks/soak.py --minutes 60 --out benchmarks/results/soak.json

A minute counts as twelve goals; each is sent as soon as the previous one is answered. Some goals and joint states are
invalid; some goals are cancelled, some replaced. Then a second node replans at a fixed rate for a while, in real time,
with the simulated arm. Ends with status 1 if an answer is missing, or a node had an internal error or grew.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import tyro
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from sobo_planner.ros.demo.processes import Processes
from sobo_planner.ros.support import domain
from sobo_planner.tasks import load_arm

SECONDS_A_GOAL = 5.0
RELIABLE = QoSProfile(depth=50)
TIMEOUT = 60.0  # [s]
STATES_A_GOAL = 5
KINDS = {  # of goals, and their shares
    "good": 0.6,
    "bad state": 0.1,
    "not finite": 0.05,
    "out of reach": 0.05,
    "unknown frame": 0.05,
    "cancelled": 0.05,
    "replaced": 0.1,
}
SOLVER = 10.0  # [MiB] at once: a solver that is built when a goal first needs it, which happens once
WARM_UP = 0.2  # share of the time after which memory is compared: caches and windows are full by then


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        minutes: Time whose goals are sent one after the other to a node in mode plan_once [min].
        receding: Time for which another one replans at a fixed rate [min].
        rate: Its rate [Hz].
        seed: Of goals, starts and faults.
        growth: Memory that a node may gain after its warm-up, beside solvers that are built then [MiB].
        memory: Memory that a node may take [MiB].
        out: Where to store the results as JSON.
    """

    minutes: float = 60.0
    receding: float = 3.0
    rate: float = 50.0
    seed: int = 0
    growth: float = 10.0
    memory: float = 300.0
    out: Path | None = None


class Client:
    """The robot's and the user's side of the topics."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("soak")
        self.task = load_arm("ur5")
        self.states = self.node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        self.goals = self.node.create_publisher(PoseStamped, "goal_pose", RELIABLE)
        self.arm = AsyncParameterClient(self.node, "arm_simulator")
        self.cancels = self.node.create_client(Trigger, "planner/cancel")
        self.node.create_subscription(
            String, "plan_report", lambda m: self.reports.append(json.loads(m.data)), RELIABLE
        )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self.reports: list[dict[str, Any]] = []
        self.values: dict[str, str] = {}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "planner":
                self.values = {pair.key: pair.value for pair in status.values}

    def wait(self, condition: Callable[[], Any], each: Callable[[], None] = lambda: None) -> Any:
        """Spins until the condition holds. Raises TimeoutError."""
        end = time.monotonic() + TIMEOUT
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"nothing after {TIMEOUT} s; the last report is {self.reports[-1:]}")
            each()
            rclpy.spin_once(self.node, timeout_sec=0.01)
        return value

    def send_state(self, q: Any, spoilt: bool = False) -> None:
        """Publishes the arm at rest at q, or something that no robot would say."""
        position = [np.nan, *q[1:]] if spoilt else list(q)
        message = JointState(name=self.task.robot.joint_names, position=position, velocity=[0.0] * len(q))
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.states.publish(message)

    def send_goal(self, target: Any, frame: str = "base_link") -> None:
        message = PoseStamped()
        message.header.frame_id = frame
        point = message.pose.position
        point.x, point.y, point.z = (float(value) for value in target)
        message.pose.orientation.w = 1.0
        self.goals.publish(message)

    def answer(self, target: Any) -> dict[str, Any] | None:
        """The report of a goal; of one that could not be read if there is no target."""

        def about(goal: Any) -> bool:
            return goal is None if target is None else goal is not None and np.allclose(goal, target)

        answers = (report for report in self.reports if report["status"] != "braking" and about(report["goal"]))
        return next(answers, None)

    def put_back(self) -> None:
        """Puts the simulated arm at home."""
        home = Parameter("start_position", value=list(self.task.config.robot.home))
        self.wait(self.arm.set_parameters([home]).done)

    def next_diagnostics(self, each: Callable[[], None] = lambda: None) -> dict[str, str]:
        """The diagnostics that come next."""
        self.values = {}
        return dict(self.wait(lambda: self.values, each))

    def connect(self) -> None:
        self.wait(
            lambda: self.goals.get_subscription_count() and self.values.get("subscribers_plan_report", "0") != "0"
        )


def resident_mib(pid: int) -> float:
    """Resident memory of a process [MiB]."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def one_goal(client: Client, rng: np.random.Generator) -> list[str]:
    """One goal with what may be wrong around it, until everything is answered. Returns what the reports say."""
    instance = client.task.sample(rng)
    q, target, frame = instance.x0[: client.task.nu].tolist(), instance.target, "base_link"
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    if kind == "not finite":
        target = np.full(3, np.nan)
    elif kind == "out of reach":
        target = target + 10.0
    elif kind == "unknown frame":
        frame = "somewhere"
    client.reports.clear()
    for _ in range(STATES_A_GOAL):
        client.send_state(q)
        rclpy.spin_once(client.node, timeout_sec=0.0)
    client.send_state(q, spoilt=kind == "bad state")
    client.send_goal(target, frame)
    if kind == "replaced":
        # One is planned for meanwhile, the next one waits and is replaced by the last.
        first, second, target = target, client.task.sample(rng).target, client.task.sample(rng).target
        client.send_goal(second)
        client.send_goal(target)
        client.wait(lambda: client.answer(first) and client.answer(second), each=lambda: client.send_state(q))
    if kind == "cancelled":
        client.wait(client.cancels.call_async(Trigger.Request()).done)
    unread = kind in ("not finite", "unknown frame")
    client.wait(lambda: client.answer(None if unread else target), each=lambda: client.send_state(q))
    return [report["reason"] if report["status"] == "refused" else report["status"] for report in client.reports]


def verdict(name: str, memory: list[tuple[float, float]], values: dict[str, str], options: Options) -> dict[str, Any]:
    """Results of a node, and what is wrong with them."""
    steps = np.diff([mib for at, mib in memory if at >= WARM_UP * memory[-1][0]])
    growth, most = float(steps[steps < SOLVER].sum()), max(mib for _, mib in memory)
    problems = [f"grew by {growth:.1f} MiB"] if growth > options.growth else []
    if most > options.memory:
        problems.append(f"took {most:.1f} MiB")
    if int(values.get("count_INTERNAL_ERROR", "0")):
        problems.append(f"met a defect: {values.get('last_problem')}")
    counts = {key.removeprefix("count_"): int(n) for key, n in values.items() if key.startswith("count_") and int(n)}
    times = {key: float(ms) for key, ms in values.items() if "_ms_p" in key}
    return {
        "node": name,
        "minutes": [round(at, 2) for at, _ in memory],
        "memory_mib": [round(mib, 1) for _, mib in memory],
        "growth_mib": round(growth, 2),
        "plans": int(values["plans"]),
        "counts": counts,
        "times_ms": times,
        "problems": problems,
    }


def plan_once(client: Client, processes: Processes, options: Options) -> dict[str, Any]:
    """The hour of single plans."""
    pid = processes.start("plan_once", "sobo_planner.ros.planner_node")
    client.connect()
    rng, answers, memory = np.random.default_rng(options.seed), Counter[str](), []
    number = max(1, round(60.0 * options.minutes / SECONDS_A_GOAL))
    for i in range(number):
        answers.update(one_goal(client, rng))
        processes.check()
        if i % max(1, number // 60) == 0 or i == number - 1:
            memory.append(((i + 1) * SECONDS_A_GOAL / 60.0, resident_mib(pid)))
            print(f"{memory[-1][0]:6.1f} min  {memory[-1][1]:6.1f} MiB  {dict(answers)}", flush=True)
    out = verdict("plan_once", memory, client.next_diagnostics(), options)
    return {"goals": number, "answers": dict(answers), **out}


def receding_horizon(client: Client, processes: Processes, options: Options) -> dict[str, Any]:
    """Replanning with the simulated arm, a new goal every few seconds."""
    arguments = ["--ros-args", "-p", "mode:=receding_horizon", "-p", f"rate:={options.rate}"]
    client.values = {}
    pid = processes.start("receding_horizon", "sobo_planner.ros.planner_node", arguments)
    processes.start("arm", "sobo_planner.ros.arm_simulator_node")
    client.connect()
    rng, memory, goals, put_back = np.random.default_rng(options.seed), [], 0, 0
    client.wait(lambda: client.values.get("status") == "READY")
    began = time.monotonic()
    while (at := time.monotonic() - began) < 60.0 * options.receding:
        if at >= goals * SECONDS_A_GOAL:
            goals += 1
            client.send_goal(client.task.sample(rng).target)
            client.next_diagnostics()
            if any(report.get("reason") == "BAD_START" for report in client.reports):
                client.put_back()  # links touch, which a simulated arm does not feel: somebody moves it by hand
                put_back += 1
            client.reports.clear()
            processes.check()
            memory.append((at / 60.0, resident_mib(pid)))
            print(
                f"{memory[-1][0]:6.1f} min  {memory[-1][1]:6.1f} MiB  {client.values.get('plans')} motions", flush=True
            )
        rclpy.spin_once(client.node, timeout_sec=0.05)
    out = verdict("receding_horizon", memory, client.next_diagnostics(), options)
    seconds = time.monotonic() - began
    return {"goals": goals, "rate": options.rate, "seconds": seconds, "put_back": put_back, **out}


def run(options: Options) -> dict[str, Any]:
    """Both modes, each with a node of its own."""
    began, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        environment = domain.isolated_environment(folder)
        domain.apply(environment)
        rclpy.init()
        client = Client()
        nodes = []
        for mode in (plan_once, receding_horizon):
            with Processes(Path(folder), environment) as processes:
                nodes.append(mode(client, processes, options))
        client.node.destroy_node()
        rclpy.try_shutdown()
    return {
        "passed": not any(node["problems"] for node in nodes),
        "options": {key: value for key, value in asdict(options).items() if key != "out"},
        "nodes": nodes,
        "minutes": (time.monotonic() - began) / 60.0,
        "machine": {
            "processor": platform.machine(),
            "processors": os.cpu_count(),
            "load": load,
            "python": platform.python_version(),
            "rclpy": version("rclpy"),
            "libaligator": version("libaligator"),
        },
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    results = run(options)
    for node in results["nodes"]:
        print(
            f"{node['node']}: {node['goals']} goals, {node['plans']} plans, {node['growth_mib']} MiB, {node['counts']}"
        )
        for problem in node["problems"]:
            print(f"{node['node']} {problem}", file=sys.stderr)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(re.sub(r"(?<=[\d\[,])\s+(?=[\d\]])", " ", json.dumps(results, indent=1)) + "\n")
    return 0 if results["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
