"""A picture in the making: solid things with exact occlusion before axes that say where they are (matplotlib)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from sobo_planner.errors import ConfigError
from sobo_planner.robot import Robot
from sobo_planner.view.links import Colour, Looks, placements
from sobo_planner.view.raster import Layer, shaded
from sobo_planner.view.surfaces import Array, Surface, tube

SIZE, DPI = (9.0, 8.0), 120  # [inch]
FINER = 2  # drawn so many times as large, then made smaller: edges are smooth then
ELEVATION = 22.0  # of the camera [degrees]
RADIUS, DASH = 0.004, 0.02  # of lines [m]
THICK = 0.001  # how far before something solid a thing is that is seen before it [m]: links that do not move coincide
BEHIND = 0.3  # opacity of lines where something is before them
CLEAR = 0.6  # how far around the arm's postures objects are looked at [m]


class Canvas:
    """Collects what is to be seen, then draws it.

    Args:
        title: What stands above the picture.
        azimuth: From where it is seen, about z from x on [degrees].

    Raises:
        ConfigError: matplotlib is missing.
    """

    def __init__(self, title: str, azimuth: float) -> None:
        try:
            from matplotlib.figure import Figure
            from mpl_toolkits.mplot3d import Axes3D
        except ModuleNotFoundError as error:
            raise ConfigError('pictures need matplotlib; install it with: pip install "sobo_planner[viz]"') from error
        self._figure = Figure(figsize=SIZE, dpi=FINER * DPI, facecolor="white")
        self._axes = Axes3D(self._figure, (0.02, 0.07, 0.96, 0.89), proj_type="ortho")
        self._figure.add_axes(self._axes)
        self._axes.view_init(elev=ELEVATION, azim=azimuth)
        self._axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]")
        self._figure.suptitle(title, y=0.975)
        turn, rise = np.radians(azimuth), np.radians(ELEVATION)
        self.towards = np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])
        self._solid: list[tuple[Surface, Colour]] = []
        self._lines: list[tuple[Surface, Colour]] = []
        self._marks: list[tuple[Surface, Colour]] = []
        self._clear: list[tuple[list[tuple[Surface, Colour]], float]] = []
        self._names: dict[str, Colour] = {}

    def solid(self, surface: Surface, colour: Colour) -> None:
        """Adds something that hides what is behind it."""
        self._solid.append((surface, colour))

    def clear(self, surfaces: Sequence[tuple[Surface, Colour]], alpha: float) -> None:
        """Adds what one can look through; of each such group only the nearest surface is seen."""
        self._clear.append((list(surfaces), alpha))

    def line(self, points: Array, colour: Colour, name: str = "", dashed: bool = False, radius: float = RADIUS) -> None:
        """Adds a line through points (N, 3) [m], named in the legend; it is pale where something is before it."""
        for part in dashes(points) if dashed else [points]:
            self._lines.append((tube(part, radius), colour))
        self._named(name, colour)

    def mark(self, surface: Surface, colour: Colour, name: str = "") -> None:
        """Adds a mark, which nothing hides."""
        self._marks.append((surface, colour))
        self._named(name, colour)

    def _named(self, name: str, colour: Colour) -> None:
        if name:
            self._names[name] = colour

    def fit(self, points: Array, beside: Array) -> None:
        """Sets what is seen: all of some points (N, 3), and others as far as they are near; equal scales."""
        low, high = points.min(0), points.max(0)
        near = np.clip(beside, low - CLEAR, high + CLEAR)
        low, high = np.minimum(low, near.min(0, initial=np.inf)), np.maximum(high, near.max(0, initial=-np.inf))
        for name, least, most in zip("xyz", low, high, strict=True):
            getattr(self._axes, f"set_{name}lim")(least, most)
        self._axes.set_box_aspect(high - low, zoom=1.03)

    def png(self) -> bytes:
        """The finished picture."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.patches import Patch
        from PIL import Image

        if self._names:
            handles = [Patch(color=colour, label=name) for name, colour in self._names.items()]
            self._figure.legend(handles=handles, loc="lower center", ncols=min(6, len(handles)), frameon=False)
        canvas = FigureCanvasAgg(self._figure)
        canvas.draw()
        paper = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(np.float32) / 255.0
        picture = self._over(paper)
        image = Image.fromarray((255.0 * np.clip(picture, 0.0, 1.0) + 0.5).astype(np.uint8)[::-1])
        content = io.BytesIO()
        image.reduce(FINER).save(content, format="png", optimize=True)
        return content.getvalue()

    def _over(self, paper: Any) -> Any:
        """Everything before a background (height, width, 3)."""
        picture, depth = paper.copy(), np.full(paper.shape[:2], np.inf, np.float32)
        window, solid = self._drawn(self._solid, depth.shape)
        depth[window] = solid.depth
        _blend(picture[window], solid, solid.depth < np.inf)
        for things, alpha in self._clear:
            window, layer = self._drawn(things, depth.shape)
            _blend(picture[window], layer, (layer.depth < depth[window] - THICK) * alpha)
        window, lines = self._drawn(self._lines, depth.shape)
        hidden = lines.depth >= depth[window]
        _blend(picture[window], lines, np.where(hidden, BEHIND, 1.0) * (lines.depth < np.inf))
        window, marks = self._drawn(self._marks, depth.shape)
        _blend(picture[window], marks, marks.depth < np.inf)
        return picture

    def _drawn(
        self, things: Sequence[tuple[Surface, Colour]], shape: tuple[int, ...]
    ) -> tuple[tuple[slice, slice], Layer]:
        """A layer with some surfaces, and the part of the picture that it is for: as small as can be."""
        corners = [self.pixels(surface.vertices)[surface.faces] for surface, _ in things if len(surface.faces)]
        shades = [
            shaded(surface.triangles, np.array(colour), self.towards)
            for surface, colour in things
            if len(surface.faces)
        ]
        if not corners:
            return (slice(0), slice(0)), Layer.empty(0, 0)
        flat = np.concatenate(corners)
        most = np.array(shape[::-1])
        low = np.clip(np.floor(flat[..., :2].min((0, 1))), 0, most).astype(int)
        high = np.clip(np.ceil(flat[..., :2].max((0, 1))) + 1, low, most).astype(int)
        layer = Layer.empty(*(high - low))
        layer.draw(flat - [*low, 0.0], np.concatenate(shades))
        return (slice(low[1], high[1]), slice(low[0], high[0])), layer

    def pixels(self, points: Array) -> Array:
        """Columns, rows from below, and depths of points (N, 3) [m], before the picture is made smaller, (N, 3)."""
        from mpl_toolkits.mplot3d.proj3d import proj_transform

        x, y, z = proj_transform(*points.T, self._axes.get_proj())
        flat = self._axes.transData.transform(np.column_stack([x, y]))
        return np.column_stack([flat, -(points @ self.towards)])


def placed_arm(robot: Robot, looks: Looks, q: Array, tint: Colour | None = None) -> list[tuple[Surface, Colour]]:
    """The surfaces of an arm at joint positions q (n,), in its own colours or in one."""
    frames = placements(robot, q)
    return [(body.surface.moved(*frames[body.joint]), tint or body.colour) for body in looks.bodies]


def dashes(points: Array) -> list[Array]:
    """Pieces of a line through points (N, 3), `DASH` long with gaps of 0.7 of that between."""
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    pieces = []
    for begin in np.arange(0.0, along[-1], 1.7 * DASH):
        at = np.linspace(begin, min(begin + DASH, along[-1]), 6)
        pieces.append(np.stack([np.interp(at, along, column) for column in points.T], 1))
    return pieces


def _blend(picture: Any, layer: Layer, alpha: Any) -> None:
    """Lays a layer over a part of a picture, each pixel with its opacity."""
    picture += alpha[..., None].astype(np.float32) * (layer.colour - picture)
