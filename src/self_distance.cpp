#include "self_distance.hpp"

#include "direction.hpp"
#include "robot_impl.hpp"

namespace sobo {

using pinocchio::JointIndex;
using pinocchio::Model;

struct SelfDistance::Impl {
  Impl(const RobotImpl &robot, double margin, double object_margin)
      : model(robot.model), bodies(robot.bodies), margin(margin), object_margin(object_margin),
        places(bodies->places()) {}

  std::shared_ptr<const Model> model;
  std::shared_ptr<const Bodies> bodies;
  double margin, object_margin;
  Bodies::Places places; // scratch memory
};

SelfDistance::SelfDistance(const Robot &robot, double margin, double object_margin)
    : impl_(std::make_unique<Impl>(robot.impl(), margin, object_margin)) {}

SelfDistance::~SelfDistance() = default;

bool SelfDistance::made_for(const Robot &robot) const { return impl_->bodies == robot.impl().bodies; }

double SelfDistance::evaluate(const pinocchio::Data &data, std::vector<NearPair> &near) const {
  const Bodies &bodies = *impl_->bodies;
  near.clear();
  bodies.place(data, impl_->places);
  double sum = 0.0;
  for (std::size_t k = 0; k < bodies.pairs(); ++k) {
    const double margin = bodies.with_obstacle(k) ? bodies.kept(k) + impl_->object_margin : impl_->margin;
    if (bodies.apart(k, impl_->places, margin))
      continue;
    const auto found = bodies.distance(k, impl_->places);
    const double lack = margin - found.min_distance;
    if (!(lack > 0.0))
      continue;
    NearPair pair{lack, bodies.joint(bodies.pair(k).first), bodies.joint(bodies.pair(k).second), {}};
    const Vector3d normal = direction(found);
    pair.line << normal, found.nearest_points[1].cross(normal);
    near.push_back(pair);
    sum += lack * lack;
  }
  return sum;
}

// d' = n' (v2 - v1) with the velocities of the nearest points: the power of the line on the second body's motion less that
// on the first's. Joints that carry both cancel.
void SelfDistance::differentiate(const pinocchio::Data &data, const std::vector<NearPair> &near, VectorXd &gradient,
                                 MatrixXd &hessian) const {
  const auto &model = *impl_->model;
  gradient.setZero(model.nv);
  hessian.setZero(model.nv, model.nv);
  VectorXd slope(model.nv);
  for (const auto &pair : near) {
    slope.setZero();
    for (const JointIndex joint : model.supports[pair.second])
      if (joint > 0)
        slope[model.idx_vs[joint]] += data.J.col(model.idx_vs[joint]).dot(pair.line);
    for (const JointIndex joint : model.supports[pair.first])
      if (joint > 0)
        slope[model.idx_vs[joint]] -= data.J.col(model.idx_vs[joint]).dot(pair.line);
    gradient -= 2.0 * pair.lack * slope;
    hessian.noalias() += 2.0 * slope * slope.transpose();
  }
}

} // namespace sobo
