"""Bags that others recorded: every format, joint order and damage gives what can be read, and a reason for the rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import logged_bags as logged
from mcap_made import mcap

from sobo_planner.errors import DatasetError
from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Candidate, Filters, Found, Selection
from sobo_training.bags.conversion import BagOptions, survey
from sobo_training.bags.packing import zstandard
from sobo_training.bags.survey import Contents, TimeRange
from sobo_training.bags.topics import Names

RATE = 100.0
MOVES = ([0.5, 0.2, -0.3, 0.2, 0.1, 0.0], [-0.5, 0.3, -0.3, 0.2, 0.1, 0.3], [0.1, 0.0, 0.2, -0.2, 0.3, 0.0])
DURATIONS = [1.0, 2.0, 1.5]
PAUSE = 0.5
# Messages of a chunk, and of the whole.
CHUNK = 50


@pytest.fixture(scope="module")
def stops(home: np.ndarray) -> list[np.ndarray]:
    """Where the arm rests."""
    return [home, *(home + np.array(move) for move in MOVES)]


@pytest.fixture(scope="module")
def positions(stops: list[np.ndarray]) -> np.ndarray:
    """Three motions with pauses between."""
    return logged.path(stops, DURATIONS, PAUSE, RATE)


@pytest.fixture(scope="module")
def states(task: ArmReach, positions: np.ndarray) -> list[logged.Message]:
    """Joint states of the arm."""
    return logged.joint_states(task.robot.joint_names, positions, RATE)


class Read:
    """What was read of bags: contents, candidates and what gave none."""

    def __init__(self, task: ArmReach, paths: Sequence[Path], filters: Filters, options: BagOptions) -> None:
        selection, self.bags = Selection(task, filters), list[Contents]()
        for contents in survey(paths, task, options, progress=False):
            selection.add(contents)
            self.bags.append(contents)
        self.found: Found = selection.found

    @property
    def candidates(self) -> list[Candidate]:
        """The instances."""
        return self.found.candidates

    @property
    def damages(self) -> str:
        """All damages, as text."""
        return "\n".join(str(damage) for bag in self.bags for damage in bag.damages)

    def uses(self, topic: str = "/joint_states") -> dict[str, int]:
        """What became of a topic's messages."""
        return {what: count for bag in self.bags for what, count in bag.uses.get(topic, {}).items() if count}


ReadBags = Callable[..., Read]


@pytest.fixture
def read(task: ArmReach) -> ReadBags:
    """Reads bags, and checks that every message is accounted for."""

    def run(
        *paths: Path, filters: Filters | None = None, times: TimeRange | None = None, names: Names | None = None
    ) -> Read:
        options = BagOptions(names or Names(), times or TimeRange())
        found = Read(task, paths, filters or Filters(), options)
        for bag in found.bags:
            assert {topic: sum(uses.values()) for topic, uses in bag.uses.items()} == dict(bag.totals)
        return found

    return run


def check_motions(found: Read, stops: list[np.ndarray], which: Sequence[int] = (0, 1, 2)) -> None:
    """The instances are these of the three motions."""
    assert [each.kind for each in found.candidates] == ["motion"] * len(which)
    for candidate, i in zip(found.candidates, which, strict=True):
        assert candidate.states is not None
        assert np.abs(candidate.instance.x0 - [*stops[i], *np.zeros(6)]).max() < 3e-3
        assert np.abs(candidate.states[-1, :6] - stops[i + 1]).max() < 3e-3
        # at the task's pace, two seconds; the motion includes a tenth of a second of rest at either end
        assert candidate.stretch == pytest.approx((DURATIONS[i] + 0.1) / 2.0, abs=0.06)


@pytest.mark.parametrize("kind", ["mcap", "zstd", "sqlite"])
def test_joint_states_alone(
    kind: str, read: ReadBags, states: list, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    logged.write(tmp_path / "bag", states, sqlite=kind == "sqlite", zstd=kind == "zstd")
    found = read(tmp_path / "bag")
    check_motions(found, stops)
    assert not found.damages and set(found.uses()) == {"in motions", "at rest"}
    for candidate, end in zip(found.candidates, stops[1:], strict=True):
        assert np.allclose(candidate.instance.target, task.robot.tool_position(end), atol=3e-3)


def test_other_order_and_a_gripper(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    order = [3, 0, 5, 1, 4, 2]
    names = ["finger", *(task.robot.joint_names[i] for i in order)]
    wide = np.hstack([np.zeros((len(positions), 1)), positions[:, order]])
    logged.write(tmp_path / "bag", logged.joint_states(names, wide, RATE))
    check_motions(read(tmp_path / "bag"), stops)


def test_arm_in_two_messages_and_a_gripper_in_a_third(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    names, count = list(task.robot.joint_names), len(positions)
    parts = logged.joint_states(names[:2], positions[:, :2], RATE) + logged.joint_states(
        names[2:], positions[:, 2:], RATE
    )
    parts += logged.joint_states(["finger"], np.zeros((count, 1)), RATE)
    logged.write(tmp_path / "bag", parts)
    found = read(tmp_path / "bag")
    check_motions(found, stops)
    assert found.uses()["no joint of the arm"] == count
    assert found.uses()["a part of the arm's joints, merged with the others"] == count


def packed(file: Path, to: Path, each: bool = False) -> None:
    """Compresses a bag as a whole, or each message of an SQLite bag by itself."""
    if not each:
        to.write_bytes(zstandard().compress(file.read_bytes()))
        return
    to.write_bytes(file.read_bytes())
    with closing(sqlite3.connect(to)) as database, database:
        rows = database.execute("SELECT id, data FROM messages").fetchall()
        database.executemany(
            "UPDATE messages SET data = ? WHERE id = ?", [(zstandard().compress(raw), n) for n, raw in rows]
        )


@pytest.mark.parametrize("sqlite, each", [(False, False), (True, False), (True, True)])
def test_compressed_file_or_messages(
    sqlite: bool, each: bool, read: ReadBags, states: list, stops: list, tmp_path: Path
) -> None:
    file = logged.write(tmp_path / "bag", states, sqlite=sqlite)
    path = tmp_path / (file.name if each else f"{file.name}.zstd")
    packed(file, path, each)
    check_motions(read(path), stops)
    raw = path.read_bytes()
    path.write_bytes(raw[:-10])
    cut = read(path)
    assert sum(cut.uses().values()) < len(states) or each
    assert "decompressed" in cut.damages or each


def test_bag_of_several_files_in_a_folder_of_bags(read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    """Motions go on from file to file, of which the tenth comes last."""
    folder = tmp_path / "bags" / "today"
    folder.mkdir(parents=True)
    size = len(states) // 11 + 1
    for number in range(11):
        (folder / f"today_{number}.mcap").write_bytes(mcap(states[number * size : (number + 1) * size], CHUNK)[0])
    found = read(tmp_path / "bags")
    assert [bag.bag.path for bag in found.bags] == [folder]
    check_motions(found, stops)


def test_prefix_and_missing_stamps(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    names = [f"left_{name}" for name in task.robot.joint_names]
    kind = "sensor_msgs/msg/JointState"
    unstamped = [
        ("/left/joint_states", kind, time, logged.joint_state(names, q, 0))
        for (_, _, time, _), q in zip(logged.joint_states(names, positions, RATE), positions, strict=True)
    ]
    place = task.robot.tool_position(stops[1]) + [0.003, 0.0, 0.0]
    local = task.robot.placement("base_link").inverse().goal(place)
    goal = logged.pose_goal(local, logged.BEGIN + logged.SECOND // 4, frame="left_base_link")
    logged.write(tmp_path / "bag", [*unstamped, goal])
    found = read(tmp_path / "bag", names=Names(prefix="left_"))
    check_motions(found, stops)
    assert np.allclose(found.candidates[0].instance.target, place)


def test_missing_joint_is_named(read: ReadBags, positions: np.ndarray, task: ArmReach, tmp_path: Path) -> None:
    logged.write(tmp_path / "bag", logged.joint_states(task.robot.joint_names[1:], positions[:, 1:], RATE))
    found = read(tmp_path / "bag")
    assert not found.candidates
    assert "no state of the joints shoulder_pan_joint" in "\n".join(found.bags[0].notes)


def test_names_by_option(read: ReadBags, positions: np.ndarray, stops: list, tmp_path: Path) -> None:
    logged.write(tmp_path / "bag", logged.joint_states(list("abcdef"), positions, RATE, topic="/left/state"))
    wrong = read(tmp_path / "bag", names=Names({"joint_states": "/right/state"}))
    assert not wrong.candidates and wrong.bags[0].notes == [
        "no topic /right/state of the type sensor_msgs/msg/JointState; the topics there: /left/state"
    ]
    names = Names({"joint_states": "left/state"}, tuple("abcdef"))
    check_motions(read(tmp_path / "bag", names=names), stops)


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("compression", ["", "lz4"])
def test_cut_file_is_read_up_to_its_cut(
    compression: str, read: ReadBags, states: list, stops: list, tmp_path: Path
) -> None:
    content, places = mcap(states, CHUNK, compression)
    path = tmp_path / "cut.mcap"
    inside = places[8] + (places[9] - places[8]) // 2
    path.write_bytes(content[:inside])
    found = read(path)
    check_motions(found, stops, [0, 1][: len(found.candidates)])
    assert "is cut by the end of the file" in found.damages
    # lz4 gives nothing back of a block that is cut
    least = 8 * CHUNK + (CHUNK // 3 if compression == "" else 0)
    assert least <= sum(found.uses().values()) < 9 * CHUNK
    whole = tmp_path / "unfinished.mcap"
    whole.write_bytes(content[: places[-1]])
    assert sum(read(whole).uses().values()) == CHUNK * (len(places) - 1)


@pytest.mark.parametrize("compression", ["", "lz4"])
def test_flipped_byte_costs_its_chunk(
    compression: str, read: ReadBags, states: list, stops: list, tmp_path: Path
) -> None:
    content, places = mcap(states, CHUNK, compression)
    raw = bytearray(content)
    raw[(places[5] + places[6]) // 2 - 400] ^= 0x10  # in the second motion
    path = tmp_path / "flipped.mcap"
    path.write_bytes(raw)
    found = read(path)
    assert sum(found.uses().values()) == len(states) - CHUNK
    assert f"the chunk at byte {places[5]}" in found.damages and f"{CHUNK} messages are lost" in found.damages
    check_motions(found, stops, [0, 2])
    assert found.found.unused["motion"] == {
        "the arm moves where the states end": 1,
        "the arm moves where the states begin": 1,
    }


@pytest.mark.parametrize("chunked", [True, False])
def test_damaged_length_is_passed_over(chunked: bool, read: ReadBags, states: list, tmp_path: Path) -> None:
    content, places = mcap(states, CHUNK, chunked=chunked)
    raw = bytearray(content)
    raw[places[3] : places[3] + 40] = b"\xff" * 40  # opcode, length and head
    path = tmp_path / "damaged.mcap"
    path.write_bytes(raw)
    found = read(path)
    assert sum(found.uses().values()) == len(states) - (CHUNK if chunked else 1)
    assert f"bytes {places[3]} to {places[4]} are damaged" in found.damages


def test_first_chunk_of_a_finished_file_may_be_lost(read: ReadBags, states: list, tmp_path: Path) -> None:
    """The chunk that describes the channels: the summary repeats them."""
    many = [*states, *((topic, kind, time + 10 * logged.SECOND, content) for topic, kind, time, content in states)]
    while len(many) < 5000:
        many += [(topic, kind, time + 100 * logged.SECOND, content) for topic, kind, time, content in many]
    path = logged.write(tmp_path / "bag", many)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"\x06", 9 + 8)  # the first chunk's opcode, behind the header
    raw[place + 9 + 24 : place + 9 + 28] = b"\x01\x02\x03\x04"  # a checksum that its content has not
    path.write_bytes(raw)
    found = read(path)
    assert 0 < sum(found.uses().values()) < len(many) and "does not match its checksum" in found.damages


def test_damaged_page_of_sqlite(read: ReadBags, states: list, tmp_path: Path) -> None:
    path = logged.write(tmp_path / "bag", states, sqlite=True)
    with sqlite3.connect(path) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
    raw = bytearray(path.read_bytes())
    leaves = [place for place in range(0, len(raw), size) if raw[place] == 0x0D]  # pages that hold rows
    middle = leaves[len(leaves) // 2]
    raw[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(raw)
    found = read(path)
    assert len(states) - 60 < sum(found.uses().values()) < len(states)
    assert "cannot be read: database disk image is malformed" in found.damages
    path.write_bytes(raw[: len(raw) // 3])
    assert 0 < sum(read(path).uses().values()) < len(states) // 2


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "the file is empty"),
        (b"#ROSBAG V2.0\n", "ROS 1"),
        (b"\x89MCAP0\r\n", ""),
        (b"not a bag at all" * 10, "does not begin as an MCAP file does"),
        (b"SQLite format 3\0" + b"\x10" * 200, "cannot be read"),
        (b"\x28\xb5\x2f\xfd" + b"\x10" * 200, "cannot be decompressed"),
    ],
)
def test_what_is_no_bag_has_a_reason(content: bytes, reason: str, read: ReadBags, tmp_path: Path) -> None:
    path = tmp_path / "bag.mcap"
    path.write_bytes(content)
    found = read(path)
    assert not found.candidates and reason in found.damages


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
def test_second_library(compression: str, read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    """`mcap` reads the bags of these tests, and what it writes is read here, checksums included."""
    pytest.importorskip("mcap", reason="needs mcap: the extra `test`")
    from mcap.reader import make_reader
    from mcap.writer import CompressionType, Writer

    path = tmp_path / "bag.mcap"
    path.write_bytes(mcap(states, CHUNK)[0])
    with path.open("rb") as file:
        found = [(message.log_time, message.data) for _, _, message in make_reader(file).iter_messages()]
    assert [time for time, _ in found] == [time for _, _, time, _ in states]
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=10_000, compression=CompressionType[compression])
        writer.start(profile="ros2")
        schema = writer.register_schema("sensor_msgs/msg/JointState", "ros2msg", b"")
        channel = writer.register_channel("/joint_states", "cdr", schema)
        for time, data in found:
            writer.add_message(channel, time, data, time)
        writer.finish()
    check_motions(read(path), stops)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x01
    path.write_bytes(raw)
    damaged = read(path)
    assert len(states) - 60 < sum(damaged.uses().values()) < len(states) and "messages are lost" in damaged.damages


def test_folder_without_bags(read: ReadBags, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no bag in"):
        read(tmp_path)
    with pytest.raises(DatasetError, match="no bag at"):
        read(tmp_path / "nothing")


# ---------------------------------------------------------------- clocks, repetition


def shifted(
    states: list[logged.Message], task: ArmReach, positions: np.ndarray, first: int, by: float
) -> list[logged.Message]:
    """The same joint states with stamps that are set from one on."""
    out = list(states)
    for i in range(first, len(out)):
        topic, kind, time, _ = out[i]
        content = logged.joint_state(task.robot.joint_names, positions[i], time + round(by * logged.SECOND))
        out[i] = (topic, kind, time, content)
    return out


@pytest.mark.parametrize("by", [-100.0, 100.0])
@pytest.mark.parametrize("at_rest", [True, False])
def test_clock_that_is_set(
    by: float,
    at_rest: bool,
    read: ReadBags,
    states: list,
    positions: np.ndarray,
    stops: list,
    task: ArmReach,
    tmp_path: Path,
) -> None:
    first = int((PAUSE + DURATIONS[0] + (0.5 * PAUSE if at_rest else PAUSE + 1.0)) * RATE)
    logged.write(tmp_path / "bag", shifted(states, task, positions, first, by))
    found = read(tmp_path / "bag")
    check_motions(found, stops, [0, 1, 2] if at_rest else [0, 2])
    assert "the clock of the stamps was set 1 times" in "\n".join(found.bags[0].notes)


def test_single_wrong_stamp_or_position_is_left_out(
    read: ReadBags, states: list, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    wrong = list(states)
    topic, kind, time, _ = wrong[230]
    wrong[230] = (topic, kind, time, logged.joint_state(task.robot.joint_names, positions[230], time + 10**12))
    wrong[260] = (
        topic,
        kind,
        wrong[260][2],
        logged.joint_state(task.robot.joint_names, positions[260] + 1.0, wrong[260][2]),
    )
    logged.write(tmp_path / "bag", wrong)
    found = read(tmp_path / "bag")
    check_motions(found, stops)
    assert found.uses()["out of line with those around them"] == 2


def test_repeated_and_late_states(read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    content, _ = mcap([*states[:200], *states[190:195], *states[199:200], *states[200:]], CHUNK)
    path = tmp_path / "bag.mcap"
    path.write_bytes(content)
    found = read(path)
    check_motions(found, stops)
    assert found.uses()["out of order"] + found.uses().get("repeated", 0) == 6


def test_the_same_bag_counts_once(read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    path = logged.write(tmp_path / "bag", states)
    (tmp_path / "copy.mcap").write_bytes(path.read_bytes())
    other = logged.write(tmp_path / "other", states, sqlite=True)
    found = read(tmp_path / "bag", tmp_path / "bag", tmp_path / "copy.mcap", other)
    check_motions(found, stops)
    assert found.found.unused["motion"] == {"recorded twice": 3}
    notes = [note for bag in found.bags for note in bag.notes]
    assert len(notes) == 2 and all("is a copy of" in note for note in notes)


def test_motions_do_not_depend_on_the_blocks_they_come_in(
    states: list, positions: np.ndarray, stops: list, read: ReadBags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged.write(tmp_path / "bag", states, sqlite=True)
    whole = read(tmp_path / "bag")
    monkeypatch.setattr("sobo_training.bags.motions.BLOCK", 30)
    monkeypatch.setattr("sobo_training.bags.sqlite_file.BLOCK", 37)
    parts = read(tmp_path / "bag")
    assert [each.key for each in parts.candidates] == [each.key for each in whole.candidates]
    assert parts.uses() == whole.uses()


def test_arm_that_creeps_between_motions(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    """As in a receding horizon that improves a posture, or with a controller that sags."""
    creep = np.zeros_like(positions)
    creep[:, 5] = 0.04 * np.arange(len(positions)) / RATE
    logged.write(tmp_path / "bag", logged.joint_states(task.robot.joint_names, positions + creep, RATE))
    found = read(tmp_path / "bag")
    assert len(found.candidates) == 3
    for candidate, start in zip(found.candidates, stops, strict=False):
        assert np.abs(candidate.instance.x0[:5] - start[:5]).max() < 0.02
        assert candidate.instance.x0[11] == pytest.approx(0.04, abs=0.02)


# ---------------------------------------------------------------- goals and trajectories


def test_goals(read: ReadBags, states: list, stops: list, task: ArmReach, tmp_path: Path) -> None:
    base = task.robot.placement("base_link").inverse()
    reached = task.robot.tool_position(stops[1]) + [0.005, 0.0, 0.0]
    late = states[-1][2]
    free = base.goal(task.robot.tool_position(stops[0]))
    goals = [
        logged.pose_goal(base.goal(reached), logged.BEGIN + logged.SECOND // 4),
        logged.pose_goal(free, late),
        logged.pose_goal(np.array([9.0, 0.0, 0.0]), late + 1),
        logged.pose_goal(free, late + 2, frame="camera"),
    ]
    logged.write(tmp_path / "bag", [*states, *goals])
    found = read(tmp_path / "bag")
    motions = [each for each in found.candidates if each.kind == "motion"]
    assert np.allclose(motions[0].instance.target, reached)  # what was asked for, not where the tool ended
    (goal,) = (each for each in found.candidates if each.kind == "goal")
    assert goal.states is None and np.allclose(goal.instance.target, task.robot.tool_position(stops[0]))
    assert np.allclose(goal.instance.x0[:6], stops[-1], atol=1e-6)
    assert found.found.unused["goal"] == {
        "a plan or a motion follows, which counts instead": 1,
        "the goal is out of reach": 1,
    }
    assert found.uses("/goal_pose") == {"goals": 3, "in frame 'camera', which is not fixed to the root link": 1}


@pytest.mark.parametrize("refused", [False, True])
def test_goal_that_comes_in_motion(
    refused: bool,
    read: ReadBags,
    states: list,
    positions: np.ndarray,
    stops: list,
    task: ArmReach,
    tmp_path: Path,
) -> None:
    """What follows begins in motion; a goal that the node refused changes nothing."""
    row = int((2.0 * PAUSE + DURATIONS[0] + 1.0) * RATE)  # amid the second motion
    time = states[row][2] + 1
    place = task.robot.placement("base_link").inverse().goal(task.robot.tool_position(stops[2]))
    report = logged.string({"status": "refused", "reason": "OUT_OF_REACH", "detail": "", "goal": place.tolist()})
    answer = [("/plan_report", "std_msgs/msg/String", time + 1, report)] if refused else []
    logged.write(tmp_path / "bag", [*states, logged.pose_goal(place, time), *answer])
    found = read(tmp_path / "bag")
    if refused:
        check_motions(found, stops)
        return
    x0 = found.candidates[1].instance.x0
    assert np.abs(x0[:6] - positions[row]).max() < 0.03
    moved = (positions[row + 5] - positions[row]) * RATE / 5.0
    assert np.abs(x0[6:] - moved).max() < 0.1 and np.abs(moved).max() > 0.5
    assert np.allclose(found.candidates[1].instance.target, task.robot.tool_position(stops[2]))


def test_trajectories(
    read: ReadBags, states: list, stops: list, positions: np.ndarray, task: ArmReach, tmp_path: Path
) -> None:
    names = task.robot.joint_names[::-1]
    X = np.hstack([positions[50:151, ::-1], np.zeros((101, 6))])
    command = logged.trajectory(names, np.arange(1, 102) / RATE, X, logged.BEGIN + logged.SECOND // 2)
    logged.write(tmp_path / "alone", [command])
    (candidate,) = read(tmp_path / "alone").candidates
    assert candidate.kind == "trajectory" and candidate.states is not None
    assert np.allclose(candidate.states[[0, -1], :6], [stops[0], stops[1]], atol=1e-3)
    logged.write(tmp_path / "measured", [*states, command])
    found = read(tmp_path / "measured")
    check_motions(found, stops)
    assert found.found.unused["trajectory"] == {"the motion was measured, which counts instead": 1}


def test_filters(read: ReadBags, states: list, stops: list, task: ArmReach, tmp_path: Path) -> None:
    logged.write(tmp_path / "bag", states)
    second = PAUSE + DURATIONS[0]
    found = read(tmp_path / "bag", times=TimeRange(second + 0.1, second + DURATIONS[1] + 2.0 * PAUSE))
    check_motions(found, stops, [1])
    absolute = logged.BEGIN / logged.SECOND + second + 0.1
    assert len(read(tmp_path / "bag", times=TimeRange(absolute)).candidates) == 2
    place = task.robot.placement("base_link").inverse().goal(task.robot.tool_position(stops[2]))
    found = read(tmp_path / "bag", filters=Filters(region=np.stack([place - 0.02, place + 0.02])))
    check_motions(found, stops, [1])
    assert found.found.unused["motion"] == {"outside of the region": 2}
