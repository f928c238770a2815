"""Installations as users make them: pip into an empty environment, colcon with and without symbolic links."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The wheels of ROS point every Python at their libraries: an installation under test must not see them.
LEAKS = {"PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
SHIPPED = (
    "package.xml",
    "config/ur5.yaml",
    "config/ur5.params.yaml",
    "urdf/ur5.urdf",
    "launch/ur5.launch.py",
    "config/policies/ur5/config.json",
)
NODES = ("planner_node", "arm_simulator_node")

# Run with the installed package from a folder without sources: prints where everything was found.
PROBE = f"""
import importlib, importlib.util, pkgutil, sys
import sobo_planner, sobo_training
from sobo_planner import _native
from sobo_planner.paths import share_path
print("found", _native.__file__)
for name in {SHIPPED!r}:
    print("found", share_path(name))
if "--every-module" in sys.argv:
    assert importlib.util.find_spec("torch") is None
    for module in pkgutil.walk_packages(sobo_planner.__path__, "sobo_planner."):
        if not module.name.startswith("sobo_planner.ros"):
            importlib.import_module(module.name)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Runs a command outside the test's own environment; returns what it printed, and fails with it."""
    clean = {name: value for name, value in os.environ.items() if name not in LEAKS}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-6000:]}"
    return done.stdout


def found_files(printed: str) -> list[Path]:
    """Returns the paths that the probe printed: the extension first, then the shared files."""
    return [Path(line) for line in re.findall(r"^found (.+)$", printed, re.MULTILINE)]


def copy_sources(target: Path) -> Path:
    """Copies the source tree as a checkout would have it, without anything that was built."""
    built = ["build", "install", "log", "out", "runs", "dist", "*.egg-info", "*.so", "__pycache__", ".*"]
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*built))
    return target


def assert_nodes(prefix: Path) -> None:
    """The node scripts lie where `ros2 run` and launch files look for them."""
    for node in NODES:
        script = prefix / "lib" / "sobo_planner" / node
        assert script.is_file() and os.access(script, os.X_OK), f"{script} is missing or not executable"
    assert (prefix / "share/ament_index/resource_index/packages/sobo_planner").is_file()


def test_version_stands_the_same_everywhere() -> None:
    init = (ROOT / "sobo_planner" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'__version__ = "(.+)"', init)
    assert match is not None
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == match.group(1)


@pytest.mark.slow
def test_pip_install_into_an_empty_environment(tmp_path: Path) -> None:
    """`pip install .` with build isolation; run-time dependencies only."""
    sources = copy_sources(tmp_path / "sources")
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "-c", sources / "constraints.txt", sources, cwd=tmp_path)
    shutil.rmtree(sources)  # nothing may point back

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = found_files(run(python, "-c", PROBE, "--every-module", cwd=elsewhere))
    assert len(found) == 1 + len(SHIPPED)
    assert all(file.is_relative_to(environment) for file in found), found
    assert_nodes(environment)
    assert "plan" in run(environment / "bin" / "sobo", "--help", cwd=elsewhere)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--symlink-install",)], ids=["copied", "symlinked"])
def test_colcon_build(tmp_path: Path, options: tuple[str, ...]) -> None:
    """`colcon build` of this tree. What the environment has compiled before is not compiled again."""
    bases = ("--base-paths", ROOT, "--build-base", tmp_path / "build", "--install-base", tmp_path / "install")
    command = (sys.executable, "-m", "colcon", "--log-base", tmp_path / "log", "build", *bases, *options)
    objects = ROOT / "build" / f"temp.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    run(*command, cwd=tmp_path, SOBO_BUILD_DIR=os.environ.get("SOBO_BUILD_DIR", str(objects)))

    prefix = tmp_path / "install" / "sobo_planner"
    assert_nodes(prefix)
    script = f'. install/local_setup.sh && cd / && echo "$AMENT_PREFIX_PATH" && "{sys.executable}" -c "$PROBE"'
    printed = run("sh", "-c", script, cwd=tmp_path, PROBE=PROBE)
    assert str(prefix) in printed.splitlines()[0]
    found = found_files(printed)
    assert len(found) == 1 + len(SHIPPED)
    # Symbolic links lead from the build folder to this tree.
    assert found[0].is_relative_to(tmp_path / "build" if options else prefix)
    assert all(file.resolve().is_relative_to(ROOT if options else prefix) for file in found), found
