"""Pictures of plans: pixels are where an orthographic projection, computed here, puts things."""

from __future__ import annotations

import builtins
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib: the extra `viz`")

from PIL import Image
from view_scenes import shelf_task, swing, swinging_scene

from sobo_planner.errors import ConfigError
from sobo_planner.robot import Robot
from sobo_planner.tasks import ArmReach
from sobo_planner.view import canvas as canvas_module
from sobo_planner.view.canvas import Canvas, dashes
from sobo_planner.view.picture import chain, draw_cell, draw_plan, light_looks
from sobo_planner.view.raster import Layer
from sobo_planner.view.scene import EXECUTED, PLAN, PROPOSAL, Scene
from sobo_planner.view.surfaces import surface_of
from sobo_planner.world import Box, Pose, Sphere, World, WorldObject

AZIMUTH = 180.0 + 55.0  # of a plan that heads along x
LEGEND = 0.06  # share of the picture
MAGENTA, GREEN = (1.0, 0.0, 1.0), (0.0, 0.8, 0.0)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas_module, "DPI", 50)


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(float) / 255.0


def directions(azimuth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, up and towards the viewer, for a camera that is lifted by 22 degrees."""
    a, e = np.radians(azimuth), np.radians(22.0)
    towards = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    return right, np.cross(towards, right), towards


def of_colour(image: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    """Columns and rows (from below) of the pixels of a hue, whatever its shade, above the legend, (N, 2)."""
    norm = np.linalg.norm(image, axis=2)
    alike = image @ np.array(colour) / np.linalg.norm(colour) / np.maximum(norm, 1e-9)
    rows, columns = np.nonzero((alike > 0.995) & (norm > 0.3))
    found = np.column_stack([columns, len(image) - 1 - rows]).astype(float)
    return found[found[:, 1] > LEGEND * len(image)]


CUBE = np.array([[x, y, z] for x in (-0.5, 1.5) for y in (-1.0, 1.0) for z in (0.0, 2.0)])


def drawn(*points: tuple[float, float, float], colour=MAGENTA, **others: Any) -> np.ndarray:
    """A picture of balls in a cube of two metres."""
    canvas = Canvas("balls", AZIMUTH)
    for point in points:
        canvas.solid(surface_of(Sphere(0.06)).moved(np.eye(3), np.array(point)), colour)
    for surface in others.get("solid", ()):
        canvas.solid(surface, GREEN)
    for line in others.get("lines", ()):
        canvas.line(np.array(line), (0.0, 0.0, 1.0), radius=0.02)
    canvas.fit(CUBE, np.zeros((0, 3)))
    return pixels(canvas.png())


def middle(*points: tuple[float, float, float]) -> np.ndarray:
    return of_colour(drawn(*points), MAGENTA).mean(0)


def test_things_are_where_the_projection_puts_them() -> None:
    """Lengths along right and up are to scale, by one factor; what lies along the line of sight coincides."""
    right, up, towards = directions(AZIMUTH)
    origin = np.array([0.5, 0.0, 1.0])
    at = middle(tuple(origin))
    scale = (middle(tuple(origin + 0.4 * right))[0] - at[0]) / 0.4
    assert 100.0 < scale < 250.0, "a cube of two metres, seen over a corner, fills a picture of 450 by 400 pixels"
    for step in (0.4 * right, 0.5 * up, np.array([0.3, 0.0, 0.0]), np.array([0.0, -0.6, 0.2]), 0.5 * towards):
        expected = at + scale * np.array([step @ right, step @ up])
        np.testing.assert_allclose(middle(tuple(origin + step)), expected, atol=1.0)
    found = of_colour(drawn(tuple(origin)), MAGENTA)
    np.testing.assert_allclose(np.ptp(found, axis=0), 0.12 * scale, atol=3.0)


def test_what_is_nearer_hides_what_is_behind() -> None:
    _, _, towards = directions(AZIMUTH)
    origin = np.array([0.5, 0.0, 1.0])
    wall = surface_of(Box((0.4, 0.4, 0.4)))
    alone = len(of_colour(drawn(tuple(origin)), MAGENTA))
    for shift, share in ((-0.6, 1.0), (0.6, 0.0)):
        image = drawn(tuple(origin), solid=[wall.moved(np.eye(3), origin + shift * towards)])
        assert len(of_colour(image, MAGENTA)) == pytest.approx(share * alone, abs=0.05 * alone)


def test_lines_behind_something_are_pale() -> None:
    right, _, towards = directions(AZIMUTH)
    origin = np.array([0.5, 0.0, 1.0])
    ends = [tuple(origin - 0.2 * right), tuple(origin + 0.2 * right)]
    wall = surface_of(Box((0.5, 0.5, 0.5))).moved(np.eye(3), origin + 0.6 * towards)
    blue = of_colour(drawn(lines=[ends]), (0.0, 0.0, 1.0))
    assert len(blue) > 150
    image = drawn(lines=[ends], solid=[wall])
    assert len(of_colour(image, (0.0, 0.0, 1.0))) == 0
    columns, rows = blue.astype(int).T
    mixed = image[len(image) - 1 - rows, columns]
    assert (mixed[:, 2] > 0.1).mean() > 0.9, "it shines through"


def test_two_triangles_in_a_depth_buffer() -> None:
    layer = Layer.empty(8, 6)
    flat = np.array([[[0, 0, 2.0], [8, 0, 2.0], [0, 6, 2.0]]])
    sloped = np.array([[[0, 0, 0.0], [8, 0, 8.0], [8, 6, 8.0]]])  # depth = column: nearer than 2 to the left of it
    layer.draw(flat, np.array([MAGENTA]))
    layer.draw(sloped, np.array([GREEN]))
    assert layer.depth[0, 1] == 1.5 and tuple(layer.colour[0, 1]) == GREEN
    assert layer.depth[0, 3] == 2.0 and tuple(layer.colour[0, 3]) == MAGENTA
    assert layer.depth[5, 7] == 7.5 and np.isinf(layer.depth[5, 1])


def test_a_plan_shows_its_way(task: ArmReach) -> None:
    """Where the picture has two goals tells its scale; the way's pixels are along the line that this gives."""
    scene = replace(swinging_scene(task), proposal=None, executed=None)
    way = scene.way(scene.plan)
    heading = float(np.degrees(np.arctan2(way[:, 1].mean(), way[:, 0].mean())))
    flat = way @ np.stack(directions(heading + AZIMUTH)[:2], 1)
    images = [pixels(draw_plan(replace(scene, goal=goal))) for goal in (way[0], way[-1])]
    ends = [of_colour(image, (0.80, 0.12, 0.22)).mean(0) for image in images]
    scale = np.linalg.norm(ends[1] - ends[0]) / np.linalg.norm(flat[-1] - flat[0])
    expected = ends[1] + scale * (flat - flat[-1])
    np.testing.assert_allclose(expected[0], ends[0], atol=2.0)
    blue = of_colour(images[1], PLAN)
    line = np.linspace(expected[:-1], expected[1:], 20).reshape(-1, 2)
    distances = np.linalg.norm(blue[:, None] - line, axis=2)
    assert len(blue) > 100 and distances.min(1).max() < 4.0
    assert (distances.min(0) < 2.0).mean() > 0.4, "the ends of the way lie within the arm"


def test_proposal_and_executed_motion_have_their_colours(task: ArmReach) -> None:
    """Of a goal of joints, whose tool pose is marked by axes; the legend is not looked at."""
    scene = swinging_scene(task)
    image = pixels(draw_plan(replace(scene, goal_type="joints", goal=scene.plan.Q[-1])))
    assert all(len(of_colour(image, colour)) > 20 for colour in (PROPOSAL, EXECUTED))
    bare = pixels(draw_plan(replace(scene, proposal=None, executed=None)))
    assert all(len(of_colour(bare, colour)) < 5 for colour in (PROPOSAL, EXECUTED))


def test_a_cell_of_motions(task: ArmReach, home: np.ndarray, tmp_path: Path) -> None:
    shelf = shelf_task(task)
    joints = chain(shelf.robot, home)
    assert joints.shape == (8, 3)
    np.testing.assert_allclose(joints[-1], shelf.robot.tool_position(home))
    np.testing.assert_allclose(joints[1], [0.0, 0.0, 0.089159], atol=1e-6)
    Q = swing(shelf, 0.4).Q
    path = draw_cell(tmp_path / "cell.png", shelf.robot, [Q], [shelf.robot.tool_position(Q[-1])])
    empty = draw_cell(tmp_path / "empty.png", shelf.robot, [], [])
    blue = [len(of_colour(pixels(each.read_bytes()), (0.12, 0.47, 0.71))) for each in (path, empty)]
    assert blue[0] > 40 and blue[1] == 0


def test_meshes_become_coarse_enough(task: ArmReach, monkeypatch: pytest.MonkeyPatch) -> None:
    from sobo_planner.view import picture

    full = sum(len(body.surface.faces) for body in light_looks(task.robot).bodies)
    monkeypatch.setattr(picture, "MOST_TRIANGLES", full - 1)
    monkeypatch.setattr(picture, "GRID", 0.03)
    assert sum(len(body.surface.faces) for body in light_looks(task.robot).bodies) < 0.7 * full


def test_dashes_cover_what_they_should() -> None:
    pieces = dashes(np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]]))
    np.testing.assert_allclose([piece[0, 0] for piece in pieces], [0.0, 0.034, 0.068])
    np.testing.assert_allclose([piece[-1, 0] for piece in pieces], [0.02, 0.054, 0.088])


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name=name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'pip install "sobo_planner\[viz\]"'):
        Canvas("", 0.0)


def test_scenes_of_plans_that_were_just_made(task: ArmReach) -> None:
    """As `Scene.of_plan` and the file give them: the same."""
    world = World((WorldObject("ball", Sphere(0.05), Pose((0.5, 0.4, 0.2))),))
    view = task.with_world(world)
    assert isinstance(view.robot, Robot)
    from sobo_planner.planning import Planner

    planner = Planner(task, world=world)
    plan = planner.plan([*task.config.robot.home, *6 * [0.0]], [0.4, -0.2, 0.4])
    scene = Scene.of_plan(planner.among(world), plan)
    assert scene.goal_type == "position" and [item.name for item in scene.items] == ["ball"]
    assert scene.proposal is not None and scene.proposal.time[-1] > 0.0
    np.testing.assert_allclose(scene.proposal.Q[0], plan.X[0, :6], atol=1e-9)
    np.testing.assert_array_equal(scene.plan.at(99.0), plan.X[-1, :6])
    half = 0.5 * (plan.time[3] + plan.time[4])
    np.testing.assert_allclose(scene.plan.at(half), 0.5 * (plan.X[3, :6] + plan.X[4, :6]))
    assert "ur5: converged, refined from" in scene.title
