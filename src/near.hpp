// Bodies that touch or nearly do, and how their distances change with the joints.
#pragma once

#include <vector>

#include "robot.hpp"

namespace sobo {

struct NearBodies {
  Contact contact;
  double gap;     // what is left until they touch, negative where they do [m]
  VectorXd slope; // d distance / d q (nv); zero where it is not known
};

/// All pairs of bodies whose gap is below `within` [m].
std::vector<NearBodies> near_bodies(const RobotImpl &robot, const VectorXd &q, double within);

} // namespace sobo
