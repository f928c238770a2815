// What bodies touch along a motion.
#pragma once

#include <optional>
#include <string>

#include "robot.hpp"

namespace sobo {

/// The first contact along cubic splines through positions Q (N x nq) and velocities V (N x nv) at times (N) [s].
///
/// It is certain that there is none before: intervals are halved until no body can have moved far enough to touch another
/// one, or until it could come no nearer than `contact_tolerance`, which counts as a contact. With `leaving`, links that
/// touch objects at the beginning may, as long as they go no deeper.
std::optional<Contact> first_contact(const RobotImpl &robot, const VectorXd &times, const RowMatrixXd &Q,
                                     const RowMatrixXd &V, bool leaving);

constexpr double contact_tolerance = 1e-4; // m

} // namespace sobo
