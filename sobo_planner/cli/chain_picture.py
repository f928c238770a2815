"""A picture of a chain: its samples at some steps, the mean that they lead to, and the losses of all steps."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from sobo_planner.errors import ConfigError
from sobo_planner.tasks import QuadrotorReach

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sobo_planner.sampling import Sampled
    from sobo_planner.solver import Instance, Solution
    from sobo_planner.tasks import Task

    Array = NDArray[np.float64]

PANELS = 4
SHOWN = 24  # samples in a panel
SIZE = (3.2, 3.0)  # of a panel [inch]


def draw_chain(task: Task, instance: Instance, found: Sampled, solution: Solution | None, kind: str) -> bytes:
    """The picture as a file of a kind (`png`, `svg`, `pdf`).

    Raises:
        ConfigError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigError("pictures need matplotlib; install it with: pip install matplotlib") from error

    links = found.chain.links
    figure = Figure(figsize=((PANELS + 1) * SIZE[0], SIZE[1]), layout="constrained")
    panels = figure.subplots(1, PANELS + 1)
    for axes, i in zip(panels, np.linspace(0, len(links) - 1, PANELS).round().astype(int), strict=False):
        link = links[i]
        for y in link.samples[2 : 2 + SHOWN]:
            axes.plot(*_curve(task, found.space.guess(y).X), color="tab:blue", alpha=0.25, lw=0.7)
        axes.plot(*_curve(task, found.space.guess(link.mean).X), color="tab:red", lw=2.0, label="mean")
        if i == len(links) - 1 and solution is not None:
            axes.plot(*_curve(task, solution.X), color="black", lw=1.2, ls="--", label="refined")
        _surroundings(axes, task, instance)
        axes.set_title(f"step {i + 1} of {len(links)}, noise {link.noise:.2g}", fontsize=9)
        axes.legend(fontsize=8)
    last, steps = panels[-1], np.arange(1, len(links) + 1)
    last.plot(steps, [link.loss for link in links], label="median")
    last.plot(steps, [link.best for link in links], label="best so far")
    last.set(xlabel="step", title="logarithm of the cost")
    last.legend(fontsize=8)
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=120)
    return content.getvalue()


def _curve(task: Task, X: Array) -> tuple[Array, Array]:
    """What is drawn of a trajectory (T+1, nx): where the tool or the centre goes, or the first state over time."""
    if isinstance(task, QuadrotorReach):
        return X[:, 0], X[:, 1]
    robot = getattr(task, "robot", None)
    if robot is None:
        return np.linspace(0.0, task.horizon * task.dt, len(X)), X[:, 0]
    path = np.array([robot.tool_position(x[: task.nu]) for x in X])
    return path[:, 0], path[:, 2]


def _surroundings(axes: Any, task: Task, instance: Instance) -> None:
    """Target and columns."""
    if isinstance(task, QuadrotorReach):
        from matplotlib.patches import Circle

        for x, y, radius in task.columns:
            axes.add_patch(Circle((x, y), radius, color="0.6"))
        axes.plot(*instance.target[:2], "k*")
        axes.set(xlabel="x [m]", ylabel="y [m]", aspect="equal")
    elif getattr(task, "robot", None) is None:
        axes.set(xlabel="time [s]", ylabel="first state")
    else:
        if len(instance.target) in (3, 7):
            axes.plot(instance.target[0], instance.target[2], "k*")
        axes.set(xlabel="x [m]", ylabel="z [m]", aspect="equal")
