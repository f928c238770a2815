#include "near.hpp"

#include <pinocchio/algorithm/jacobian.hpp>

#include "distance_slope.hpp"
#include "errors.hpp"
#include "robot_impl.hpp"

namespace sobo {

std::vector<NearBodies> near_bodies(const RobotImpl &robot, const VectorXd &q, double within) {
  if (q.size() != robot.model->nq)
    throw RobotError("q has " + std::to_string(q.size()) + " entries, expected " + std::to_string(robot.model->nq));
  const Bodies &bodies = *robot.bodies;
  const auto scratch = robot.borrow();
  pinocchio::computeJointJacobians(*robot.model, scratch->data, q);
  bodies.place(scratch->data, scratch->places);
  std::vector<NearBodies> near;
  for (std::size_t k = 0; k < bodies.pairs(); ++k) {
    if (bodies.apart(k, scratch->places, std::max(bodies.kept(k) + within, 0.0)))
      continue;
    const auto found = bodies.distance(k, scratch->places);
    const double gap = found.min_distance - bodies.kept(k);
    if (gap >= within)
      continue;
    const auto &pair = bodies.pair(k);
    VectorXd slope;
    distance_slope(*robot.model, scratch->data, line_between(found), bodies.joint(pair.first), bodies.joint(pair.second),
                   slope);
    near.push_back({{0.0, bodies.name(pair.first), bodies.name(pair.second), found.min_distance, bodies.with_object(k)},
                    gap,
                    slope});
  }
  return near;
}

} // namespace sobo
