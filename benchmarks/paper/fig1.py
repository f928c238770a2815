"""Figure 1 of arXiv:2604.19011: cost of the policy alone over the number of trajectories, for all methods.

No interplay: every policy learns from the first trajectories of a fixed dataset. All methods take the same number of
gradient steps of the same size with the same learning rate, and are evaluated on the same held-out instances.
"""

from __future__ import annotations

from experiment import arguments
from panels import Panel, run

#: First-order information by `jvp`, and by samples moved along the linearised closed loop.
METHODS = ("sob_diff", "sob_diff, augment", "diff", "sob_mlp", "mlp")
PANELS = (
    Panel(
        "single pendulum",
        "pendulum",
        (),
        {"smoke": (2,), "laptop": (1, 3, 5, 15, 30), "full": (1, 2, 3, 5, 10, 15, 30, 60)},
        {"smoke": 20, "laptop": 500, "full": 4000},
        (8, 31),
    ),
    Panel(
        "UR5(0, 0)",
        "ur5",
        (("r_init", 0), ("r_tgt", 0)),
        {"smoke": (2,), "laptop": (3, 5, 10, 20, 50, 100), "full": (3, 5, 10, 20, 50, 100, 200)},
        {"smoke": 10, "laptop": 1000, "full": 8000},
        (31, 8),
    ),
    Panel(
        "UR5(0, 1)",
        "ur5",
        (("r_init", 0), ("r_tgt", 1)),
        {"smoke": (2,), "laptop": (10, 20, 50, 100, 200), "full": (5, 10, 20, 50, 100, 200, 500)},
        {"smoke": 10, "laptop": 1500, "full": 8000},
        (31, 8),
    ),
    Panel(
        "quadrotor, no columns",
        "quadrotor",
        (("columns", 0), ("alpha", 1.0)),  # the task's alpha is for columns
        {"smoke": (2,), "laptop": (5, 10, 20, 50, 100), "full": (5, 10, 20, 50, 100, 200)},
        {"smoke": 10, "laptop": 1000, "full": 8000},
        (31, 16),
    ),
)


def main() -> None:
    """Runs all panels."""
    run("fig1", PANELS, METHODS, arguments(__doc__ or ""))


if __name__ == "__main__":
    main()
