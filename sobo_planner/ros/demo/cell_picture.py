"""A picture of the arm's motions among the objects of a world."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.typing import NDArray

from sobo_planner.robot import Robot
from sobo_planner.world import Box, Capsule, Cylinder, HalfSpace, Mesh, Part, Sphere, World

Vector = NDArray[np.float64]

SIZE, DPI = (9.0, 8.0), 120  # [inch]
POSTURES = 7  # drawn of each motion
VIEW = {"elev": 22.0, "azim": -60.0}
ROUND, HALF = np.linspace(0.0, 2.0 * np.pi, 25), np.linspace(-0.5 * np.pi, 0.5 * np.pi, 13)
CORNERS = np.array(list(product((-0.5, 0.5), repeat=3)))
SIDES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))


def draw_cell(path: Path, robot: Robot, motions: Sequence[Vector], targets: Sequence[Sequence[float]]) -> Path:
    """Draws objects, the tool's way of each motion, and the arm along it.

    Args:
        path: PNG file.
        robot: The robot in its world.
        motions: Joint positions (N, n) of each motion.
        targets: Goals (3,) [m].
    """
    figure = Figure(figsize=SIZE)
    axes = figure.add_subplot(projection="3d")
    look = {"facecolor": "silver", "edgecolor": "dimgray", "alpha": 0.12, "lw": 0.4}
    for part in (part for each in robot.world.objects for part in each.shapes):
        axes.add_collection3d(Poly3DCollection(patches(part), **look))
    for number, Q in enumerate(motions):
        color = f"C{number % 10}"
        axes.plot(*robot.tool_positions(np.ascontiguousarray(Q)).T, color=color, lw=1.8, label=f"goal {number + 1}")
        for q in Q[np.linspace(0, len(Q) - 1, POSTURES).round().astype(int)]:
            axes.plot(*chain(robot, q).T, color=color, lw=2.5, alpha=0.25, solid_capstyle="round")
    if len(targets):
        axes.scatter(*np.array(targets).T, color="black", marker="x", s=40, depthshade=False)
    _fit(axes, robot.world, motions, robot)
    axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", title="Motions among the objects (crosses: goals)")
    if motions:
        axes.legend(fontsize="small", loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    return path


def chain(robot: Robot, q: Vector) -> Vector:
    """The base's origin, those of the joints' frames, and the tool, (n + 2, 3) [m]."""
    joints = [robot.joint_placement(q, index)[1] for index in range(robot.nv)]
    return np.array([np.zeros(3), *joints, robot.tool_position(q)])


def patches(part: Part) -> list[Any]:
    """Polygons of a shape in the base frame, each (k, 3) [m]; none of a half-space, which has no end.

    A hull is shown as the box around its vertices.
    """
    shape = part.shape
    match shape:
        case HalfSpace():
            return []
        case Box():
            local = [CORNERS[list(side)] * shape.size for side in SIDES]
        case Sphere():
            local = _turned(shape.radius * np.cos(HALF), shape.radius * np.sin(HALF))
        case Cylinder():
            local = _turned(*np.array([(0, -1), (1, -1), (1, 1), (0, 1)]).T * [[shape.radius], [0.5 * shape.length]])
        case Capsule():
            up = np.where(np.sin(HALF) < 0, -0.5, 0.5) * shape.length
            local = _turned(shape.radius * np.cos(HALF), shape.radius * np.sin(HALF) + up)
        case Mesh():
            points = np.array(shape.vertices)
            low, high = points.min(0), points.max(0)
            box = [0.5 * (low + high) + CORNERS[list(side)] * (high - low) for side in SIDES]
            local = [points[list(face)] for face in shape.faces] or box
    return [np.array([part.pose.point(tuple(point)) for point in polygon]) for polygon in local]


def _turned(radius: Vector, height: Vector) -> list[Vector]:
    """The surface of a profile turned about z, as quadrangles."""
    ring = np.stack([np.cos(ROUND), np.sin(ROUND)], 1)
    rims = [np.column_stack([r * ring, np.full(len(ring), h)]) for r, h in zip(radius, height, strict=True)]
    return [
        np.array([low[k], low[k + 1], high[k + 1], high[k]])
        for low, high in zip(rims[:-1], rims[1:], strict=True)
        for k in range(len(ring) - 1)
    ]


def _fit(axes: Any, world: World, motions: Sequence[Vector], robot: Robot) -> None:
    """Sets the view: equal scales, and all of the arm and the objects inside."""
    corners = [np.zeros((1, 3))]
    corners += [np.vstack(shown) for each in world.objects for part in each.shapes if (shown := patches(part))]
    corners += [chain(robot, q) for Q in motions for q in Q[:: max(1, len(Q) // POSTURES)]]
    points = np.vstack(corners)
    middle, half = 0.5 * (points.max(0) + points.min(0)), 0.5 * (points.max(0) - points.min(0)).max()
    for name, value in zip("xyz", middle, strict=True):
        getattr(axes, f"set_{name}lim")(value - half, value + half)
    axes.set_box_aspect((1, 1, 1))
    axes.view_init(**VIEW)
