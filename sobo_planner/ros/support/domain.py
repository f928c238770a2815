"""A ROS domain of one's own on this machine, so that a demo or a test meets no other ROS system."""

from __future__ import annotations

import os
import random
import socket

# Domains 0-101 keep all DDS ports under the range that Linux hands out to other programs; 0 is everyone's
# default.
DOMAINS = range(1, 102)


def isolated_environment(log_folder: str) -> dict[str, str]:
    """Environment variables of a ROS system that stays on this machine, in a domain that nobody uses."""
    return {
        "ROS_DOMAIN_ID": str(free_domain()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": log_folder,
    }


def free_domain() -> int:
    """A domain without a participant on this machine.

    The order is random, so that two callers at the same moment hardly ever choose the same one.

    Raises:
        OSError: every domain is in use.
    """
    for domain in random.SystemRandom().sample(DOMAINS, len(DOMAINS)):
        if _unused(domain):
            return domain
    raise OSError("every ROS domain from 1 to 101 is in use on this machine")


def _unused(domain: int) -> bool:
    """Whether the first participant's discovery port (DDSI-RTPS 9.6.1: 7400 + 250 d + 10) can be taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return False
    return True


def apply(environment: dict[str, str]) -> None:
    """Makes the variables this process's own; to be called before rclpy.init."""
    os.environ.update(environment)
