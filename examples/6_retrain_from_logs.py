"""Retrain the UR5's policy on what a planner node has logged, so that it gets better where it is used.

    demo, the node records ─> sobo from-bag ─> sobo interplay --from-data --policy ─> sobo evaluate --instances-from

A simulated arm is brought to some goals over ROS 2 while the planner node records bags. What was logged is solved again
and becomes data; training goes on from the shipped policy with half of each batch from that data, half from the
policy's own rollouts anywhere, so that it keeps what it could do before. Both policies are then evaluated on the logged
instances and on others, and the commands print verdicts. A fifth of the logged instances is kept from training, for the
verdict of `sobo interplay`. It needs rclpy (extra `ros`) and rosbags (extra `bags`); docs/training.md tells more. Run
it from the repository, after `make build`:

    .venv/bin/python examples/6_retrain_from_logs.py                  # 15 minutes; writes out/examples/6_retraining.png
    .venv/bin/python examples/6_retrain_from_logs.py --bags my_bags   # with recordings of your own
    .venv/bin/python examples/6_retrain_from_logs.py --small          # a minute, to see that it runs
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sobo_planner.cli import main as sobo
from sobo_planner.paths import share_path

OUT = Path("out/examples")
SHIPPED = str(share_path("config/policies/ur5"))

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--bags", type=Path, help="recordings to learn from; the demo makes one if there are none")
parser.add_argument("--goals", type=int, default=60, help="goals of the demo")
parser.add_argument("--small", action="store_true", help="budgets of seconds")
arguments = parser.parse_args()
goals, instances, starts = ("1", "2", "1") if arguments.small else (str(arguments.goals), "50", "6")
budget = ["interplay.trajectories=[2]", "interplay.epochs=1"] if arguments.small else ["interplay.trajectories=[300]"]


def run(*words: str) -> None:
    """Runs one sub-command of `sobo`, as a shell would."""
    print(f"\n$ sobo {' '.join(words)}", flush=True)
    if status := sobo(list(words)):
        raise SystemExit(status)


def means(report: dict) -> list[float]:
    """Solver iterations without a policy and with it."""
    return [report["iterations"][name]["mean"] for name in ("cold", "warm")]


with tempfile.TemporaryDirectory() as name:
    bags, data, loop, report = (Path(name, part) for part in ("bags", "data", "loop", "report.json"))
    if arguments.bags is None:
        demo = ["--goals", goals, "--disturbed-goals", "0", "--out", f"{name}/demo", "--record", str(bags)]
        subprocess.run([sys.executable, "-m", "sobo_planner.ros.demo", *demo], check=True)
    else:
        bags = arguments.bags
    run("from-bag", str(bags), "--task", "ur5", "--out", str(data), "--starts", starts)
    settings = ["--set", "interplay.iterations=1", *budget, f"interplay.instances={instances}"]
    run("interplay", "ur5", "--from-data", str(data), "--policy", SHIPPED, "--out", str(loop), *settings)
    found = {}
    for label, policy in (("before", SHIPPED), ("after", str(loop / "policy"))):
        where = ["--instances-from", str(data), "-n", instances, "--starts", "0", "--json", str(report)]
        run("evaluate", "ur5", "--policy", policy, *where)
        both = json.loads(report.read_text())
        found[label] = {"logged": both["on_logged"], "anywhere": both}

# Solver iterations on the logged instances and on others: without a policy, with the shipped one, with the new one.
figure, axes = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
for i, where in enumerate(("logged", "anywhere")):
    (cold, before), (_, after) = means(found["before"][where]), means(found["after"][where])
    axes.bar(np.array([-0.25, 0.0, 0.25]) + i, [cold, before, after], 0.22, color=["0.7", "C0", "C1"])
for label, color in (("solver alone", "0.7"), ("policy before", "C0"), ("policy after", "C1")):
    axes.bar(0, 0, color=color, label=label)
axes.set(ylabel="solver iterations", title="Retrained on what was logged")
axes.set_xticks([0, 1], ["logged instances", "instances anywhere"])
axes.legend()

OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "6_retraining.png", dpi=110)
print(f"\npicture: {OUT / '6_retraining.png'}")
