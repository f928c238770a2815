"""Without a home folder, or with one that cannot be written to, all works that needs no cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sobo_planner.paths import cache_folder

# Accounts of containers need not be in /etc/passwd either.
NOBODY = """
import pwd
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
"""
PLAN = """
import sys
from sobo_planner.cli import main
sys.exit(main(["plan", "ur5", "--goal", "0.4", "-0.2", "0.4"]))
"""
TRAIN = """
import sys, tempfile
from pathlib import Path
from toy_task import ToyTask
from sobo_planner.policy import Policy
from sobo_training.config import TrainConfig
from sobo_training.export.exporter import export
from sobo_training.learning.train import train
from sobo_training.networks import kernels
assert kernels.library() is not None
task = ToyTask()
with tempfile.TemporaryDirectory() as folder:
    run = train(task.solutions(3), task, Path(folder) / "run", TrainConfig.from_task(task, steps=2), progress=False)
    Policy.load(export(run, task, Path(folder) / "policy").folder)
"""
NODE = """
import sys
from sobo_planner.errors import SoboError
from sobo_planner.ros.support.process import run_node
def make_node():
    raise SoboError("ROS works")
sys.exit(run_node(make_node) != 1)
"""
HOMES = {"unset": None, "read-only": "/proc"}


@pytest.mark.parametrize("code", [PLAN, TRAIN, NODE], ids=["plan", "train", "node"])
@pytest.mark.parametrize("home", HOMES)
def test_no_home(home: str, code: str, tmp_path: Path) -> None:
    if code == NODE:
        pytest.importorskip("rclpy")
    own = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "ROS_LOG_DIR", "ROS_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment |= {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)]), "TMPDIR": str(tmp_path)}
    if HOMES[home] is not None:
        environment["HOME"] = str(HOMES[home])
    done = subprocess.run([sys.executable, "-c", NOBODY + code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and ("ROS works" in done.stderr) == (code == NODE)


def test_the_cache_is_where_the_xdg_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/sobo_planner")
    for ignored in ("", "relative/cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == Path("/home/me/.cache/sobo_planner")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "relative")
    assert cache_folder() is None
