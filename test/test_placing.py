"""Where `sobo export` writes: over an older artifact, and over nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toy_policy import copy_to

from sobo_planner.cli import main
from sobo_planner.errors import PolicyError
from sobo_planner.locks import locked
from sobo_planner.policy import policy
from sobo_planner.policy.artifact import Artifact
from sobo_training.export.placing import FILES, check_place, place


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A newer artifact than that of `copy_to`: its config.json differs, and so do its weights, which are not loaded."""
    folder = copy_to(tmp_path_factory.mktemp("newer"))
    config = json.loads((folder / "config.json").read_text())
    config["training"]["steps"] = 1
    return {name: (folder / name).read_bytes() for name in FILES} | {"config.json": json.dumps(config).encode()}


def tree(folder: Path) -> dict[str, bytes | str]:
    """All that is in a folder, links as their targets."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def make_run(place: Path) -> None:
    place.mkdir()
    for name in ("run.json", "config.json", "checkpoint.pt"):
        (place / name).write_text("{}")


def make_dataset(place: Path) -> None:
    place.mkdir()
    (place / "shard-00000.safetensors").touch()
    (place / ".lock").touch()


def make_weights(place: Path) -> None:
    place.mkdir()
    (place / "model.safetensors").write_text("another project's")


def make_hidden(place: Path) -> None:
    (place / ".git").mkdir(parents=True)
    (place / ".git" / "config").touch()


def make_link_inside(place: Path) -> None:
    copy_to(place.parent).rename(place)
    (place.parent / "weights").write_text("another project's")
    (place / "model.safetensors").unlink()
    (place / "model.safetensors").symlink_to("../weights")


def make_link_to_a_policy(place: Path) -> None:
    copy_to(place.parent).rename(place.parent / "real")
    place.symlink_to("real")


OTHERS = {
    "a run": make_run,
    "a dataset": make_dataset,
    "weights": make_weights,
    "hidden files": make_hidden,
    "a file": lambda place: place.write_text("thesis"),
    "a link": make_link_to_a_policy,
    "a dangling link": lambda place: place.symlink_to("nowhere"),
    "a link in a policy": make_link_inside,
    "a fifo": os.mkfifo,
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_what_is_no_artifact_stays_as_it_is(make, tmp_path: Path, files: dict[str, bytes]) -> None:
    make(tmp_path / "out")
    before = tree(tmp_path)
    for refuse in (lambda: check_place(tmp_path / "out"), lambda: place(files, tmp_path / "out")):
        with pytest.raises(PolicyError, match="nothing was changed; name a new or empty folder"):
            refuse()
    assert tree(tmp_path) == before


def test_the_command_refuses_the_run_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run")
    before = tree(tmp_path)
    assert main(["export", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "run")]) == 2
    assert "the folder holds something else (checkpoint.pt, config.json, run.json)" in capsys.readouterr().err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("missing", [(), ("model.safetensors",), ("model.safetensors", "step.onnx")])
def test_an_older_artifact_is_replaced_and_nothing_else(
    missing: tuple[str, ...], tmp_path: Path, files: dict[str, bytes]
) -> None:
    """Also one whose export was killed, which leaves temporary files too."""
    folder = copy_to(tmp_path)
    for name in missing:
        (folder / name).unlink()
    (folder / ".step.onnx.77.tmp").write_text("part")
    (folder / "NOTES.md").write_text("mine")
    place(files, folder)
    assert tree(folder) == files | {"NOTES.md": b"mine"}
    assert Artifact.load(folder).spec.training["steps"] == 1


@pytest.mark.parametrize("make", [lambda p: None, Path.mkdir, lambda p: (p / "lost+found").mkdir(parents=True)])
def test_new_and_empty_folders(make, tmp_path: Path, files: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    make(out)
    place(files, out)
    assert tree(out) == files


def test_no_reader_takes_a_mixture(tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """At every moment a reader finds the old artifact, the new one, or an error."""
    weights = bytearray(files["model.safetensors"])
    weights[-1] ^= 1
    old = copy_to(tmp_path)
    config = json.loads(files["config.json"])
    config["files"]["model.safetensors"] = hashlib.sha256(weights).hexdigest()
    newer = files | {"config.json": json.dumps(config).encode(), "model.safetensors": bytes(weights)}
    before, seen = tree(old), []
    rename = os.replace

    def watched(source: Path, target: Path) -> None:
        rename(source, target)
        try:
            Artifact.load(old)
            seen.append({name: (old / name).read_bytes() for name in FILES})
        except PolicyError:
            seen.append({})

    monkeypatch.setattr(os, "replace", watched)
    place(newer, old)
    assert len(seen) == 3 and seen[-1] == newer
    assert all(each in ({}, before, newer) for each in seen)


def test_an_export_while_a_policy_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the reading of config.json and that of the weights: the new ones do not go with the old scaling."""
    folder = copy_to(tmp_path)
    select = policy.select_engine

    def meanwhile(*arguments: Any) -> Any:
        content = bytearray((folder / "model.safetensors").read_bytes())
        content[-1] ^= 1
        (folder / "model.safetensors").write_bytes(content)
        return select(*arguments)

    monkeypatch.setattr(policy, "select_engine", meanwhile)
    with pytest.raises(PolicyError, match=r"model\.safetensors is damaged or of another policy"):
        policy.Policy.load(folder)


def test_one_process_a_folder(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = copy_to(tmp_path)
    before = tree(folder)
    with locked(folder), pytest.raises(PolicyError, match="another process is writing to"):
        place(files, folder)
    assert {name: content for name, content in tree(folder).items() if name != ".lock"} == before


def test_a_mount_point(tmp_path: Path) -> None:
    """Neither can it be renamed, nor does a file of another folder get into it by renaming."""
    mount = f'mount -t tmpfs tmpfs {tmp_path} && exec "$@"'
    in_a_mount = ["unshare", "-rm", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*in_a_mount, "true"], capture_output=True).returncode:
        pytest.skip("mounting needs user namespaces, which are not permitted here")
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from toy_policy import result
from toy_task import ToyTask
from sobo_training.export.exporter import export
for _ in range(2):
    export(result(), ToyTask(), Path({str(tmp_path)!r}))
print(sorted(path.name for path in Path({str(tmp_path)!r}).iterdir()))
"""
    done = subprocess.run([*in_a_mount, sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['config.json', 'model.safetensors', 'step.onnx']"
