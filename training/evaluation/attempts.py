"""What an evaluation records about each instance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """A trajectory for one instance.

    Attributes:
        status: `converged` or how the solver failed; `valid` or `invalid` for a policy's rollout.
        cost: Cost of the trajectory, None if there is none.
        iterations: Solver iterations; 0 for a rollout.
        time_ms: Time of the solve, or of the policy's rollout [ms].
        start_ms: Time to make the naive start [ms]; not part of `time_ms`.
        error_m: Final distance from the target [m], None if there is no trajectory.
    """

    status: str
    cost: float | None = None
    iterations: int = 0
    time_ms: float | None = None
    start_ms: float = 0.0
    error_m: float | None = None

    @property
    def good(self) -> bool:
        """Whether the trajectory is a converged solution or a valid rollout."""
        return self.status in ("converged", "valid")

    @property
    def usable_cost(self) -> float | None:
        """The cost, if the trajectory is good."""
        return self.cost if self.good else None

    def success(self, distance: float) -> bool:
        """Whether it is good and ends closer than this to the target."""
        return self.good and self.error_m is not None and self.error_m < distance


@dataclass(frozen=True)
class Row:
    """All attempts at one instance.

    Attributes:
        index: Number of the instance.
        x0: Initial state.
        target: Target [m].
        interpolation: Solve from the interpolation to the target.
        gravity: Solve from the start held against gravity.
        policy: The policy's rollout.
        refined: Solve from the policy's rollout.
        planner: Result of `Planner.plan`, with the time of the whole call; None for tasks that it does not plan.
        planner_source: The start behind the plan, None if there is no plan.
        best_of_starts: Cheapest cost over the different starts, None if not asked for or none converged.
        best_start: Which start that was.
    """

    index: int
    x0: list[float]
    target: list[float]
    interpolation: Attempt
    gravity: Attempt
    policy: Attempt
    refined: Attempt
    planner: Attempt | None
    planner_source: str | None
    best_of_starts: float | None
    best_start: int | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
