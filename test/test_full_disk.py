"""A disk that is really full: the error names the file, nothing already stored is lost, nothing half is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DISK_KB = 4000


def on_a_small_disk(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with a small disk of its own mounted at the folder."""
    mount = f'mount -t tmpfs -o size={DISK_KB}k tmpfs {folder} && exec "$@"'
    return subprocess.run(["unshare", "-rm", "sh", "-c", mount, "sh", *command], capture_output=True, text=True)


def test_a_full_disk_costs_nothing_already_stored(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or on_a_small_disk(tmp_path, "true").returncode:
        pytest.skip("mounting a small disk needs user namespaces, which are not permitted here")
    done = on_a_small_disk(tmp_path, sys.executable, str(Path(__file__).with_name("full_disk.py")), str(tmp_path))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert "shard-0" in said["shard"] and "No space left on device" in said["shard"]
    assert "checkpoint.pt: No space left on device" in said["checkpoint"]
    assert said["left"] == []


def test_a_recording_on_a_full_disk(tmp_path: Path) -> None:
    """What was written before can be read, metadata.yaml included."""
    pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
    pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")
    if shutil.which("unshare") is None or on_a_small_disk(tmp_path, "true").returncode:
        pytest.skip("mounting a small disk needs user namespaces, which are not permitted here")
    code = Path(__file__).with_name("full_disk_bag.py")
    done = on_a_small_disk(tmp_path, sys.executable, str(code), str(tmp_path / "bag"))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert "No space left on device" in said["problem"]
    assert said["read"] == list(range(said["written"])) and said["written"] > 100
