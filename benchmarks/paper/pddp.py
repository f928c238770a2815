"""Sample efficiency of direct policies as in arXiv:2209.09006 (PDDP), and the iterations that they save the solver.

An MLP predicts the controls of each step (`mlp`), or is also trained on the feedback gains (`sob_mlp`: stochastic
Sobolev training, PDDP+S). The constrained LQR is convex: there the solver's cost is the optimum.
"""

from __future__ import annotations

from experiment import arguments
from panels import Panel, run

METHODS = ("sob_mlp", "mlp")
PANELS = (
    Panel(
        "constrained LQR",
        "lqr",
        (),
        {"smoke": (2,), "laptop": (2, 5, 10, 20, 50), "full": (2, 5, 10, 20, 50, 100)},
        {"smoke": 20, "laptop": 1000, "full": 8000},
    ),
    Panel(
        "single pendulum",
        "pendulum",
        (),
        {"smoke": (2,), "laptop": (3, 10, 30, 100), "full": (3, 10, 30, 100, 300)},
        {"smoke": 20, "laptop": 1000, "full": 10000},
    ),
    Panel(
        "double pendulum",
        "double_pendulum",
        (),
        {"laptop": (10, 30, 100), "full": (10, 30, 100, 300)},
        {"laptop": 4000, "full": 20000},
    ),
    Panel(
        "UR5(0, 0)",
        "ur5",
        (("r_init", 0), ("r_tgt", 0)),
        {"smoke": (2,), "laptop": (5, 20, 50, 100), "full": (5, 20, 50, 100, 200)},
        {"smoke": 10, "laptop": 1500, "full": 10000},
    ),
)


def main() -> None:
    """Runs all panels."""
    run("pddp", PANELS, METHODS, arguments(__doc__ or ""), refine=True)


if __name__ == "__main__":
    main()
