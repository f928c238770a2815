"""Whether everything that moves has a mass and an inertia: without them torques and accelerations are no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.errors import RobotError
from sobo_planner.robot.urdf_check import REQUIRED, numbers_of

Array = NDArray[np.float64]

# Moments of inertia below this are rounding [kg m^2]: a milligram at a millimetre.
NO_INERTIA = 1e-12


def check_inertias(bodies: Mapping[str, Sequence[Element]]) -> None:
    """Refuses bodies that move without a mass or an inertia tensor, and tensors that no body has.

    Args:
        bodies: The links that each moving joint carries; one with mass and tensor is enough.

    Raises:
        RobotError: What is wrong in which link.
    """
    for joint, links in bodies.items():
        for link in links:
            _check_tensor(link)
        if any(_mass(link) > 0.0 and np.abs(_tensor(link)).max() > NO_INERTIA for link in links):
            continue
        first = links[0]
        if first.find("inertial") is None:
            fault = "has no <inertial>"
        elif _mass(first) == 0.0:
            fault = "has no mass (mass value)"
        else:
            fault = "has a zero inertia tensor (inertia ixx ... izz)"
        fixed = ", ".join(repr(link.get("name")) for link in links[1:4])
        others = f", nor has anything fixed to it ({fixed})" if fixed else ""
        raise RobotError(
            f"link {first.get('name')!r} moves with joint {joint!r} but {fault}{others}: give it the mass and inertia "
            "of the real part, or lock the joint"
        )


def check_mass_matrix(robot: _native.Robot) -> None:
    """Refuses a robot with a joint that moves no inertia: any torque would accelerate it without bound.

    Raises:
        RobotError: Names the joint.
    """
    n = robot.nv
    rest = np.zeros(n)
    for q in np.random.default_rng(0).uniform(-1.0, 1.0, (4, n)):
        held = robot.inverse_dynamics(q, rest, rest)
        mass = np.array([robot.inverse_dynamics(q, rest, unit) - held for unit in np.eye(n)])
        least = np.nan_to_num(np.diag(mass), nan=-1.0, posinf=-1.0)
        if np.isfinite(mass).all() and least.min() > 0.0 and np.linalg.eigvalsh(mass)[0] > 0.0:
            continue
        worst = int(np.argmin(least))
        raise RobotError(
            f"joint {robot.joint_names[worst]!r} moves an inertia of {mass[worst, worst]:g}, which is too little or no "
            "number: check the inertia of its links, or give it a rotor inertia (armature)"
        )


def _mass(link: Element) -> float:
    mass = link.find("inertial/mass")
    return 0.0 if mass is None else numbers_of(mass, "value")[0]


def _tensor(link: Element) -> Array:
    """Inertia about the centre of mass [kg m^2], (3, 3); zero if there is none."""
    inertia = link.find("inertial/inertia")
    if inertia is None:
        return np.zeros((3, 3))
    xx, xy, xz, yy, yz, zz = (numbers_of(inertia, name)[0] for name in REQUIRED["inertia"])
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _check_tensor(link: Element) -> None:
    moments = np.linalg.eigvalsh(_tensor(link))
    if moments[0] < -max(1e-6 * abs(moments[2]), NO_INERTIA):
        raise RobotError(
            f"link {link.get('name')!r}: the inertia tensor has the negative principal moment {moments[0]:.3g} kg m^2, "
            "which no body has: check ixx ... izz"
        )
