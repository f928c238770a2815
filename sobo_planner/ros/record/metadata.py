"""The metadata.yaml of a rosbag2 folder, version 9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sobo_planner.ros.record.mcap_file import Topic
from sobo_planner.ros.record.mcap_records import Span

FOREVER = "\n    sec: 9223372036\n    nsec: 854775807"


def qos(durability: str = "volatile", depth: int = 10) -> str:
    """Quality of service of a reliable topic, as a YAML list."""
    return f"""\
- history: keep_last
  depth: {depth}
  reliability: reliable
  durability: {durability}
  deadline:{FOREVER}
  lifespan:{FOREVER}
  liveliness: automatic
  liveliness_lease_duration:{FOREVER}
  avoid_ros_namespace_conventions: false"""


def metadata(topics: Sequence[Topic], files: Mapping[str, Span]) -> str:
    """The text of metadata.yaml.

    Args:
        topics: Topics of the bag, by the numbers that the spans have for them.
        files: Its files by name, in order, with what each of them holds.
    """
    whole = Span()
    for span in files.values():
        whole.include(span)
    described = "".join(_topic(topic, whole.counts.get(i, 0)) for i, topic in enumerate(topics))
    names = "".join(f"\n    - {name}" for name in files)
    listed = "".join(f"\n    - path: {name}\n{_times(span, 6)}" for name, span in files.items())
    return f"""\
rosbag2_bagfile_information:
  version: 9
  storage_identifier: mcap
{_times(whole, 2)}
  topics_with_message_count:{described}
  compression_format: ""
  compression_mode: ""
  relative_file_paths:{names}
  files:{listed}
  custom_data: ~
  ros_distro: ""
"""


def _topic(topic: Topic, count: int) -> str:
    indented = topic.qos.replace("\n", "\n          ")
    return f"""
    - topic_metadata:
        name: {topic.name}
        type: {topic.type}
        serialization_format: cdr
        offered_qos_profiles:
          {indented}
        type_description_hash: {topic.type_hash}
      message_count: {count}"""


def _times(span: Span, indent: int) -> str:
    """Begin, duration and number of messages; of none, as rosbag2 writes them."""
    begin = span.first if span.total else 2**63 - 1
    lines = (
        "duration:",
        f"  nanoseconds: {max(span.last - span.first, 0)}",
        "starting_time:",
        f"  nanoseconds_since_epoch: {begin}",
        f"message_count: {span.total}",
    )
    return "\n".join(" " * indent + line for line in lines)
