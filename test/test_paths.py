"""Shared files are found in the source tree, beside an installation and through the ament index."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sobo_planner
from sobo_planner import paths
from sobo_planner.cli.main import expand_home
from sobo_planner.errors import ConfigError
from sobo_planner.paths import share_path, user_path
from sobo_planner.tasks import load_task

CODE = Path(sobo_planner.__file__).resolve().parent


def install(prefix: Path, content: str) -> Path:
    """Makes the share folder of an installation with one file, listed in the ament index."""
    index = prefix / "share/ament_index/resource_index/packages"
    share = prefix / "share/sobo_planner"
    for folder in (index, share / "config"):
        folder.mkdir(parents=True)
    (index / "sobo_planner").touch()
    (share / "config/only_here.yaml").write_text(content)
    return share


def found_by(site: Path, **environment: str) -> str:
    """Returns the file that a copy of the package under `site` finds."""
    (site / "sobo_planner").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "paths.py"):
        shutil.copy(CODE / name, site / "sobo_planner" / name)
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from sobo_planner.paths import share_path\n"
    code += "print(share_path('config/only_here.yaml'))"
    command = [sys.executable, "-I", "-S", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_source_tree_comes_first() -> None:
    assert paths.share_path("urdf/ur5.urdf") == CODE.parent / "urdf" / "ur5.urdf"


def test_missing_file_names_the_places_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    share = install(tmp_path / "overlay", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "overlay"))
    with pytest.raises(ConfigError, match="config/nothing.yaml") as caught:
        paths.share_path("config/nothing.yaml")
    assert str(CODE.parent) in str(caught.value) and str(share) in str(caught.value)


def test_prefix_of_the_installed_package(tmp_path: Path) -> None:
    """An installation uses its own files, whatever else is on the ament index."""
    share = install(tmp_path / "own", "own")
    install(tmp_path / "other", "other")
    found = found_by(tmp_path / "own/lib/python3/site-packages", AMENT_PREFIX_PATH=str(tmp_path / "other"))
    assert found == str(share / "config/only_here.yaml")


def test_ament_index(tmp_path: Path) -> None:
    """Code without files beside it finds those of the prefix where the index lists the package."""
    (tmp_path / "empty/share/sobo_planner/config").mkdir(parents=True)
    (tmp_path / "empty/share/sobo_planner/config/only_here.yaml").touch()  # not in the index: ignored
    share = install(tmp_path / "overlay", "")
    prefixes = f"{tmp_path}/empty:{tmp_path}/overlay"
    found = found_by(tmp_path / "elsewhere", AMENT_PREFIX_PATH=prefixes)
    assert found == str(share / "config/only_here.yaml")


def test_a_home_folder_is_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a/b") == tmp_path / "a" / "b" and user_path("~") == tmp_path
    for name in ("a/~", "/a/~b", "~nobody_of_that_name/x", ""):
        assert user_path(name) == Path(name)
    assert expand_home("~/plan.npz") == f"{tmp_path}/plan.npz"
    assert expand_home("--out=~/plan.npz") == f"--out={tmp_path}/plan.npz"
    assert [expand_home(word) for word in ("--out", "a=~/b", "x~", "--set")] == ["--out", "a=~/b", "x~", "--set"]


def test_tasks_and_urdfs_are_found_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = share_path("config/ur5.yaml").read_text().replace("urdf/ur5.urdf", "~/arm.urdf")
    (tmp_path / "own.yaml").write_text(text)
    (tmp_path / "arm.urdf").write_text(share_path("urdf/ur5.urdf").read_text())
    assert load_task("~/own.yaml").robot.name == load_task("ur5").robot.name
