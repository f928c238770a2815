"""Settings of ProxDDP."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sobo_planner import _native
from sobo_planner.errors import ConfigError
from sobo_planner.solver.budget import Interrupt


@dataclass(frozen=True)
class SolverOptions:
    """Settings of ProxDDP; the defaults were measured on the UR5.

    Attributes:
        tol: Primal and dual tolerance. Below 1e-6 the dual residual often stalls.
        mu_init: Initial penalty of the augmented Lagrangian.
        reg_min: Smallest regularisation; 1e-4 and more biases the optimum.
        max_iterations: Limit for one attempt.
        early_stop: Accept a feasible iterate once the relative change of the cost falls below this and the dual
            residual below a tenth of its largest value; 0 switches it off. Most iterations otherwise only reduce the
            dual residual, at an unchanged cost.
        retry: On failure solve once more with nonlinear rollouts and more regularisation.
    """

    tol: float = 1e-4
    mu_init: float = 1e-2
    reg_min: float = 1e-10
    max_iterations: int = 200
    early_stop: float = 1e-4
    retry: bool = True

    def __post_init__(self) -> None:
        for name in ("tol", "mu_init"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"solver.{name} must be positive, got {getattr(self, name)}")
        for name in ("reg_min", "early_stop"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"solver.{name} must not be negative, got {getattr(self, name)}")
        if self.max_iterations < 1:
            raise ConfigError(f"solver.max_iterations must be at least 1, got {self.max_iterations}")

    def native(self, time_limit: float | None = None, interrupt: Interrupt | None = None) -> _native.SolveOptions:
        """The extension's options; `time_limit` is in seconds of wall time."""
        options = _native.SolveOptions()
        for name, value in asdict(self).items():
            setattr(options, name, value)
        options.time_limit, options.interrupt = time_limit or 0.0, interrupt
        return options
