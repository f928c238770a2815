"""What is in a bag: motions, plans, goals and trajectories, and what became of every message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sobo_planner.tasks import ArmReach
from sobo_training.bags import plans, topics
from sobo_training.bags.arm_states import ArmStates
from sobo_training.bags.contents import Contents
from sobo_training.bags.decoding import Decode
from sobo_training.bags.files import Bag, read
from sobo_training.bags.goals import Goal, commanded, joint_goal, tool_goal
from sobo_training.bags.motions import MotionFinder
from sobo_training.bags.plans import Plans
from sobo_training.bags.records import SECOND, Batch, Channel, Findings
from sobo_training.bags.topics import Names
from sobo_training.bags.usable import TimeRange, Usable
from sobo_training.bags.worlds import LoggedWorlds

NOT_USED = "of a topic that is not used"
UNDECODED = "cannot be decoded"
# A trajectory that another one replaces within this time [s] moved nothing far.
REPLACED = 0.5


class Survey:
    """Reads one bag.

    Args:
        bag: The bag.
        task: Whose arm it is about.
        names: How things are named, where the task's own names are not used.
        decode: Decodes messages.
        time_range: What to read.
        advance: Called with the size of every part of the files that is read [bytes].
    """

    def __init__(
        self,
        bag: Bag,
        task: ArmReach,
        names: Names,
        decode: Decode,
        time_range: TimeRange,
        advance: Callable[[int], object],
    ) -> None:
        self._task, self._decode, self._advance = task, decode, advance
        self._usable = Usable(time_range, self._use)
        self._asked = names.topics
        names = topics.recorded_names(bag, decode).given(names)
        joints = names.joints or tuple(names.prefix + name for name in task.robot.joint_names)
        self._joints = joints
        worlds = LoggedWorlds(task.robot.root_link)
        self._contents = Contents(bag, replace(names, joints=joints), worlds=worlds)
        self._arms: dict[str, tuple[ArmStates, MotionFinder]] = {}
        self._plans = Plans(decode, joints)
        self._latest: tuple[Channel, int, bytes] | None = None  # trajectory that the next one may replace

    def run(self) -> Contents:
        """Reads all files."""
        for path in self._contents.bag.files:
            self._file(path, Findings(damages=self._contents.damages))
        self._finish()
        return self._contents

    def _file(self, path: Path, findings: Findings) -> None:
        contents, passed = self._contents, 0
        for block in read(path, lambda channel: contents.names.role(channel) is not None, findings):
            for batch in block:
                self._batch(batch)
            self._plans.settle(contents.last or 0)
            self._advance(findings.passed - passed)
            passed = findings.passed
        self._advance(path.stat().st_size - passed)
        for topic, count in findings.skipped.items():
            self._use(topic, NOT_USED, count)
        contents.totals.update(findings.skipped)
        contents.types.update(findings.types)

    def _use(self, topic: str, what: str, count: int = 1) -> None:
        if count:
            self._contents.uses.setdefault(topic, Counter())[what] += count

    # ---------------------------------------------------------------- batches

    def _batch(self, batch: Batch) -> None:
        contents, channel = self._contents, batch.channel
        contents.totals[channel.topic] += len(batch.payloads)
        contents.types.setdefault(channel.topic, channel.type)
        if contents.first is None:
            contents.first = int(batch.times[0])
        contents.last = int(batch.times[-1])
        batch = self._usable.of(batch, contents.first)
        role = contents.names.role(channel)
        if not len(batch.payloads) or role is None:
            return
        if role == topics.JOINT_STATES:
            self._joint_states(batch)
        elif role in (topics.GOAL, topics.GOAL_JOINTS):
            self._each(batch, self._goal)
        elif role == topics.WORLD:
            self._each(batch, self._world)
        else:
            if role == plans.TRAJECTORY and plans.REPORT not in contents.names.topics:
                self._trajectories(batch)
            else:
                self._use(channel.topic, "parts of plans", len(batch.payloads))
            self._plans.add(role, batch)

    def _joint_states(self, batch: Batch) -> None:
        topic, robot = batch.channel.topic, self._task.robot
        if topic not in self._arms:
            arm = ArmStates(self._joints, robot.position_lower, robot.position_upper)
            self._arms[topic] = arm, MotionFinder()
        arm, finder = self._arms[topic]
        track = arm.read(batch)
        if track is not None:
            finder.add(track)

    def _each(self, batch: Batch, take: Callable[[str, int, bytes], str]) -> None:
        for time, payload in zip(batch.times.tolist(), batch.payloads, strict=True):
            try:
                use = take(batch.channel.type, time, bytes(payload))
            except ValueError as error:
                use = str(error)
                use = UNDECODED if use.startswith(UNDECODED) else use
            self._use(batch.channel.topic, use)

    def _goal(self, type_name: str, time: int, payload: bytes) -> str:
        message, robot = self._decode(type_name, payload), self._task.robot
        if type_name == topics.JOINT_STATE:
            target = robot.tool_position(joint_goal(message, self._joints))
        else:
            target = tool_goal(message, robot.fixed_links, self._contents.names.prefix)
        self._contents.goals.append(Goal(time, target))
        return "goals"

    def _world(self, type_name: str, time: int, payload: bytes) -> str:
        if topics.WORLD not in self._contents.names.topics:  # somebody else's
            return NOT_USED
        return self._contents.worlds.add(time, payload, self._decode)

    def _trajectories(self, batch: Batch) -> None:
        """Keeps those that nothing replaced at once: planners may send a hundred a second."""
        for time, payload in zip(batch.times.tolist(), batch.payloads, strict=True):
            latest = self._latest
            if latest is not None and latest[0] == batch.channel and 0 <= time - latest[1] <= REPLACED * SECOND:
                self._use(batch.channel.topic, "trajectories that were replaced at once")
            else:
                self._take_latest()
            self._latest = (batch.channel, time, bytes(payload))

    def _take_latest(self) -> None:
        if self._latest is not None:
            channel, time, payload = self._latest
            self._each(Batch(channel, np.array([time]), [payload]), self._trajectory)
        self._latest = None

    def _trajectory(self, type_name: str, time: int, payload: bytes) -> str:
        self._contents.trajectories.append(commanded(self._decode(type_name, payload), time, self._joints))
        return "trajectories"

    # ---------------------------------------------------------------- the end of a bag

    def _finish(self) -> None:
        contents = self._contents
        self._take_latest()
        self._plans.settle(contents.last or 0, final=True)
        contents.plans, contents.refusals = self._plans.plans, self._plans.refusals
        contents.unused_plans = self._plans.unused
        recorded = contents.names.task_hash
        if recorded and recorded != self._task.hash:
            contents.notes.append("recorded with another task, or other settings of it: plans are solved again")
        there = {topic.strip("/"): kind for topic, kind in contents.types.items()}
        for role, topic in self._asked.items():
            if there.get(topic.strip("/")) not in topics.TYPES[role]:
                kinds, found = " or ".join(topics.TYPES[role]), ", ".join(sorted(contents.types)) or "none"
                contents.notes.append(f"no topic {topic} of the type {kinds}; the topics there: {found}")
        for topic, (arm, finder) in self._arms.items():
            self._finish_arm(topic, arm, finder)
        contents.history.sort(key=lambda each: each[0])

    def _finish_arm(self, topic: str, arm: ArmStates, finder: MotionFinder) -> None:
        contents = self._contents
        finder.finish()
        for what, count in (arm.unused + finder.states).items():
            self._use(topic, what, count)
        contents.motions += finder.motions
        contents.unused_motions += finder.unused
        contents.history += finder.history
        missing = [name for name in self._joints if name not in arm.seen]
        if missing:
            seen = ", ".join(sorted(arm.seen)[:12]) or "none"
            contents.notes.append(f"{topic}: no state of the joints {', '.join(missing)}; the joints there: {seen}")
        faults = ((finder.clock_jumps, "the clock of the stamps was set"), (finder.gaps, "states are missing"))
        for count, what in faults:
            if count:
                contents.notes.append(f"{topic}: {what} {count} times; motions across are not used")
