#include "sensitivity.hpp"

#include "cost.hpp"

namespace sobo {
namespace {

/// Slope of sum w_i r_i^2 by a rotation of the target about its own axes, r = log3(offset).
Vector3d slope_by_turn(const Eigen::Matrix3d &offset, const Vector3d &weights) {
  double angle;
  const Vector3d turn = pinocchio::log3(offset, angle);
  Eigen::Matrix3d by_spin;
  pinocchio::Jlog3(angle, turn, by_spin);
  return -2.0 * offset * by_spin.transpose() * weights.cwiseProduct(turn);
}

/// How that changes as the tool turns by `spin` about its own axes: central differences, the step in proportion.
Vector3d change_of_slope(const Eigen::Matrix3d &offset, const Vector3d &weights, const Vector3d &spin) {
  const double size = spin.norm();
  if (size == 0.0)
    return Vector3d::Zero();
  const double h = 1e-5 / size;
  const auto at = [&](double s) { return slope_by_turn(offset * pinocchio::exp3(Vector3d(s * spin)), weights); };
  return (at(h) - at(-h)) / (2.0 * h);
}

} // namespace

VectorXd flat_weights(const ReachWeights &weights) {
  VectorXd out(6 + weights.state.size() + weights.control.size());
  out << weights.position, weights.orientation, weights.state, weights.control;
  return out;
}

void set_flat_weights(const VectorXd &flat, ReachWeights &weights) {
  weights.position = flat.head<3>();
  weights.orientation = flat.segment<3>(3);
  weights.state = flat.segment(6, weights.state.size());
  weights.control = flat.tail(weights.control.size());
}

void ReachCost::add_sensitivity(const CostData &base, const AdjointStage &stage, Eigen::Ref<VectorXd> by_weights,
                                Eigen::Ref<VectorXd> by_target) const {
  const auto &data = static_cast<const ReachCostData &>(base);
  const ReachWeights &w = weights();
  const auto dq = stage.dx.head(model_->nv);
  const Vector3d moved = data.jacobian.topRows<3>() * dq;
  by_weights.head<3>() += 2.0 * data.error.cwiseProduct(moved);
  by_weights.segment(6, stage.dx.size()) += 2.0 * data.dx.cwiseProduct(stage.dx);
  if (stage.u.size() > 0)
    by_weights.tail(stage.u.size()) += 2.0 * (stage.u - w.control_reference).cwiseProduct(stage.du);
  if (parts_->joint_goal) {
    by_target -= 2.0 * w.state.head(dq.size()).cwiseProduct(dq);
    return;
  }
  by_target.head<3>() -= 2.0 * w.position.cwiseProduct(moved);
  if (!rotation_)
    return;
  const Vector3d spin = data.tool.transpose() * data.jacobian.bottomRows<3>() * dq;
  by_weights.segment<3>(3) += 2.0 * data.turn.cwiseProduct(data.turn_jacobian * dq);
  by_target.tail<3>() += change_of_slope(rotation_->transpose() * data.tool, w.orientation, spin);
}

} // namespace sobo
