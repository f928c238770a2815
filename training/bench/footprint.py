"""Memory and start-up cost of the run-time process, measured on fresh processes from outside this one.

The processes:

    planner  a Python process that loads the task and the policy, then plans once
    node     planner_node over real ROS 2 topics, up to its first plan; only where rclpy can be imported
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sobo_training.bench.options import BenchOptions, NotMeasured
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.statistics import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sobo_planner.tasks import ArmReach

#: Targets of the run-time process: upper bounds.
TARGETS = {"rss_mb": 300.0, "ready_cpu_s": 3.0}
TIMEOUT = 60.0  # [s] for anything that should take a few seconds
MOST_STARTS = 3

PLANNER = """
import sys, time
from sobo_planner.planning.planner import Planner
from sobo_planner.policy import Policy
from sobo_planner.tasks import load_arm

task = load_arm(sys.argv[1])
planner = Planner(task, Policy.load(sys.argv[2], task) if sys.argv[2] else None)
print("ready", flush=True)
sys.stdin.readline()
numbers = [float(text) for text in sys.argv[3:]]
planner.plan(numbers[:task.nx], numbers[task.nx:])
print("planned", flush=True)
sys.stdin.readline()
"""


def cpu_seconds(pid: int) -> float:
    """CPU time of a process since its start, all threads, user and system [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, name: str = "VmRSS") -> float:
    """Resident memory of a process [MB], or its peak (`VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise NotMeasured(f"/proc/{pid}/status has no {name}")


def write_task(task: ArmReach, folder: Path) -> Path:
    """The task with its overrides as a task file, so that another process loads the same."""
    config = asdict(task.config)
    config["robot"]["urdf"] = str(task.robot.path)
    path = folder / f"{task.name}.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config))), encoding="utf-8")
    return path


@contextmanager
def started(command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in a file, ended with SIGINT on leaving."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the condition holds.

    Raises:
        NotMeasured: The process ended, or it took too long; the message holds the end of its output.
    """
    end = time.monotonic() + TIMEOUT
    while not condition():
        ended = process.poll() is not None
        if ended or time.monotonic() > end:
            tail = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
            what = f"ended with status {process.returncode}" if ended else f"was not ready after {TIMEOUT:.0f} s"
            raise NotMeasured(f"the process {what}: {tail[0]}")
        time.sleep(0.01)


def sample_planner(task_file: Path, folder: Path | None, state: Sequence[str]) -> dict[str, float]:
    """One start of a Python process with a `Planner`, and one plan."""
    log = task_file.with_name("planner.log")
    command = [sys.executable, "-c", PLANNER, str(task_file), str(folder or ""), *state]
    began = time.perf_counter()
    with started(command, log, {}) as process:
        assert process.stdin is not None
        wait_for(lambda: "ready" in log.read_text(errors="replace").split(), process, log)
        figures = {"ready_wall_s": time.perf_counter() - began, **_when_ready(process.pid)}
        process.stdin.write(b"\n")
        process.stdin.flush()
        wait_for(lambda: "planned" in log.read_text(errors="replace").split(), process, log)
        return figures | _when_planned(process.pid)


def sample_node(task_file: Path, folder: Path | None, state: Sequence[str]) -> dict[str, float]:
    """One start of planner_node in a ROS domain of its own, and one plan asked for over topics."""
    from sobo_planner.ros.support import domain

    log = task_file.with_name("node.log")
    environment = domain.isolated_environment(str(task_file.parent / "ros"))
    parameters = ["-p", f"task:={task_file}", "-p", f"policy:={folder or 'none'}"]
    command = [sys.executable, "-m", "sobo_planner.ros.planner_node", "--ros-args", *parameters]
    began = time.perf_counter()
    with ExitStack() as stack:
        node = stack.enter_context(started(command, log, environment))
        wait_for(lambda: ": ready" in log.read_text(errors="replace"), node, log)
        figures = {"ready_wall_s": time.perf_counter() - began, **_when_ready(node.pid)}
        said = log.read_text(errors="replace").strip()
        if f"policy {folder or 'none'}: configured" not in said:
            raise NotMeasured(f"planner_node runs without the policy: {said}")
        client_log = task_file.with_name("client.log")
        client = [sys.executable, "-m", "sobo_planner.ros.one_plan", str(task_file), *state]
        asking = stack.enter_context(started(client, client_log, environment))
        wait_for(lambda: "planned" in client_log.read_text(errors="replace").split(), asking, client_log)
        return figures | _when_planned(node.pid)


def _when_ready(pid: int) -> dict[str, float]:
    return {"ready_cpu_s": cpu_seconds(pid), "ready_rss_mb": memory_mb(pid)}


def _when_planned(pid: int) -> dict[str, float]:
    return {
        "planned_cpu_s": cpu_seconds(pid),
        "rss_mb": memory_mb(pid),
        "peak_rss_mb": memory_mb(pid, "VmHWM"),
    }


def measure(task: ArmReach, folder: Path | None, options: BenchOptions) -> dict[str, Any]:
    """Starts each process a few times; a kind that cannot run is None, with its reason in `skipped`.

    Raises:
        NotMeasured: Not on Linux.
    """
    if not Path("/proc/self/status").exists():
        raise NotMeasured("memory and CPU time of other processes are read from /proc, which is not here")
    instance, _ = draw(task, Stream.EVALUATE, options.seed, 0)
    state = [repr(float(number)) for number in [*instance.x0, *instance.target]]
    starts = min(options.rounds, MOST_STARTS)
    out: dict[str, Any] = {"starts": starts, "targets": TARGETS, "planner": None, "node": None, "skipped": {}}
    samplers = {"planner": sample_planner, "node": sample_node}
    if importlib.util.find_spec("rclpy") is None:
        out["skipped"]["node"] = "rclpy is not installed here"
        del samplers["node"]
    with tempfile.TemporaryDirectory(prefix="sobo-bench-", ignore_cleanup_errors=True) as temporary:
        task_file = write_task(task, Path(temporary))
        for kind, sampler in samplers.items():
            try:
                samples = [sampler(task_file, folder, state) for _ in range(starts)]
            except NotMeasured as reason:
                out["skipped"][kind] = str(reason)
                continue
            figures: dict[str, Any] = {name: summarise([each[name] for each in samples]) for name in samples[0]}
            within = all(figures[name]["median"] < target for name, target in TARGETS.items())
            out[kind] = figures | {"within_targets": within}
    return out
