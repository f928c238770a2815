// Configurations with the tool at a target.
#pragma once

#include <utility>

#include "robot.hpp"

namespace sobo {

/// How a configuration is sought, see inverse_kinematics of sobo_planner/robot/kinematics.py.
struct Approach {
  VectorXd lower, upper; // positions
  double tolerance, max_step;
  double lever; // [m] that a radian counts as
};

/// So many steps of damped least squares from q towards a position (3) or a pose (7), or fewer if that is reached. Returns
/// where they lead to, and whether the tool is at the target there.
std::pair<VectorXd, bool> approach(const Robot &robot, const VectorXd &q, const VectorXd &target, int steps, const Approach &how);

} // namespace sobo
