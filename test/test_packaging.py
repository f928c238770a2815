"""Installations as users make them: pip into an empty environment, colcon with and without symbolic links."""

from __future__ import annotations

import os
import re
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
    with open("/proc/self/maps") as maps:
        for library in sorted({{line.split()[-1] for line in maps if "libaligator" in line or "libpinocchio" in line}}):
            print("loaded", library)
    assert importlib.util.find_spec("torch") is None
    for module in pkgutil.walk_packages(sobo_planner.__path__, "sobo_planner."):
        if not module.name.startswith("sobo_planner.ros"):
            importlib.import_module(module.name)
"""


# Run in this tree with what a build requires: what `CMakeBuild` does before it compiles.
CONFIGURE = """
import subprocess, sys
import setuptools
from distutils.core import run_setup
build = run_setup("setup.py", stop_after="init").get_command_obj("build_ext")
build.build_temp = sys.argv[1]
prefix = type(build)._configure.__globals__["ask"]("-m", "cmeel", "cmake")
subprocess.run([*build._configure(prefix), "-S", "src", "-B", sys.argv[1]], check=True)
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


def compiled() -> str:
    """Where the environment keeps what it has compiled."""
    objects = ROOT / "build" / f"temp.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    return os.environ.get("SOBO_BUILD_DIR", str(objects))


def new_environment(folder: Path) -> Path:
    """Makes an empty environment; returns its interpreter."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    """Of this tree, with run-time dependencies only. What was compiled before is not compiled again."""
    build = ("build", "--build-base", tmp_path / "build", "egg_info", "--egg-base", tmp_path)
    run(sys.executable, "setup.py", *build, "bdist_wheel", "-d", tmp_path, cwd=ROOT, SOBO_BUILD_DIR=compiled())
    (wheel,) = tmp_path.glob("*.whl")
    environment = tmp_path / "environment"
    python = new_environment(environment)
    run(python, "-m", "pip", "install", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    printed = run(python, "-c", PROBE, "--every-module", cwd=elsewhere)
    found = found_files(printed)
    assert len(found) == 1 + len(SHIPPED)
    assert all(file.is_relative_to(environment) for file in found), found
    loaded = [Path(line) for line in re.findall(r"^loaded (.+)$", printed, re.MULTILINE)]
    assert len(loaded) >= 2 and all(file.is_relative_to(environment) for file in loaded), loaded
    assert_nodes(environment)
    assert "plan" in run(environment / "bin" / "sobo", "--help", cwd=elsewhere)


@pytest.mark.slow
def test_what_a_build_requires_is_all_that_cmake_asks_for(tmp_path: Path) -> None:
    """In an environment with nothing else, as pip makes it for `pip install .`: CMake finds everything."""
    requires = re.search(r"^requires = \[(.+?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M | re.S)
    assert requires is not None
    python = new_environment(tmp_path / "environment")
    run(python, "-m", "pip", "install", *re.findall(r'"(.+)"', requires.group(1)), cwd=tmp_path)
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    run(python, "-c", CONFIGURE, tmp_path / "native", cwd=ROOT, PATH=path)
    assert (tmp_path / "native" / "build.ninja").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--symlink-install",)], ids=["copied", "symlinked"])
def test_colcon_build(tmp_path: Path, options: tuple[str, ...]) -> None:
    """`colcon build` of this tree. What the environment has compiled before is not compiled again."""
    bases = ("--base-paths", ROOT, "--build-base", tmp_path / "build", "--install-base", tmp_path / "install")
    command = (sys.executable, "-m", "colcon", "--log-base", tmp_path / "log", "build", *bases, *options)
    run(*command, cwd=tmp_path, SOBO_BUILD_DIR=compiled())

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
