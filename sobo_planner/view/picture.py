"""Pictures of an arm among objects, without a browser or a graphics card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sobo_planner.files import write_bytes
from sobo_planner.robot import Robot
from sobo_planner.view.canvas import RADIUS, Canvas, placed_arm
from sobo_planner.view.links import Colour, Looks, looks_of, placements
from sobo_planner.view.scene import EXECUTED, PLAN, PROPOSAL, Item, Scene, items_of
from sobo_planner.view.surfaces import Array, Surface, merged, sharp_edges, surface_of, tube
from sobo_planner.world import Sphere

ASIDE = 55.0  # how far the camera stands to the side of the arm's back [degrees]
POSTURES = 7  # looked at of each motion
BETWEEN = 3  # drawn of a plan between its start and its end
PALE, GHOST, OBJECTS = 0.45, 0.12, 0.32  # opacity of the arm at its start, in between, and of obstacles
#: Triangles of a robot that a picture can take, and the grid that others are brought to [m].
MOST_TRIANGLES, GRID = 20_000, 0.008
START, GOAL = (0.25, 0.25, 0.28), (0.80, 0.12, 0.22)
BALL, AXIS = 0.014, 0.1  # sizes of marks [m]
EDGE, MOST_EDGES = 0.0012, 2000  # of obstacles [m]
#: Colours of motions, in turn.
COLOURS: tuple[Colour, ...] = (
    (0.12, 0.47, 0.71),
    (1.00, 0.50, 0.05),
    (0.17, 0.63, 0.17),
    (0.84, 0.15, 0.16),
    (0.58, 0.40, 0.74),
    (0.55, 0.34, 0.29),
    (0.89, 0.47, 0.76),
    (0.50, 0.50, 0.50),
    (0.74, 0.74, 0.13),
    (0.09, 0.75, 0.81),
)


def draw_plan(scene: Scene) -> bytes:
    """A PNG of a plan: the arm at its start (pale), in between and at its end, the tool's ways, and the objects.

    Raises:
        ConfigError: matplotlib is missing.
    """
    robot, looks, Q = scene.robot, light_looks(scene.robot), scene.plan.Q
    way = scene.way(scene.plan)
    heading = float(np.degrees(np.arctan2(way[:, 1].mean(), way[:, 0].mean())))
    canvas = Canvas(scene.title, heading + 180.0 + ASIDE)
    for thing in [*placed_arm(robot, looks, Q[-1]), *placed_items(robot, scene.items, Q[-1])]:
        canvas.solid(*thing)
    _obstacles(canvas, scene.items)
    for q in Q[_spread(len(Q), BETWEEN + 2)[1:-1]]:
        canvas.clear(placed_arm(robot, looks, q, PLAN), GHOST)
    canvas.clear(placed_arm(robot, looks, Q[0]), PALE)
    ways = [way]
    if scene.proposal is not None:
        ways.append(scene.way(scene.proposal))
        canvas.line(ways[-1], PROPOSAL, "proposal", dashed=True)
    canvas.line(way, PLAN, "plan")
    if scene.executed is not None:
        ways.append(scene.way(scene.executed))
        canvas.line(
            ways[-1], EXECUTED, "executed", dashed=True, radius=1.4 * RADIUS
        )  # around the plan's, if all is well
    canvas.mark(ball(way[0]), START, "start")
    goal = robot.tool_pose(scene.goal) if scene.goal_type == "joints" else scene.goal
    canvas.mark(ball(goal[:3]), GOAL, "goal")
    if len(goal) == 7:
        _mark_axes(canvas, goal)
    shown = [_corners_of_arm(robot, looks, q) for q in Q[_spread(len(Q), POSTURES)]]
    canvas.fit(np.vstack([*shown, *ways, goal[None, :3]]), _corners(scene.items))
    return canvas.png()


def draw_cell(path: Path, robot: Robot, motions: Sequence[Array], targets: Sequence[Sequence[float]]) -> Path:
    """Draws objects, the tool's way of each of several motions, and the arm along it as a line.

    Args:
        path: PNG file.
        robot: The robot in its world.
        motions: Joint positions (N, n) of each motion.
        targets: Goals (3,) [m].

    Raises:
        SoboError: matplotlib is missing, or the file cannot be written.
    """
    canvas = Canvas("Motions among the objects (balls: goals)", 180.0 + ASIDE)
    items = items_of(robot, robot.world)
    shown = [np.zeros((1, 3))]
    _obstacles(canvas, items)
    for number, Q in enumerate(motions):
        colour = COLOURS[number % len(COLOURS)]
        canvas.line(np.asarray(robot.tool_positions(np.ascontiguousarray(Q))), colour, f"goal {number + 1}")
        postures = [chain(robot, q) for q in Q[_spread(len(Q), POSTURES)]]
        canvas.clear([(tube(points, 0.008), colour) for points in postures], PALE)
        shown += postures
    for target in targets:
        canvas.mark(ball(np.array(target)), START)
    canvas.fit(np.vstack(shown), _corners(items))
    write_bytes(path, canvas.png())
    return path


def chain(robot: Robot, q: Array) -> Array:
    """The base's origin, those of the joints' frames, and the tool, (n + 2, 3) [m]."""
    joints = [robot.joint_placement(q, index)[1] for index in range(robot.nv)]
    return np.array([np.zeros(3), *joints, robot.tool_position(q)])


def light_looks(robot: Robot) -> Looks:
    """What a robot looks like, with as many triangles as a picture can take."""
    looks = looks_of(robot)
    if sum(len(body.surface.faces) for body in looks.bodies) <= MOST_TRIANGLES:
        return looks
    return Looks(
        tuple(replace(body, surface=body.surface.coarsened(GRID)) for body in looks.bodies),
        looks.missing,
    )


def placed_items(robot: Robot, items: Sequence[Item], q: Array) -> list[tuple[Surface, Colour]]:
    """What is attached to links, where it is at joint positions q (n,)."""
    frames = placements(robot, q)
    return [(item.surface.moved(*frames[item.joint]), item.colour) for item in items if item.joint >= 0]


def ball(point: Array) -> Surface:
    """A small ball at a point (3,) [m]."""
    return surface_of(Sphere(BALL)).moved(np.eye(3), point)


def _obstacles(canvas: Canvas, items: Sequence[Item]) -> None:
    """Adds what does not move and has an end, with its edges."""
    for item in items:
        if item.joint < 0 and not item.plane:
            edges = [tube(edge, EDGE, sides=4) for edge in sharp_edges(item.surface)[:MOST_EDGES]]
            canvas.clear([(item.surface, item.colour)], OBJECTS)
            red, green, blue = item.colour
            canvas.clear([(merged(edges), (0.5 * red, 0.5 * green, 0.5 * blue))], PALE)


def _mark_axes(canvas: Canvas, pose: Array) -> None:
    """Marks a pose (7,) by its axes: x red, y green, z blue."""
    x, y, z, w = pose[3:]
    for axis in np.eye(3):
        twice = 2.0 * np.cross([x, y, z], axis)
        direction = axis + w * twice + np.cross([x, y, z], twice)
        colour = (0.85 * axis + 0.05).tolist()
        canvas.mark(tube(pose[:3] + np.outer([0.0, AXIS], direction), 0.004), (colour[0], colour[1], colour[2]))


def _spread(count: int, picked: int) -> Array:
    """So many indices of as many as there are, evenly spread, both ends included."""
    return np.linspace(0, count - 1, picked).round().astype(int)


def _corners_of_arm(robot: Robot, looks: Looks, q: Array) -> Array:
    return np.vstack([chain(robot, q), *(surface.vertices for surface, _ in placed_arm(robot, looks, q))])


def _corners(items: Sequence[Item]) -> Array:
    """The corners of all obstacles that have an end, (N, 3) [m]."""
    found = [item.surface.vertices for item in items if item.joint < 0 and not item.plane]
    return np.vstack([np.zeros((1, 3)), *found])
