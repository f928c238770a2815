"""Hypothesis strategies of ROS messages: any that the types allow, and good ones with something wrong.

All are real messages, so that they may be published as well as read. Text excludes NUL, at which DDS ends a string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

MOST = 12  # entries of a list

any_float = st.floats()  # NaN and infinities included
odd_float = st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, -0.0])
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
any_stamp = st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1))
stamps = st.just(Time()) | any_stamp


def headers(frames: Sequence[str] = ()) -> SearchStrategy[Header]:
    """Any stamp; frames of the list, or any text."""
    return st.builds(Header, stamp=stamps, frame_id=_one_of_or_text(frames))


def _one_of_or_text(known: Sequence[str]) -> SearchStrategy[str]:
    return st.sampled_from(list(known)) | text if known else text


def any_joint_states(joint_names: Sequence[str]) -> SearchStrategy[JointState]:
    """Any joint state: names may be those of the robot, sizes need not agree."""
    column = st.lists(any_float, max_size=MOST)
    return st.builds(
        JointState,
        header=headers(),
        name=st.lists(_one_of_or_text(joint_names), max_size=MOST),
        position=column,
        velocity=column,
        effort=column,
    )


@st.composite
def good_joint_states(draw: DrawFn, joint_names: Sequence[str], positions: Sequence[float]) -> JointState:
    """States near `positions`, at rest or nearly: any order, joints of others among them, with velocity or not."""
    near = st.floats(-0.1, 0.1)
    n = len(joint_names)
    values = {name: (q + draw(near), draw(near)) for name, q in zip(joint_names, positions, strict=True)}
    extra = draw(st.lists(text.filter(lambda name: name not in values), max_size=3, unique=True))
    values |= {name: (draw(any_float), draw(any_float)) for name in extra}
    names = draw(st.permutations(list(values)))
    message = JointState(header=draw(headers()), name=names)
    message.position = [values[name][0] for name in names]
    if draw(st.integers(0, 3)):  # three times out of four
        message.velocity = [values[name][1] for name in names]
    message.effort = draw(st.lists(any_float, max_size=n))
    return message


def _rename(draw: DrawFn, message: JointState, at: int) -> None:
    message.name[at] = draw(st.sampled_from(list(message.name)) | text)


def _lose_name(draw: DrawFn, message: JointState, at: int) -> None:
    message.name = [*message.name[:at], *message.name[at + 1 :]]


def _change_size(draw: DrawFn, message: JointState, at: int) -> None:
    field = draw(st.sampled_from(["position", "velocity"]))
    values = list(getattr(message, field))
    setattr(message, field, values[:at] if draw(st.booleans()) else [*values, draw(any_float)])


def _spoil_number(draw: DrawFn, message: JointState, at: int) -> None:
    values = message.velocity if message.velocity and draw(st.booleans()) else message.position
    values[at] = draw(odd_float | any_float)


FAULTS: tuple[Callable[[DrawFn, JointState, int], None], ...] = (_rename, _lose_name, _change_size, _spoil_number)


@st.composite
def faulty_joint_states(draw: DrawFn, joint_names: Sequence[str], positions: Sequence[float]) -> JointState:
    """Good joint states with one thing changed, which makes most of them bad."""
    message = draw(good_joint_states(joint_names, positions))
    draw(st.sampled_from(FAULTS))(draw, message, draw(st.integers(0, len(message.name) - 1)))
    return message


def joint_states(joint_names: Sequence[str], positions: Sequence[float]) -> SearchStrategy[JointState]:
    """Good, faulty and arbitrary joint states.

    Args:
        joint_names: the robot's, prefix included.
        positions: what good ones are near to [rad], one for each joint.
    """
    faulty = faulty_joint_states(joint_names, positions)
    return good_joint_states(joint_names, positions) | faulty | any_joint_states(joint_names)


def any_goals(frames: Sequence[str]) -> SearchStrategy[PoseStamped]:
    """Any pose."""
    numbers = any_float | odd_float
    pose = st.builds(
        Pose,
        position=st.builds(Point, x=numbers, y=numbers, z=numbers),
        orientation=st.builds(Quaternion, x=numbers, y=numbers, z=numbers, w=numbers),
    )
    return st.builds(PoseStamped, header=headers(frames), pose=pose)


@st.composite
def good_goals(draw: DrawFn, base_frame: str) -> PoseStamped:
    """Poses in the base frame, within a metre and with a unit quaternion."""
    p, o = draw(st.tuples(*[st.floats(-1.0, 1.0)] * 3)), draw(unit_quaternions())
    pose = Pose(position=Point(x=p[0], y=p[1], z=p[2]), orientation=Quaternion(x=o[0], y=o[1], z=o[2], w=o[3]))
    return PoseStamped(header=Header(stamp=draw(stamps), frame_id=base_frame), pose=pose)


@st.composite
def faulty_goals(draw: DrawFn, base_frame: str) -> PoseStamped:
    """Good goals with one number or the frame changed."""
    message = draw(good_goals(base_frame))
    part = draw(st.sampled_from(["position", "orientation", "frame"]))
    if part == "frame":
        message.header.frame_id = draw(st.sampled_from(["", "map", f"/{base_frame}"]) | text)
    else:
        axis = draw(st.sampled_from("xyz"))
        setattr(getattr(message.pose, part), axis, draw(odd_float | any_float))
    return message


def goals(base_frame: str) -> SearchStrategy[PoseStamped]:
    """Good, faulty and arbitrary goals."""
    return good_goals(base_frame) | faulty_goals(base_frame) | any_goals([base_frame, "map", ""])


@st.composite
def unit_quaternions(draw: DrawFn) -> tuple[float, float, float, float]:
    """Unit quaternions x, y, z, w."""
    numbers = st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(lambda q: sum(x * x for x in q) > 1e-4)
    q = draw(numbers)
    norm = sum(x * x for x in q) ** 0.5
    return q[0] / norm, q[1] / norm, q[2] / norm, q[3] / norm
