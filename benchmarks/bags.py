"""How fast bags are read, with how much memory, and whether damaged ones are survived.

    python benchmarks/bags.py --hours 1 --json out/bags.json
    python benchmarks/bags.py --fuzz 1000

The first makes a bag of joint states at 500 Hz, of an arm that moves and rests in turns, and reads it in a process of
its own: motions are found, and instances made of them. Solving them is not part of it. The second damages small bags at
random (bytes, lengths) and makes datasets of them: each call has to end with a whole dataset or with a reason, and to
account for every message that it met.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from sobo_planner.cli.main import main as sobo
from sobo_planner.errors import DatasetError, SoboError
from sobo_planner.files import check_output, write_json
from sobo_planner.robot.kinematics import minimum_jerk
from sobo_planner.tasks import ArmReach, load_arm
from sobo_training.bags.candidates import Filters
from sobo_training.bags.conversion import BagOptions, survey
from sobo_training.bags.selection import Selection
from sobo_training.data.dataset import load, shard_paths
from sobo_training.data.shards import read_shard

STORE = get_typestore(Stores.ROS2_KILTED)
JOINT_STATE = "sensor_msgs/msg/JointState"
SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
STOPS = 16


def template(names: list[str]) -> tuple[np.ndarray, int]:
    """A serialised joint state, and where its positions begin; velocities and efforts follow, 4 bytes between."""
    n = len(names)
    stamp = STORE.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    header = STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id="base_link")
    marked = np.full(n, 12345.678)
    message = STORE.types[JOINT_STATE](
        header=header, name=names, position=marked, velocity=np.zeros(n), effort=np.zeros(n)
    )
    raw = bytes(STORE.serialize_cdr(message, JOINT_STATE))
    return np.frombuffer(raw, np.uint8), raw.index(marked.tobytes())


def tour(task: ArmReach, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Positions (N, n) of a round tour of some stops, with pauses."""
    stops = [task.sample(rng).x0[: task.nu] / 2.0 for _ in range(STOPS)]
    parts = [np.repeat(stops[0][None, :], int(0.5 * rate), axis=0)]
    for there, here in zip(stops, [*stops[1:], stops[0]], strict=True):
        parts.append(minimum_jerk(there, here, int(rate * rng.uniform(1.5, 4.0)), 1.0 / rate)[0])
        parts.append(np.repeat(here[None, :], int(0.5 * rate), axis=0))
    return np.concatenate(parts)


def make(folder: Path, task: ArmReach, seconds: float, rate: float, plugin: StoragePlugin, zstd: bool = False) -> int:
    """Writes a bag of joint states; returns how many there are."""
    raw, at = template(list(task.robot.joint_names))
    round_trip = tour(task, rate, np.random.default_rng(0))
    count, n = int(seconds * rate), task.nu
    writer = Writer(folder, version=9, storage_plugin=plugin)
    if zstd:
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/joint_states", JOINT_STATE, typestore=STORE)
        for first in range(0, count, 10_000):
            numbers = np.arange(first, min(first + 10_000, count))
            times = BEGIN + np.rint(numbers * (SECOND / rate)).astype(np.int64)
            block = np.repeat(raw[None, :], len(numbers), axis=0)
            block[:, 4:12] = np.stack([times // SECOND, times % SECOND], axis=1).astype("<u4").view(np.uint8)
            block[:, at : at + 8 * n] = round_trip[numbers % len(round_trip)].astype("<f8").view(np.uint8)
            for time_ns, message in zip(times.tolist(), block, strict=True):
                writer.write(connection, time_ns, message.tobytes())
    return count


def peak_memory() -> float:
    """Most memory that this process has had [MB]."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return float("nan") if found is None else int(found.group(1)) / 1e3


def read(bag: Path) -> dict[str, Any]:
    """Reads a bag, and says how long that took."""
    task = load_arm("ur5")
    before, began = peak_memory(), time.perf_counter()
    selection = Selection(task, Filters())
    totals = []
    for contents in survey([bag], task, BagOptions(), progress=False):
        selection.add(contents)
        totals.append(sum(contents.totals.values()))
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "memory_mb": round(peak_memory()),
        "imports_mb": round(before),
        "messages": sum(totals),
        "instances": len(selection.found.candidates),
    }


def speed(hours: float, rate: float) -> dict[str, Any]:
    """Figures of a bag in both formats."""
    task, rows = load_arm("ur5"), {}
    for name, plugin in (("mcap", StoragePlugin.MCAP), ("sqlite", StoragePlugin.SQLITE3)):
        with tempfile.TemporaryDirectory() as folder:
            bag = Path(folder, "bag")
            count = make(bag, task, 3600.0 * hours, rate, plugin)
            size = sum(path.stat().st_size for path in bag.iterdir()) / 1e6
            command = [sys.executable, __file__, "--read", str(bag)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows[name] = {"written": count, "size_mb": round(size)} | json.loads(done.stdout)
    return rows


# ---------------------------------------------------------------- damaged bags


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of a file with some of them changed, cut out, or the end cut off."""
    raw = bytearray(content)
    for place in rng.integers(len(raw), size=int(rng.integers(0, 6))):
        raw[place] = int(rng.integers(256))
    if rng.random() < 0.2:
        first = int(rng.integers(len(raw)))
        del raw[first : first + int(rng.integers(1, 2000))]
    if rng.random() < 0.3:
        del raw[int(rng.integers(len(raw))) :]
    return bytes(raw)


def check(bag: Path, out: Path) -> str:
    """What came of a damaged bag. Raises AssertionError for half a dataset, or messages without account."""
    text = io.StringIO()
    with redirect_stdout(text):
        status = sobo(["from-bag", str(bag), "--task", "ur5", "--starts", "1", "--out", str(out), "--json"])
    report = json.loads(text.getvalue())
    for each in report["bags"]:
        for topic, use in each["topics"].items():
            assert sum(use["uses"].values()) == use["messages"], (topic, use)
    stored = 0 if report["dataset"] is None else report["dataset"]["collected"]
    assert status == (0 if stored else 1), status
    if stored:
        assert len(load(out, load_arm("ur5"))) == stored
    for path in shard_paths(out) if out.exists() else ():
        read_shard(path)
    assert not list(out.glob(".*tmp")), "a temporary file is left"
    if not stored:
        return "a reason"
    return "data, damage named" if any(each["damages"] for each in report["bags"]) else "data"


def fuzz(count: int, seed: int) -> dict[str, int]:
    """Damages bags of every format; returns how many led to what."""
    task, results = load_arm("ur5"), {}
    with tempfile.TemporaryDirectory() as place:
        folder, sources = Path(place), []
        for name, plugin, zstd in (
            ("mcap", StoragePlugin.MCAP, False),
            ("zstd", StoragePlugin.MCAP, True),
            ("sqlite", StoragePlugin.SQLITE3, False),
        ):
            make(folder / name, task, 9.0, 40.0, plugin, zstd)
            sources.append(next(path for path in (folder / name).iterdir() if path.suffix != ".yaml"))
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            source = sources[number % len(sources)]
            bag, out = folder / f"damaged{source.suffix}", folder / "data"
            bag.write_bytes(damage(source.read_bytes(), rng))
            try:
                result = check(bag, out)
            except Exception as error:
                raise SoboError(f"bag {number} of seed {seed}: {type(error).__name__}: {error}") from error
            results[result] = results.get(result, 0) + 1
            shutil.rmtree(out, ignore_errors=True)
    return results


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="length of the bag")
    parser.add_argument("--rate", type=float, default=500.0, help="joint states a second")
    parser.add_argument("--fuzz", type=int, default=0, help="damage so many bags instead")
    parser.add_argument("--seed", type=int, default=0, help="of the damage")
    parser.add_argument("--json", type=Path, default=None, help="file for the results")
    parser.add_argument("--read", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measures, prints, stores."""
    given = arguments()
    if given.read is not None:
        print(json.dumps(read(given.read)))
        return 0
    try:
        if given.json is not None:
            check_output(given.json)
        if given.fuzz:
            results: dict[str, Any] = {
                "fuzzed": given.fuzz,
                "seed": given.seed,
                "results": fuzz(given.fuzz, given.seed),
            }
        else:
            results = {"hours": given.hours, "rate": given.rate, "rows": speed(given.hours, given.rate)}
        print(json.dumps(results, indent=1))
        if given.json is not None:
            from sobo_training.bench import machine  # brings torch, whose memory is not to be measured

            write_json(given.json, results | {"machine": machine.describe()})
    except (DatasetError, SoboError) as error:
        print(f"bags: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
