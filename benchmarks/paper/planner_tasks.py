"""What `all_planners.py` compares: tasks, planners, and what each of them may spend on learning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
#: Test instances, the same for all planners and seeds.
INSTANCES = {"smoke": 2, "laptop": 50, "full": 100}
#: Starts of the planner that takes the cheapest of several solutions.
STARTS = {"smoke": 2, "laptop": 6, "full": 6}

#: Planners by what they need before they plan; the first is the same with every seed.
UNTRAINED = ("solver", "starts", "mbd")
FROM_DATA = ("diff", "sob_diff", "mlp", "sob_mlp")
CONSENSUS = "PLAL+S"
MODEL_FREE = ("PPO", "SAC")
METHODS = (*UNTRAINED, *FROM_DATA, CONSENSUS, *MODEL_FREE)


@dataclass(frozen=True)
class Budget:
    """What every method may spend on learning.

    Methods that learn from the solver have the same number of instances, the same starts for each, and the same number
    of gradient steps of the same size. PPO and SAC have neither: they have simulator calls, and take all of them.

    Attributes:
        instances: Instances that the solver solves for them.
        starts: Starts of each, the cheapest solution kept.
        updates: Gradient steps in all.
        batch: Samples in each.
        steps: Steps of PLAL+S, which share the gradient steps.
        ppo: Simulator calls of PPO.
        sac: Simulator calls of SAC, which takes a gradient step with each.
        hidden: Units of each hidden layer of PLAL+S.
        alpha: Weight of the first-order term of PLAL+S.
    """

    instances: int
    starts: int
    updates: int
    batch: int = 128
    steps: int = 6
    ppo: int = 100_000
    sac: int = 25_000
    hidden: tuple[int, ...] = (128, 128)
    alpha: float = 0.1


@dataclass(frozen=True)
class PlannedTask:
    """One task of the comparison.

    Attributes:
        title: Name in tables.
        file: Task file.
        overrides: Keys of its configuration that differ, as pairs.
        budgets: What may be spent on it, by scale.
    """

    title: str
    file: str
    overrides: tuple[tuple[str, Any], ...]
    budgets: dict[str, Budget]


def budgets(laptop: Budget) -> dict[str, Budget]:
    """Budgets of all scales: next to nothing, what is given, and four times as much."""
    smoke = Budget(2, 1, 10, 8, steps=2, ppo=60, sac=120, hidden=(8,), alpha=laptop.alpha)
    most = replace(
        laptop,
        instances=4 * laptop.instances,
        updates=4 * laptop.updates,
        steps=2 * laptop.steps,
        ppo=4 * laptop.ppo,
        sac=4 * laptop.sac,
    )
    return {"smoke": smoke, "laptop": laptop, "full": most}


TASKS = {
    "lqr": PlannedTask("LQR", "lqr", (), budgets(Budget(30, 1, 3000))),
    "pendulum": PlannedTask("pendulum", "pendulum", (), budgets(Budget(20, 4, 3000))),
    "pendulum-8nm": PlannedTask(
        "pendulum, 8 Nm", "pendulum", (("problem.torque_limit", 8.0),), budgets(Budget(20, 4, 3000))
    ),
    "double-pendulum": PlannedTask("double pendulum", "double_pendulum", (), budgets(Budget(60, 6, 4000))),
    "quadrotor": PlannedTask("quadrotor, 3 columns", "quadrotor", (), budgets(Budget(200, 4, 3000))),
    "ur5-01": PlannedTask("UR5(0, 1)", "ur5", (("r_init", 0), ("r_tgt", 1)), budgets(Budget(100, 4, 3000, alpha=0.01))),
    "ur5-11": PlannedTask("UR5(1, 1)", "ur5", (("r_init", 1), ("r_tgt", 1)), budgets(Budget(200, 4, 3000, alpha=0.01))),
}
#: Tasks by scale, where none are named.
DEFAULT_TASKS = {"smoke": ("lqr",), "laptop": tuple(TASKS), "full": tuple(TASKS)}
