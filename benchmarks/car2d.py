"""The car of the authors' demonstration experiment: out of a U-shaped wall, around it, to the other side.

    python benchmarks/car2d.py [--samples 1024] [--steps 100] [--seeds 8] [--json benchmarks/results/car2d.json]

The task is that of `car2d` in LeCAR-Lab/model-based-diffusion, written again from its description: speeds of up to 3
m/s and 2.1 rad/s, 50 steps of 0.1 s; a step that would end in the wall is not taken; the reward of a step falls with
the squared distance from the goal and is 0 beyond 0.2 m. The demonstration is a polyline around the wall, which arrives
after four fifths of the time; `--demonstration FILE.npy` takes another one, such as the authors' (50 positions).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sobo_planner.sampling.chain import ChainSettings, run
from sobo_planner.sampling.demonstrations import Demonstration
from sobo_planner.solver import Guess
from sobo_planner.tasks.batch import BatchCosts, Reference

Array = NDArray[np.float64]

STEPS, DT, RADIUS = 50, 0.1, 0.3
START, GOAL = np.array([-0.5, 0.0, 1.5 * np.pi]), np.array([0.5, 0.0])
SPEED, TURN = 3.0, 2.0 * np.pi / 3.0
UPPER = [(x, 2) for x in (-3, -2, -1, 0)]
WALL = RADIUS * np.array([*UPPER, (0, 1), (0, 0), (0, -1), *((x, -y) for x, y in UPPER)], float)
AROUND = np.array([[-0.5, 0.0], [-1.5, 0.0], [-1.5, 1.2], [0.5, 1.2], [0.5, 0.0]])


class Car:
    """Samples are turning and driving at every step, (100,)."""

    def __init__(self) -> None:
        self.start = np.zeros(2 * STEPS)

    def drive(self, Y: Array) -> Array:
        """Positions and headings after each step of samples (N, 100): (N, T, 3)."""
        U = np.clip(Y.reshape(len(Y), STEPS, 2), -1.0, 1.0)
        at, out = np.tile(START, (len(U), 1)), np.empty((len(U), STEPS, 3))
        squares = (WALL**2).sum(axis=1) - RADIUS**2
        for t in range(STEPS):
            turn, drive = U[:, t, 0] * TURN, SPEED * U[:, t, 1]
            middle, end = at[:, 2] + 0.5 * DT * turn, at[:, 2] + DT * turn
            # Runge-Kutta of fourth order, which is Simpson's rule here: the heading does not depend on the position.
            along = [(f(at[:, 2]) + 4.0 * f(middle) + f(end)) / 6.0 for f in (np.sin, np.cos)]
            new = np.stack([at[:, 0] + DT * drive * along[0], at[:, 1] + DT * drive * along[1], end], axis=1)
            inside = ((squares - 2.0 * new[:, :2] @ WALL.T).min(axis=1) + (new[:, :2] ** 2).sum(axis=1)) < 0.0
            at = np.where(inside[:, None], at, new)
            out[:, t] = at
        return out

    def costs(self, Y: Array, threads: int = 1, reference: Reference | None = None) -> BatchCosts:
        """What is lacking in reward."""
        X, away = self.drive(Y), np.zeros(len(Y))
        if reference is not None:
            far = np.linalg.norm(X[:, :, :2] - reference.positions[:, :2], axis=2) / reference.reach
            away = (np.minimum(far, 1.0) ** 2).mean(axis=1)
        return BatchCosts(1.0 - rewards(X), np.zeros(len(Y)), away)

    def guess(self, y: Array) -> Guess:
        """The drive of one sample."""
        return Guess(np.vstack([START, self.drive(y[None])[0]]), y.reshape(STEPS, 2))


def rewards(X: Array) -> Array:
    """Mean rewards of drives (N, T, 3)."""
    distance = np.linalg.norm(X[:, :, :2] - GOAL, axis=2)
    return (1.0 - np.minimum(distance / 0.2, 1.0) ** 2).mean(axis=1)


def demonstration(file: Path | None = None) -> Demonstration:
    """A drive around the wall, and what it costs: that of a file, or the polyline."""
    P = _polyline() if file is None else np.hstack([np.load(file)[:, :2], np.zeros((STEPS, 1))])
    return Demonstration(Reference(P, reach=0.5), float(1.0 - rewards(P[None])[0]))


def _polyline() -> Array:
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(AROUND, axis=0), axis=1))])
    at = np.minimum(np.linspace(0.0, lengths[-1] / 0.8, STEPS + 1)[1:], lengths[-1])
    return np.stack([np.interp(at, lengths, AROUND[:, k]) for k in range(2)] + [np.zeros(STEPS)], axis=1)


def measure(settings: ChainSettings, seed: int, shown: Demonstration | None) -> dict[str, float]:
    """Reward and CPU time [s] of one plan."""
    began = time.process_time()
    chain = run(Car(), settings, np.random.default_rng(seed), demonstration=shown)
    return {"reward": 1.0 - chain.cost, "cpu_s": time.process_time() - began}


def main() -> None:
    """Plans with and without the demonstration, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--demonstration", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = ChainSettings(samples=options.samples, steps=options.steps, noise=0.63)
    found = {
        name: [measure(settings, seed, shown) for seed in range(options.seeds)]
        for name, shown in (("without", None), ("with a demonstration", demonstration(options.demonstration)))
    }
    print(f"reward of the demonstration itself: {1.0 - demonstration(options.demonstration).cost:.3f}")
    for name, rows in found.items():
        each = [row["reward"] for row in rows]
        print(
            f"{name}: reward {np.mean(each):.3f} (from {min(each):.3f} to {max(each):.3f}), "
            f"{np.mean([row['cpu_s'] for row in rows]):.2f} s of CPU time"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
