// Torques of an arm as functions of [q, v, a], for problems whose controls are accelerations.
#pragma once

#include <memory>

#include <pinocchio/multibody.hpp>

#include "robot.hpp"

namespace sobo {

/// Inverse dynamics tau(q, v, a), damping included, with first and contracted second derivatives. Cost and bounds of all stages share one:
/// they ask for the same point one after the other, which is computed once.
class InverseDynamics {
public:
  using ConstVectorRef = Eigen::Ref<const VectorXd>;

  explicit InverseDynamics(std::shared_ptr<const pinocchio::Model> model)
      : model_(std::move(model)), scratch_(*model_), jacobian_(model_->nv, 3 * model_->nv) {}

  int nv() const { return model_->nv; }
  /// tau at x = [q, v] and the acceleration a.
  const VectorXd &torque(const ConstVectorRef &x, const ConstVectorRef &a);
  /// d tau / d [q, v, a], nv x 3 nv; the last columns are the inertia matrix.
  const MatrixXd &jacobian(const ConstVectorRef &x, const ConstVectorRef &a);
  /// Adds the second derivatives of weights' tau to a block over [q, v, a].
  void add_curvature(const VectorXd &x, const VectorXd &a, const VectorXd &weights, MatrixXd &block);

  /// The model has changed: what was computed last is void.
  void forget() { x_.resize(0); }

private:
  bool move_to(const ConstVectorRef &x, const ConstVectorRef &a);

  std::shared_ptr<const pinocchio::Model> model_;
  pinocchio::Data scratch_;
  VectorXd x_, a_; // the point of `torque_`, and of `jacobian_` if that is fresh
  VectorXd torque_;
  MatrixXd jacobian_;
  bool fresh_ = false;
};

} // namespace sobo
