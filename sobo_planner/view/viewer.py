"""A viewer in the browser (viser): the arm, what surrounds it, its plan, and what became of it."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from sobo_planner.errors import ConfigError
from sobo_planner.robot import Robot
from sobo_planner.view.links import Colour, Looks, looks_of, placements
from sobo_planner.view.scene import EXECUTED, PLAN, PROPOSAL, Item, Motion, Scene
from sobo_planner.view.surfaces import Array

HOST, PORT = "localhost", 8080
RATE = 30.0  # pictures a second while a motion is played
LINE = 0.006  # width of the tool's ways [m]
GHOST, PALE = 0.25, 0.35  # opacity of arms that are not where they are shown, and of obstacles
CAMERA, LOOK_AT = (-0.75, -1.05, 0.95), (0.25, 0.0, 0.32)


def require_viser() -> Any:
    """The module viser.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import viser
    except ModuleNotFoundError as error:
        hint = 'the viewer needs more packages; install them with: pip install "sobo_planner[viz]"'
        raise ConfigError(f"cannot import {error.name}: {hint}") from error
    return viser


class Arm:
    """An arm in the viewer: a frame for each moving joint, the bodies of links below.

    Args:
        scene: The server's scene.
        name: Of the node that holds all of it.
        robot: The robot.
        looks: Its bodies.
        tint: One colour for all of it; None: its own.
        opacity: 1: opaque.
    """

    def __init__(
        self, scene: Any, name: str, robot: Robot, looks: Looks, tint: Colour | None = None, opacity: float = 1.0
    ) -> None:
        self._robot = robot
        self.root = scene.add_frame(name, show_axes=False)
        self.joints = [scene.add_frame(f"{name}/{joint}", show_axes=False) for joint in robot.joint_names]
        for body in looks.bodies:
            above = name if body.joint < 0 else f"{name}/{robot.joint_names[body.joint]}"
            colour = body.colour if tint is None else tint
            _add(scene, f"{above}/{body.name}", body.surface, colour, opacity)

    def pose(self, q: Array) -> None:
        """Puts it at joint positions q (n,)."""
        for frame, (rotation, position) in zip(self.joints, placements(self._robot, q), strict=False):
            frame.wxyz, frame.position = quaternion(rotation), position

    def show(self, visible: bool) -> None:
        """Shows or hides it."""
        self.root.visible = visible


class Viewer:
    """Serves a scene to browsers until it is closed.

    Args:
        robot: The robot.
        host: Address to listen at.
        port: Port to listen at.

    Attributes:
        server: The viser server.
        arm: The arm itself.

    Raises:
        ConfigError: viser is not installed, or nothing can listen there.
    """

    def __init__(self, robot: Robot, host: str = HOST, port: int = PORT) -> None:
        viser = require_viser()
        check_free(host, port)
        self._robot, self._looks = robot, looks_of(robot)
        with contextlib.redirect_stdout(io.StringIO()):  # a banner, whatever `verbose` says
            self.server = viser.ViserServer(host=host, port=port, label="sobo view", verbose=False)
        self.server.gui.configure_theme(show_share_button=False)  # which would open it to the internet
        scene = self.server.scene
        scene.set_up_direction("+z")
        scene.add_grid("/grid", width=4.0, height=4.0, cell_size=0.1, section_size=0.5, position=(0.0, 0.0, -0.001))
        self.server.initial_camera.position, self.server.initial_camera.look_at = CAMERA, LOOK_AT
        self.arm = Arm(scene, "/robot", robot, self._looks)
        self._items: dict[str, Any] = {}
        self._lines: dict[str, Any] = {}

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def ghost(self, name: str, tint: Colour, opacity: float = GHOST) -> Arm:
        """One more arm, in one colour, without what never moves: that would lie within the arm's own."""
        moving = Looks(tuple(body for body in self._looks.bodies if body.joint >= 0), {})
        return Arm(self.server.scene, name, self._robot, moving, tint, opacity)

    def bodies(self) -> Arm:
        """The collision bodies that the planner checks, hidden at first."""
        arm = Arm(
            self.server.scene, "/collision", self._robot, looks_of(self._robot, ("collision",)), (0.8, 0.2, 0.6), 0.4
        )
        arm.show(False)
        return arm

    def show_items(self, items: Sequence[Item]) -> None:
        """Shows objects instead of those that were shown before; those that did not change are not sent again."""
        named = {f"{self._above(item)}/{quote(item.name, safe=' ')}": item for item in items}  # names may hold a /
        for name in [name for name, (item, _) in self._items.items() if named.get(name) is not item]:
            self._items.pop(name)[1].remove()
        for name, item in named.items():
            if name not in self._items:
                opacity = 1.0 if item.joint >= 0 else PALE
                handle = _add(self.server.scene, name, item.surface, item.colour, opacity, "double")
                self._items[name] = item, handle

    def _above(self, item: Item) -> str:
        if item.joint >= 0:
            return f"/robot/{self._robot.joint_names[item.joint]}/attached"
        return "/planes" if item.plane else "/world"

    def show_way(self, name: str, points: Array, colour: Colour) -> None:
        """Shows a line through points (N, 3) [m] instead of the one of that name; none where there are fewer than 2."""
        if name in self._lines:
            self._lines.pop(name).remove()
        if len(points) > 1:
            segments = np.stack([points[:-1], points[1:]], 1)
            self._lines[name] = self.server.scene.add_line_segments(name, segments, _bytes(colour), thickness=LINE)

    def show_goal(self, goal: Array, goal_type: str) -> None:
        """Shows a goal instead of the one before: a ball, axes for a pose, a pale arm for joints."""
        scene = self.server.scene
        scene.remove_by_name("/goal")
        scene.add_frame("/goal", show_axes=False)
        if goal_type == "joints":
            self.ghost("/goal/arm", (0.2, 0.7, 0.3)).pose(goal)
        elif goal_type == "pose":
            x, y, z, w = goal[3:]
            scene.add_frame("/goal/pose", axes_length=0.12, axes_radius=0.005, wxyz=(w, x, y, z), position=goal[:3])
        else:
            scene.add_icosphere("/goal/position", radius=0.018, color=(40, 170, 70), position=goal[:3])

    def close(self) -> None:
        """Ends the server."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()


class Playback:
    """A plan in the viewer: its motions over time, with a slider and a button to play them.

    Args:
        viewer: Where it is shown.
        scene: The plan.
    """

    def __init__(self, viewer: Viewer, scene: Scene) -> None:
        self._viewer = viewer
        self.motions: list[tuple[Arm, Motion]] = [(viewer.arm, scene.plan)]
        self.duration = float(scene.plan.time[-1])
        viewer.show_items(scene.items)
        viewer.show_goal(scene.goal, scene.goal_type)
        viewer.show_way("/plan", scene.way(scene.plan), PLAN)
        start = viewer.ghost("/start", (0.6, 0.6, 0.6))
        start.pose(scene.plan.Q[0])
        gui = viewer.server.gui
        gui.add_markdown(scene.title)
        self.slider = gui.add_slider("time [s]", min=0.0, max=self.duration, step=1e-3, initial_value=0.0)
        self.button = gui.add_button("Play")
        self._switch("start", start.show, False)
        for name, motion, colour in (("proposal", scene.proposal, PROPOSAL), ("executed", scene.executed, EXECUTED)):
            if motion is not None:
                self._beside(name, scene, motion, colour)
        bodies = viewer.bodies()
        self.motions.append((bodies, scene.plan))
        self._switch("collision bodies", bodies.show, False)
        self.slider.on_update(lambda _: self.at(self.slider.value))
        self.button.on_click(lambda _: self.play())
        self._playing = threading.Event()
        self.at(0.0)

    def _beside(self, name: str, scene: Scene, motion: Motion, colour: Colour) -> None:
        """Shows another motion: its way as a line, and a pale arm."""
        self._viewer.show_way(f"/{name}/way", scene.way(motion), colour)
        ghost = self._viewer.ghost(f"/{name}/arm", colour)
        self.motions.append((ghost, motion))
        self._switch(f"{name}'s arm", ghost.show, name == "proposal")

    def _switch(self, label: str, show: Callable[[bool], None], on: bool) -> None:
        box = self._viewer.server.gui.add_checkbox(label, initial_value=on)
        box.on_update(lambda _: show(box.value))
        show(on)

    def at(self, seconds: float) -> None:
        """Puts all arms where they are at a time of the plan [s]."""
        for arm, motion in self.motions:
            arm.pose(motion.at(seconds))

    def play(self) -> None:
        """Plays from the slider's time on, or from the beginning where that is the end; pauses if it plays."""
        if self._playing.is_set():
            self._playing.clear()
            return
        begin = 0.0 if self.slider.value >= self.duration - 1e-3 else self.slider.value
        self._playing.set()
        threading.Thread(target=self._run, args=(begin,), name="playback", daemon=True).start()

    def _run(self, begin: float) -> None:
        self.button.label = "Pause"
        began = time.monotonic()
        while self._playing.is_set():
            now = min(begin + time.monotonic() - began, self.duration)
            self.slider.value = now
            self.at(now)
            if now >= self.duration:
                break
            time.sleep(1.0 / RATE)
        self._playing.clear()
        self.button.label = "Play"


def check_free(host: str, port: int) -> None:
    """Finds out whether a port can be listened at: viser would silently take the next one.

    Raises:
        ConfigError: It cannot.
    """
    try:
        if not 0 < port < 65536:
            raise OverflowError("a port is a number from 1 to 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot listen at {host}, port {port}: {reason}; choose another --host or --port") from error


def quaternion(rotation: Array) -> Array:
    """The unit quaternion w, x, y, z of a rotation (3, 3): the eigenvector of the largest eigenvalue."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    form = np.array(
        [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
    )
    return np.asarray(np.linalg.eigh(form)[1][:, -1])


def _add(scene: Any, name: str, surface: Any, colour: Colour, opacity: float, side: str = "front") -> Any:
    return scene.add_mesh_simple(
        name,
        surface.vertices,
        surface.faces,
        color=_bytes(colour),
        opacity=None if opacity == 1.0 else opacity,
        flat_shading=True,
        side=side,
    )


def _bytes(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * min(max(value, 0.0), 1.0)) for value in colour)
    return red, green, blue
