"""Import paths that the README has named stay valid, and mean the same objects as the new ones."""

from __future__ import annotations

import subprocess
import sys

import sobo_planner.planner
import sobo_planner.planning


def test_the_old_path_of_the_planner() -> None:
    names = sobo_planner.planner.__all__
    assert {"Plan", "PlanStatus", "Planner"} <= set(names)
    for name in names:
        assert getattr(sobo_planner.planner, name) is getattr(sobo_planner.planning, name)


def test_either_path_can_be_imported_first() -> None:
    for first, second in (("planner", "planning"), ("planning", "planner")):
        code = f"""
from sobo_planner.{first} import Planner
from sobo_planner.{second} import Planner as Other
assert Planner is Other
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
