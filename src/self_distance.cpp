#include "self_distance.hpp"

#include "distance_slope.hpp"
#include "robot_impl.hpp"

namespace sobo {

using pinocchio::Model;
using Near = SelfDistance::Near;

namespace {

// Pairs that come nearer than their margin when their distance changes by less than this [m] are looked at in each
// configuration; more of them take longer, and fewer have to be found again sooner.
constexpr double ahead = 0.1;

} // namespace

struct SelfDistance::Impl {
  Impl(const RobotImpl &robot, double margin, double object_margin)
      : model(robot.model), bodies(robot.bodies), margin(margin), object_margin(object_margin),
        places(bodies->places()), reach(VectorXd::Zero(model->nv)) {
    for (Eigen::Index v = 0; v < model->nv; ++v)
      for (std::size_t k = 0; k < bodies->pairs(); ++k)
        reach[v] = std::max(reach[v], bodies->change(k, VectorXd::Unit(model->nv, v)));
  }

  double margin_of(std::size_t k) const {
    return bodies->with_obstacle(k) ? bodies->kept(k) + object_margin : margin;
  }

  void find_candidates(const Eigen::Ref<const VectorXd> &q, Near &near) const {
    near.candidates.clear();
    for (std::size_t k = 0; k < bodies->pairs(); ++k)
      if (!bodies->apart(k, places, margin_of(k) + ahead))
        near.candidates.push_back(k);
    near.around = q;
    near.owner = identity;
  }

  std::shared_ptr<const Model> model;
  std::shared_ptr<const Bodies> bodies;
  double margin, object_margin;
  Bodies::Places places; // scratch memory
  VectorXd reach;        // how far any distance may change with each joint [m/rad or 1]
  std::shared_ptr<const void> identity = std::make_shared<char>();
};

SelfDistance::SelfDistance(const Robot &robot, double margin, double object_margin)
    : impl_(std::make_unique<Impl>(robot.impl(), margin, object_margin)) {}

SelfDistance::~SelfDistance() = default;

void Near::clear() {
  pairs.clear();
  owner.reset();
}

bool SelfDistance::made_for(const Robot &robot) const { return impl_->bodies == robot.impl().bodies; }

double SelfDistance::evaluate(const pinocchio::Data &data, const Eigen::Ref<const VectorXd> &q, Near &near) const {
  const Bodies &bodies = *impl_->bodies;
  if (near.owner == impl_->identity && near.at == q)
    return near.penalty;
  near.pairs.clear();
  bodies.place(data, impl_->places);
  if (near.owner != impl_->identity || impl_->reach.dot((q - near.around).cwiseAbs()) > ahead)
    impl_->find_candidates(q, near);
  near.at = q;
  near.penalty = 0.0;
  for (const std::size_t k : near.candidates) {
    const double margin = impl_->margin_of(k);
    if (bodies.apart(k, impl_->places, margin))
      continue;
    const auto found = bodies.distance(k, impl_->places);
    const double lack = margin - found.min_distance;
    if (!(lack > 0.0))
      continue;
    const auto &pair = bodies.pair(k);
    near.pairs.push_back({lack, bodies.joint(pair.first), bodies.joint(pair.second), line_between(found)});
    near.penalty += lack * lack;
  }
  return near.penalty;
}

void SelfDistance::differentiate(const pinocchio::Data &data, const std::vector<NearPair> &near, VectorXd &gradient,
                                 MatrixXd &hessian) const {
  const auto &model = *impl_->model;
  gradient.setZero(model.nv);
  hessian.setZero(model.nv, model.nv);
  VectorXd slope;
  for (const auto &pair : near) {
    distance_slope(model, data, pair.line, pair.first, pair.second, slope);
    gradient -= 2.0 * pair.lack * slope;
    hessian.noalias() += 2.0 * slope * slope.transpose();
  }
}

} // namespace sobo
