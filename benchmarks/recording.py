"""What recording costs a receding horizon, and what is left of a recording whose node is killed.

    python benchmarks/recording.py --minutes 10 --kills 20

Cycles: one planner node with the simulated arm, which records in every second turn of 2 s (recording_node.py), so that
both kinds of cycles have the same process and the same load of the computer. Times are those that the node reports of
each motion. Kills: a node that records at the same rate is killed (SIGKILL) at a random moment, and its bag is read by
rosbags and by mcap (pip install mcap), every message decoded.

Results: benchmarks/results/recording.json and a table on standard output. Ends with status 1 if a message was dropped,
or a bag cannot be read or lacks more than a second.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import tyro
from diagnostic_msgs.msg import DiagnosticArray
from mcap.reader import SeekingReader
from receding_horizon import REFUSED, Listener, machine, percentiles
from recording_node import TURN, records
from rosbags.highlevel import AnyReader
from tqdm import tqdm

from sobo_planner.ros.demo.processes import Processes
from sobo_planner.ros.support import domain
from sobo_planner.tasks import ArmReach, load_arm

PLANNER, SIMULATOR = "sobo_planner.ros.planner_node", "sobo_planner.ros.arm_simulator_node"
ANSWERS_WITHIN = 60.0  # [s]
SETTLES = 6.0  # [s] that are not counted: the first cycles load what they need
CHANGES = 0.1  # [s] at both ends of a turn that are not counted
PHASES = ("total", "state_to_trajectory")


@dataclass(frozen=True)
class Config:
    """Measures a planner node in mode receding_horizon with and without a recording."""

    minutes: float = 10.0
    """How long to measure with, and as long without."""
    kills: int = 20
    """How often a node is killed."""
    rate: float = 100.0
    """Cycles a second to ask for."""
    goal_every: float = 3.0
    """Time between two goals [s]."""
    seed: int = 0
    """Seed of the goals and of the moments of the kills."""
    task: str = "ur5"
    """Task name, or path of a task YAML file."""
    out: Path = Path("benchmarks/results/recording.json")
    """File of the result."""


class Nodes(Listener):
    """A listener that tells several planner nodes apart."""

    def __init__(self, task: ArmReach) -> None:
        super().__init__(task)
        self.by_node: dict[str, dict[str, str]] = {}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.by_node[status.name] = {pair.key: pair.value for pair in status.values}

    def until(self, condition: Any, what: str) -> Any:
        """Takes messages until a condition holds; returns its value."""
        end = time.monotonic() + ANSWERS_WITHIN
        while not (value := condition()):
            if time.monotonic() > end:
                raise SystemExit(f"nothing after {ANSWERS_WITHIN:g} s: {what}")
            self.spin_until(time.monotonic() + 0.02)
        return value

    def serve(self, rng: np.random.Generator, seconds: float, every: float) -> None:
        """Sends goals for a time."""
        began = time.monotonic()
        for i in range(max(round(seconds / every), 1)):
            self.send_goal(rng)
            self.rest_until(began + (i + 1) * every)


def words(config: Config, node: str, **parameters: Any) -> list[str]:
    """Arguments of a planner node."""
    given = {"task": config.task, "mode": "receding_horizon", "rate": config.rate, **parameters}
    pairs = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    return ["--ros-args", "-r", f"__node:={node}", *pairs]


# ---------------------------------------------------------------- cycles


def compare(config: Config, nodes: Nodes, processes: Processes, folder: Path) -> dict[str, Any]:
    """Lets a node record in every second turn. Returns the figures of both kinds of cycles."""
    rng, bags = np.random.default_rng(config.seed), folder / "bags"
    pid = processes.start("planner", "recording_node", words(config, "planner", record=bags, record_total_size=1024))
    nodes.until(lambda: nodes.by_node.get("planner", {}).get("state_age_s"), "joint states do not arrive")
    nodes.serve(rng, SETTLES, config.goal_every)
    nodes.reports.clear()
    memory, values = [resident_mib(pid)], {}
    for _ in tqdm(range(max(round(2 * config.minutes), 1)), desc="minutes", unit="min"):
        nodes.serve(rng, min(60.0, 120.0 * config.minutes), config.goal_every)
        nodes.until(lambda: records(time.time()) and nodes.by_node["planner"].get("recording"), "it does not record")
        memory.append(resident_mib(pid))
        values = dict(nodes.by_node["planner"])
    motions = [report for report in nodes.reports if report["status"] != REFUSED]
    turns = by_turn(motions)
    return {
        "seconds": 60.0 * config.minutes,
        **{name: summary(turns[name]) for name in turns},
        "p99_ratio": ratio(turns),
        "deadlines_missed": int(values["count_DEADLINE_MISSED"]),
        "messages": int(values["recording_messages"]),
        "dropped": int(values["recording_dropped"]),
        "problem": values["recording_problem"],
        "bag_mb": 1e-6 * sum(file.stat().st_size for file in bags.rglob("*.mcap")),
        "memory_mib": memory,
    }


Turns = dict[int, dict[str, list[float]]]


def by_turn(motions: list[dict[str, Any]]) -> dict[str, Turns]:
    """Times of the cycles [ms] by turn, with and without recording; without those next to a change."""
    turns: dict[str, Turns] = {"recording": {}, "not recording": {}}
    stamps = [report["stamp"]["sec"] + 1e-9 * report["stamp"]["nanosec"] for report in motions]
    for report, before, stamp in zip(motions[1:], stamps, stamps[1:], strict=False):
        if CHANGES <= stamp % TURN <= TURN - CHANGES:
            kind = turns["recording" if records(stamp) else "not recording"]
            of_turn = kind.setdefault(int(stamp / TURN), {name: [] for name in (*PHASES, "interval")})
            for name in PHASES:
                of_turn[name].append(report["phases_ms"][name])
            of_turn["interval"].append(1e3 * (stamp - before))
    return turns


def pooled(turns: Turns, name: str, chosen: Any = None) -> np.ndarray:
    """The times of all turns, or of those chosen, together."""
    values = [turns[turn][name] for turn in (sorted(turns) if chosen is None else chosen)]
    return np.concatenate(values)


def summary(turns: Turns) -> dict[str, Any]:
    """Figures of one kind of cycles."""
    figures = {name: percentiles(pooled(turns, name)) for name in (*PHASES, "interval")}
    return {"cycles": len(pooled(turns, "total")), "times_ms": figures}


def ratio(turns: dict[str, Turns]) -> dict[str, dict[str, float]]:
    """Ratios of 99th percentiles with 95 % intervals, by bootstrap over pairs of turns that follow each other."""
    first, second = turns["recording"], turns["not recording"]
    pairs = np.array([(turn, turn + 1) for turn in first if turn + 1 in second])
    rng, out = np.random.default_rng(0), {}
    for name in (*PHASES, "interval"):

        def of(chosen: np.ndarray, name: str = name) -> float:
            return float(
                np.percentile(pooled(first, name, chosen[:, 0]), 99)
                / np.percentile(pooled(second, name, chosen[:, 1]), 99)
            )

        low, high = np.percentile(
            [of(pairs[rng.integers(len(pairs), size=len(pairs))]) for _ in range(1000)], (2.5, 97.5)
        )
        out[name] = {"ratio": of(pairs), "low": float(low), "high": float(high)}
    return out


# ---------------------------------------------------------------- kills


def kill(config: Config, nodes: Nodes, processes: Processes, folder: Path, number: int) -> dict[str, Any]:
    """Kills a node that records, and reads its bag."""
    rng = np.random.default_rng((config.seed, number))
    name, bags = f"killed_{number}", folder / f"killed_{number}"
    pid = processes.start(name, PLANNER, words(config, name, record=bags))
    nodes.until(lambda: nodes.by_node.get(name, {}).get("state_age_s"), f"{name} hears no joint states")
    nodes.reports.clear()
    nodes.serve(rng, 3.0, config.goal_every)
    nodes.spin_until(time.monotonic() + rng.uniform(0.0, 1.5))
    published = nodes.reports[-1]["stamp"]
    killed = time.time_ns()
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    nodes.spin_until(time.monotonic() + 0.1)
    [bag] = bags.iterdir()
    found = read(bag)
    last = 1e-9 * (killed - found["last"])
    return {**found, "missing_s": last, "plans_to_s": 1e-9 * killed - published["sec"] - 1e-9 * published["nanosec"]}


def read(bag: Path) -> dict[str, Any]:
    """Reads a bag with both libraries; what cannot be read is told."""
    try:
        with AnyReader([bag]) as reader:
            times = []
            for connection, moment, raw in reader.messages():
                reader.deserialize(raw, connection.msgtype)
                times.append(moment)
        by_mcap = 0
        for path in sorted(bag.glob("*.mcap")):
            with path.open("rb") as file:
                by_mcap += sum(1 for _ in SeekingReader(file, validate_crcs=True).iter_messages())
    except Exception as error:  # whatever goes wrong is a bag that cannot be read
        return {"messages": 0, "last": 0, "problem": f"{type(error).__name__}: {error}"}
    problem = "" if by_mcap == len(times) else f"mcap reads {by_mcap} messages, rosbags {len(times)}"
    return {"messages": len(times), "last": max(times), "problem": problem}


# ---------------------------------------------------------------- all


def resident_mib(pid: int) -> float:
    """Resident memory of a process [MiB]."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


@contextmanager
def system(config: Config, folder: Path) -> Iterator[tuple[Nodes, Processes]]:
    """A ROS domain with a simulated arm."""
    environment = domain.isolated_environment(str(folder))
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    domain.apply(environment)
    with Processes(folder, environment) as processes:
        processes.start("arm_simulator", SIMULATOR, ["--ros-args", "-p", f"task:={config.task}"])
        rclpy.init()
        nodes = Nodes(load_arm(config.task))
        try:
            nodes.until(lambda: nodes.state, "the simulated arm does not come up")
            yield nodes, processes
        finally:
            nodes.destroy_node()
            rclpy.try_shutdown()


def print_table(result: dict[str, Any]) -> None:
    """The figures that matter."""
    if cycles := result["cycles"]:
        for kind in ("recording", "not recording"):
            for name, figures in cycles[kind]["times_ms"].items():
                print(f"{kind:>14} {name:>20} [ms]  " + "  ".join(f"{k} {value:8.2f}" for k, value in figures.items()))
        for name, figures in cycles["p99_ratio"].items():
            print(f"p99 of {name}, recording / not: " + "{ratio:.3f} ({low:.3f} to {high:.3f})".format(**figures))
        print(f"{cycles['messages']} messages, {cycles['dropped']} dropped, memory [MiB]: {cycles['memory_mib']}")
    if kills := result["kills"]:
        readable = [each for each in kills if not each["problem"]]
        missing = max((each["missing_s"] for each in readable), default=0.0)
        print(f"killed {len(kills)} times: {len(readable)} bags readable, at most {missing:.2f} s missing")


def main() -> int:
    """Runs the measurement. Returns the exit status."""
    config = tyro.cli(Config, description=__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with system(config, folder) as (nodes, processes):
            cycles = compare(config, nodes, processes, folder) if config.minutes else {}
        with system(config, folder) as (nodes, processes):
            numbers = tqdm(range(config.kills), desc="kills", unit="kill")
            kills = [kill(config, nodes, processes, folder, number) for number in numbers]
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
    result = {"config": settings, "machine": machine(), "cycles": cycles, "kills": kills}
    config.out.parent.mkdir(parents=True, exist_ok=True)
    config.out.write_text(json.dumps(result, indent=1) + "\n")
    print_table(result)
    print(f"written: {config.out}")
    failed = cycles.get("dropped", 0) or any(each["problem"] or each["missing_s"] > 1.0 for each in kills)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
