"""Train a policy for a task: collect solutions, train, export, evaluate.

The task is the swing-up of a pendulum, which a policy learns from three trajectories: the solver's trajectories *and*
feedback gains are the training data (Sobolev training). The script calls the same commands as the command line, then
compares rollouts of the policy with the solver's solutions on instances that it was not trained on. It takes about a
minute; docs/training.md has the settings for real tasks. Run it from the repository, after `make build`:

    .venv/bin/python examples/3_train_a_policy.py                # writes out/examples/3_policy.png
    .venv/bin/python examples/3_train_a_policy.py --steps 20     # seconds, to see that it runs
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sobo_planner.cli import main as sobo
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollout
from sobo_planner.solver import Instance, Solver
from sobo_planner.tasks import load_task

OUT = Path("out/examples")

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--steps", type=int, default=500, help="gradient steps")
steps = parser.parse_args().steps


def run(*words: str) -> None:
    """Runs one sub-command of `sobo`, as a shell would."""
    print(f"\n$ sobo {' '.join(words)}", flush=True)
    if status := sobo(list(words)):
        raise SystemExit(status)


with tempfile.TemporaryDirectory() as name:
    data, trained, artifact, report = (str(Path(name, part)) for part in ("data", "run", "policy", "report.json"))
    run("collect", "pendulum", "--instances", "3", "--out", data)
    run("train", "pendulum", "--data", data, "--out", trained, "--method", "sob_diff", "--steps", str(steps))
    run("export", "--run", trained, "--out", artifact)
    run("evaluate", "pendulum", "--policy", artifact, "--instances", "20", "--starts", "0", "--json", report)
    rows = json.loads(Path(report).read_text())["rows"]
    task = load_task("pendulum")
    policy = Policy.load(artifact, task)

# Left: the first four held-out instances, the policy alone and the solver from interpolation. Right: all costs.
solver, time = Solver(task), task.dt * np.arange(task.horizon + 1)
figure, (angles, costs) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained", width_ratios=(1.5, 1.0))
for i, row in enumerate(rows[:4]):
    instance = Instance(np.array(row["x0"]), np.array(row["target"]))
    guess = rollout(task, policy, instance, rng=np.random.default_rng(0))
    [start] = task.starts(instance, 1, np.random.default_rng(0))
    angles.plot(time, solver.solve(instance, start).X[:, 0], color=f"C{i}", linewidth=4, alpha=0.35)
    angles.plot(time, guess.X[:, 0], color=f"C{i}", linewidth=1.5)
for upright in (0.0, 2.0 * np.pi):  # the same posture
    angles.axhline(upright, color="0.5", linestyle=":")
angles.set(xlabel="time [s]", ylabel="angle from upright [rad]", title="Policy alone (thin), solver (wide)")
angles.grid(alpha=0.3)

solved = [row for row in rows if row["interpolation"]["status"] == "converged"]
best = np.array([row["interpolation"]["cost"] for row in solved])
for kind, marker, label in (("policy", "o", "policy alone"), ("refined", "x", "policy, then solver")):
    costs.plot(best, [row[kind]["cost"] for row in solved], marker, label=label)
costs.plot([best.min(), best.max()], [best.min(), best.max()], color="0.5", linestyle="--", label="equal")
costs.set(xlabel="cost of the solver's solution", ylabel="cost", title="20 instances not trained on")
costs.grid(alpha=0.3)
costs.legend()

OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "3_policy.png", dpi=110)
print(f"\npicture: {OUT / '3_policy.png'}")
