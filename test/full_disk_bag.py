"""Run by test_full_disk.py with a folder on a small disk: records until it is full, and reads what is left."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bag_tools import by_rosbags, text, text_topics
from scripted_serving import wait

from sobo_planner.ros.record.bag import Bag
from sobo_planner.ros.record.types import Types
from sobo_planner.ros.record.writer import Entry, Writer

if __name__ == "__main__":
    types, failures = Types(), list[str]()
    bag = Bag(Path(sys.argv[1]), text_topics(types), 10**6, 10**8)
    writer = Writer(bag, failures.append)
    for number in range(1000):
        writer.put(Entry([(0, number, text(types, f"{number} {'x' * 10_000}"))], 10_000))
    wait(lambda: failures)
    read = [int(heard.message.data.split()[0]) for heard in by_rosbags(Path(sys.argv[1]))]
    print(json.dumps({"problem": writer.problem, "written": writer.written, "read": read}))
