"""The command line, `sobo`."""

from __future__ import annotations

from sobo_planner.cli.main import main

__all__ = ["main"]
