"""Output files: whole or not at all, through devices, pipes and links, and found to be unwritable before the work."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.cli import main
from sobo_planner.errors import SoboError
from sobo_planner.files import check_output, check_output_folder, write_bytes, write_json, write_together

PLAN = ["plan", "ur5", "--goal", "0.4", "-0.2", "0.4", "--policy", "none"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    write_bytes(path, b"old")
    path.chmod(0o640)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(path.parent) == ["report.json"]


@pytest.mark.parametrize("relative", [False, True])
def test_a_link_is_followed(relative: bool, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "report.json"
    (tmp_path / "second").symlink_to("real/report.json" if relative else target)
    (tmp_path / "first").symlink_to("second")
    for content in (b"made", b"replaced"):
        check_output(tmp_path / "first")
        write_bytes(tmp_path / "first", content)
        assert target.read_bytes() == content and not target.is_symlink()
    assert (tmp_path / "first").is_symlink() and (tmp_path / "second").is_symlink()


def test_a_device_stays_one() -> None:
    before = os.stat("/dev/null")
    check_output(Path("/dev/null"))
    write_json(Path("/dev/null"), {"a": 1})
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode) and (before.st_rdev, before.st_ino) == (after.st_rdev, after.st_ino)


def test_a_link_to_a_device_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    write_bytes(link, b"nothing")
    assert link.is_symlink() and stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_fifo_is_written_through(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    check_output(fifo)  # does not wait for the reader
    reader.start()
    write_bytes(fifo, b"x" * 200_000)  # more than a pipe holds
    reader.join(10)
    assert read == [b"x" * 200_000] and stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_by_name(name: str, tmp_path: Path) -> None:
    """In order with what is printed, and not in the place of the file that stdout goes to."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = f"""
from pathlib import Path
from sobo_planner.files import check_output, write_bytes
print("before")
check_output(Path({name!r}))
write_bytes(Path({name!r}), b"content\\n")
print("after")
"""
    command = [sys.executable, "-c", code]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (piped.stdout, piped.stderr) == ("before\ncontent\nafter\n", "")
    with (tmp_path / "file").open("w") as file:
        subprocess.run(command, cwd=tmp_path, stdout=file, check=True)
    assert (tmp_path / "file").read_text() == "before\ncontent\nafter\n"


def test_an_error_keeps_all_files_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {tmp_path / "a": b"old a", tmp_path / "b": b"old b"}
    write_together(old)
    real = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if bytes(data) == b"new b":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SoboError, match="No space left on device"):
        write_together({tmp_path / "a": b"new a", tmp_path / "b": b"new b"})
    assert {path: path.read_bytes() for path in old} == old
    assert names(tmp_path) == ["a", "b"]


def test_names_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    check_output(path)
    write_bytes(path, b"content")
    assert path.read_bytes() == b"content"
    with pytest.raises(SoboError, match="File name too long"):
        check_output(tmp_path / ("n" * 256))


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    """Places where no file can be written."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(tmp_path)
        try:
            listener.bind("socket")
        finally:
            os.chdir(before)
        yield tmp_path


UNWRITABLE = {
    "folder": "it is a folder",
    "file/report.json": "Not a directory",
    "file/deep/report.json": "Not a directory",
    "socket": "it is a socket",
    "loop": "Too many levels of symbolic links",
    "/proc/report.json": "",
    "/dev/null/report.json": "Not a directory",
    "/dev/fd/77": "Bad file descriptor",
}


@pytest.mark.parametrize(("place", "reason"), UNWRITABLE.items())
def test_what_cannot_be_written_is_found_before(place: str, reason: str, places: Path) -> None:
    before = names(places)
    with pytest.raises(SoboError, match=f"cannot write .*{place}: .*{reason}") as refused:
        check_output(places / place)
    assert "\n" not in str(refused.value)
    assert names(places) == before


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "deep" / "report.json")
    check_output_folder(tmp_path / "new" / "deep")
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["file", "file/deep", "/proc/new", "/dev/null"])
def test_folders_that_cannot_be_written_to(place: str, places: Path) -> None:
    with pytest.raises(SoboError, match="cannot write to the folder"):
        check_output_folder(places / place)


REFUSED = [
    [*PLAN, "--out", "file/plan.json"],
    ["evaluate", "ur5", "--policy", "none", "--json", "folder"],
    ["bench", "ur5", "--json", "file/report.json"],
    ["collect", "ur5", "--out", "file/data"],
    ["train", "ur5", "--data", "data", "--out", "file/run"],
    ["interplay", "ur5", "--out", "file"],
    ["consensus", "ur5", "--out", "file"],
    ["export", "--run", "run", "--out", "file"],
]


@pytest.mark.parametrize("arguments", REFUSED, ids=lambda each: each[0])
def test_commands_check_their_outputs_before_all_else(
    arguments: list[str], places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before they load a task, data or a policy: these are not there."""
    monkeypatch.chdir(places)
    monkeypatch.setattr("sobo_planner.tasks.load_task", lambda *_, **__: pytest.fail("work began"))
    monkeypatch.setattr("sobo_planner.tasks.load_arm", lambda *_, **__: pytest.fail("work began"))
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("sobo: cannot write ") and errors.count("\n") == 1


def test_results_are_printed_though_they_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that fills up meanwhile."""

    def full(*_: object) -> None:
        raise SoboError("cannot write plan.json: No space left on device")

    monkeypatch.setattr("sobo_planner.planning.plan_file.write_bytes", full)
    assert main([*PLAN, "--json", "--out", str(tmp_path / "plan.json")]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["status"] == "converged"
    assert printed.err == "sobo: cannot write plan.json: No space left on device\n"


def test_results_are_stored_though_they_cannot_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "plan.npz"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "sobo_planner.cli", *PLAN, "--out", str(path)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "cannot write to standard output" in done.stderr
    with np.load(path) as stored:
        assert len(stored["X"]) > 1
