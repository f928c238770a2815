"""`sobo view`: show a plan, or a running planner node."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from sobo_planner.cli.shared import Command
from sobo_planner.errors import ConfigError
from sobo_planner.files import check_output, write_bytes

if TYPE_CHECKING:
    from sobo_planner.planning.plan_file import StoredPlan
    from sobo_planner.view.links import Looks


@dataclass(kw_only=True)
class View(Command):
    """Show a plan in the browser or as a picture: robot, world, proposal, refined plan, executed motion.

    With --node: a running planner node, with its arm and its world.
    """

    plan: Annotated[Positional[Path | None], arg(metavar="PLAN")] = None
    """Plan that `sobo plan --out` has written: .json or .npz."""
    executed: Path | None = None
    """What the arm made of it: .json or .npz with `time` [s] and `X`, states or joint positions."""
    png: Path | None = None
    """Draw a picture into this file instead; needs no browser."""
    node: str = ""
    """Planner node to show live instead, such as /planner; needs rclpy."""
    host: str = "localhost"
    """Address that browsers connect to; 0.0.0.0 for any of this computer's."""
    port: int = 8080
    """Its port."""

    def run(self) -> int:
        """Draw the picture, or serve until Ctrl-C."""
        if (self.plan is None) == (not self.node):
            raise ConfigError("give a plan of `sobo plan --out`, or --node /planner for a running node")
        if self.plan is None:
            return self._live()
        if self.png is not None:
            if self.png.suffix != ".png":
                raise ConfigError(f"--png must end with .png, got {self.png}")
            check_output(self.png)
        from sobo_planner.planning.plan_file import read_plan
        from sobo_planner.view.scene import Scene

        stored = read_plan(self.plan)
        scene = Scene.of_stored(stored, self.executed)
        tell_missing(stored)
        tell_unlike(scene.looks)
        if self.png is not None:
            from sobo_planner.view.picture import draw_plan

            write_bytes(self.png, draw_plan(scene))
            print(f"written: {self.png}")
            return 0
        from sobo_planner.view.viewer import Playback, Viewer

        viewer = Viewer(scene.robot, self.host, self.port)
        try:
            Playback(viewer, scene)
            print(f"{scene.title}\nopen {viewer.address}; Ctrl-C ends", flush=True)
            threading.Event().wait()
        finally:
            viewer.close()
        return 0

    def _live(self) -> int:
        if self.png is not None or self.executed is not None:
            raise ConfigError("--png and --executed are for plans from files; leave them out, or leave out --node")
        try:
            from sobo_planner.ros.live.command import show_node
        except ImportError as error:
            raise ConfigError(str(error)) from error
        show_node(self.node, self.host, self.port)
        return 0


def tell_unlike(looks: Looks) -> None:
    """Say on stderr which links do not look as their URDF says."""
    if looks.missing:
        link, reason = next(iter(looks.missing.items()))
        more = f", and {len(looks.missing) - 1} more" if len(looks.missing) > 1 else ""
        print(f"collision bodies stand for what {link} looks like: {reason}{more}", file=sys.stderr)


def tell_missing(stored: StoredPlan) -> None:
    """Say on stderr what a plan of an earlier version does not have."""
    if stored.missing:
        what = " and no ".join(stored.missing)
        print(f"{stored.path} is of an earlier version and has no {what}; plan again to see them", file=sys.stderr)
