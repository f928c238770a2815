"""Joint states: read by name, whatever else their messages hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time
from message_strategies import any_joint_states, good_joint_states, joint_states
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.joint_states import JointStateReader, Sample
from sobo_planner.ros.support.status import Refused, Status

NAMES = ["a", "b", "c"]
HOME = [0.0, -1.0, 2.0]
ROS = 1_700_000_000.0
NAN, INF = math.nan, math.inf
numbers = st.floats(-1e6, 1e6)
columns = st.lists(numbers, min_size=3, max_size=3)


def message(names: list[str], q: list[float], v: list[float], stamp: float = 0.0) -> JointState:
    out = JointState(name=names, position=[float(x) for x in q], velocity=[float(x) for x in v])
    out.header.stamp = Time(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0)))
    return out


def read(*args: object, reader: JointStateReader | None = None) -> Sample:
    sample = (reader or JointStateReader(NAMES)).read(message(*args))
    assert sample is not None
    return sample


@given(columns, columns, st.permutations(range(5)), st.floats(allow_nan=True))
def test_any_order_and_extra_joints(q: list[float], v: list[float], order: list[int], other: float) -> None:
    names, positions = [*NAMES, "gripper", "rail"], [*q, other, other]
    velocities = [*v, other, other]
    sample = read([names[i] for i in order], [positions[i] for i in order], [velocities[i] for i in order])
    np.testing.assert_array_equal(sample.joints, [0, 1, 2])
    np.testing.assert_array_equal([sample.q, sample.v], [q, v])


def test_order_and_joints_may_change_between_messages() -> None:
    reader = JointStateReader(NAMES)
    for names, joints in ((NAMES, [0, 1, 2]), (NAMES[::-1], [0, 1, 2]), (["c", "a"], [0, 2]), (["b"], [1])):
        values = [float("abc".index(name)) for name in names]
        sample = read(names, values, [10.0 + x for x in values], reader=reader)
        np.testing.assert_array_equal(sample.joints, joints)
        np.testing.assert_array_equal(sample.q, joints)
        np.testing.assert_array_equal(sample.v, 10.0 + np.array(joints))
    assert reader.read(JointState()) is None


def test_prefix() -> None:
    reader = JointStateReader(NAMES, "left_")
    assert reader.names == ["left_a", "left_b", "left_c"]
    np.testing.assert_array_equal(read(reader.names, [1, 2, 3], [0, 0, 0], reader=reader).q, [1, 2, 3])
    assert reader.read(message(NAMES, [1, 2, 3], [0, 0, 0])) is None


@pytest.mark.parametrize("other", [JointState(), message(["gripper"], [NAN], [INF]), message(["x", "x"], [1], [])])
def test_a_message_without_any_of_our_joints_is_no_fault(other: JointState) -> None:
    reader = JointStateReader(NAMES)
    assert reader.read(other) is None
    assert reader.without_velocity == 0


def test_velocities_that_were_not_measured() -> None:
    reader = JointStateReader(NAMES)
    np.testing.assert_array_equal(read(NAMES, [1, 2, 3], [], reader=reader).v, [NAN] * 3)
    assert reader.without_velocity == 1
    np.testing.assert_array_equal(read(NAMES, [1, 2, 3], [4, NAN, 6], reader=reader).v, [4, NAN, 6])
    assert reader.without_velocity == 2
    read([*NAMES, "gripper"], [1, 2, 3, 4], [4, 5, 6, NAN], reader=reader)
    assert reader.without_velocity == 2


@pytest.mark.parametrize(("stamp", "read_as"), [(0.0, None), (5.0, 5.0), (0.25, 0.25), (ROS + 0.5, ROS + 0.5)])
def test_stamps(stamp: float, read_as: float | None) -> None:
    assert read(NAMES, [1, 2, 3], [], stamp).stamp == read_as


@pytest.mark.parametrize(
    ("names", "q", "v", "says"),
    [
        (["a", "b", "c", "b"], [1, 2, 3, 4], [0] * 4, "more than once: ['b']"),
        (NAMES, [1, 2], [0, 0, 0], "3 names but 2 values of position"),
        (NAMES, [1, 2, 3, 4], [0, 0, 0], "4 values of position"),
        (NAMES, [], [], "0 values of position"),
        (NAMES, [1, 2, 3], [0, 0], "2 values of velocity"),
        (NAMES, [1, 2, 3], [0, 0, 0, 0], "4 values of velocity"),
        (["x", "c"], [INF, NAN], [0, 0], "position not finite: {'c': nan}"),
        (["x", "c"], [INF, 0], [NAN, -INF], "velocity infinite: {'c': -inf}"),
    ],
)
def test_malformed_state_is_refused(names: list[str], q: list[float], v: list[float], says: str) -> None:
    reader = JointStateReader(NAMES)
    for _ in range(2):  # the mapping of names that were refused is not remembered
        with pytest.raises(Refused) as refused:
            reader.read(message(names, q, v))
        assert refused.value.status is Status.BAD_STATE
        assert says in refused.value.detail


@given(columns, columns, st.integers(0, 5), st.sampled_from([NAN, INF, -INF]))
def test_state_that_is_not_finite_is_refused(q: list[float], v: list[float], at: int, bad: float) -> None:
    if at >= 3 and math.isnan(bad):
        bad = INF  # a velocity that is NaN was not measured
    (q if at < 3 else v)[at % 3] = bad
    with pytest.raises(Refused) as refused:
        read(NAMES, q, v)
    assert NAMES[at % 3] in refused.value.detail and refused.value.status is Status.BAD_STATE


@given(good_joint_states(NAMES, HOME), st.data())
def test_a_state_depends_on_names_alone(first: JointState, data: st.DataObject) -> None:
    """Neither on the order of joints, nor on joints of others, nor on what was read before."""
    values = {name: (q, v) for name, q, v in zip(first.name, first.position, first.velocity, strict=False)}
    values = values or {name: (q, NAN) for name, q in zip(first.name, first.position, strict=True)}
    order = data.draw(st.permutations(NAMES))
    second = message(order, [values[name][0] for name in order], [values[name][1] for name in order])
    reader = JointStateReader(NAMES)
    samples = [reader.read(first), reader.read(second), JointStateReader(NAMES).read(first)]
    for each in samples:
        assert each is not None
        np.testing.assert_array_equal(each.q, [values[name][0] for name in NAMES])
        np.testing.assert_array_equal(each.v, [values[name][1] for name in NAMES])


@given(joint_states(NAMES, HOME), any_joint_states(NAMES))
def test_any_state_is_read_or_refused_but_never_anything_else(first: JointState, second: JointState) -> None:
    reader = JointStateReader(NAMES)
    for each in (first, second, first):
        try:
            sample = reader.read(each)
        except Refused as refused:
            assert refused.status is Status.BAD_STATE and refused.detail
        else:
            ours = [name for name in NAMES if name in each.name]
            if sample is None:
                assert not ours
                continue
            assert sample.q.shape == sample.v.shape == sample.joints.shape == (len(ours),)
            assert np.isfinite(sample.q).all() and not np.isinf(sample.v).any()
            positions = dict(zip(each.name, each.position, strict=True))
            np.testing.assert_array_equal(sample.q, [positions[name] for name in ours])
