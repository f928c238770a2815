// Discrete dynamics of a fully or partly actuated arm, x = [q, v], tau = B u, semi-implicit Euler:
// v' = v + dt a(q, v, tau), q' = q + dt v'.
#pragma once

#include <memory>

#include <aligator/core/explicit-dynamics.hpp>
#include <aligator/core/vector-space.hpp>
#include <pinocchio/algorithm/aba-derivatives.hpp>
#include <pinocchio/algorithm/aba.hpp>

#include "reach_parts.hpp"
#include "second_order.hpp"

namespace sobo {

using ExplicitDynamics = aligator::ExplicitDynamicsModelTpl<double>;
using ExplicitDynamicsData = aligator::ExplicitDynamicsDataTpl<double>;
using VectorSpace = aligator::VectorSpaceTpl<double, Eigen::Dynamic>;
using ConstVectorRef = Eigen::Ref<const Eigen::VectorXd>;

struct SemiImplicitEulerData : ExplicitDynamicsData {
  SemiImplicitEulerData(const ExplicitDynamics &dynamics, const pinocchio::Model &model)
      : ExplicitDynamicsData(dynamics), x(2 * model.nv), tau(model.nv), acceleration(model.nv),
        by_position(model.nv, model.nv), by_velocity(model.nv, model.nv), by_torque(model.nv, model.nv) {}

  Eigen::VectorXd x, tau; // where it was last differentiated
  Eigen::VectorXd acceleration;
  Eigen::MatrixXd by_position, by_velocity, by_torque; // derivatives of the acceleration
};

/// All stages share the model and Pinocchio's scratch memory. One of its own for each stage would save the derivatives a
/// forward pass, but no processor's cache holds a hundred of them, and waiting for memory takes longer.
struct SemiImplicitEuler : ExplicitDynamics, CurvedDynamics {
  SemiImplicitEuler(std::shared_ptr<const pinocchio::Model> model, const Eigen::MatrixXd &actuation,
                    std::shared_ptr<const ReachParts> parts)
      : ExplicitDynamics(VectorSpace(2 * model->nv), static_cast<int>(actuation.cols())), model_(std::move(model)),
        actuation_(actuation), parts_(std::move(parts)), scratch_(std::make_shared<pinocchio::Data>(*model_)) {}

  double dt() const { return parts_->dt; }

  void forward(const ConstVectorRef &x, const ConstVectorRef &u, ExplicitDynamicsData &base) const override {
    auto &data = static_cast<SemiImplicitEulerData &>(base);
    const int n = model_->nv;
    data.tau.noalias() = actuation_ * u;
    data.tau -= model_->damping.cwiseProduct(x.tail(n));
    // Pinocchio ships aba compiled for this type; any other argument costs a minute of compilation.
    const ConstVectorRef q = x.head(n), v = x.tail(n), tau = data.tau;
    pinocchio::aba(*model_, *scratch_, q, v, tau, pinocchio::Convention::WORLD);
    data.xnext_.tail(n) = x.tail(n) + dt() * scratch_->ddq;
    data.xnext_.head(n) = x.head(n) + dt() * data.xnext_.tail(n);
  }

  void dForward(const ConstVectorRef &x, const ConstVectorRef &u, ExplicitDynamicsData &base) const override {
    auto &data = static_cast<SemiImplicitEulerData &>(base);
    const int n = model_->nv;
    forward(x, u, base);
    data.x = x;
    data.acceleration = scratch_->ddq;
    pinocchio::computeABADerivatives(*model_, *scratch_);
    data.by_position = scratch_->ddq_dq;
    data.by_velocity = scratch_->ddq_dv;
    // computeABADerivatives fills only the upper triangle of the inverse inertia.
    data.by_torque = scratch_->Minv.selfadjointView<Eigen::Upper>();
    data.by_velocity -= data.by_torque * model_->damping.asDiagonal();
    auto Jx = data.Jx();
    auto Ju = data.Ju();
    Jx.bottomLeftCorner(n, n) = dt() * data.by_position;
    Jx.bottomRightCorner(n, n) = dt() * data.by_velocity;
    Jx.bottomRightCorner(n, n).diagonal().array() += 1.0;
    Jx.topLeftCorner(n, n) = dt() * Jx.bottomLeftCorner(n, n);
    Jx.topLeftCorner(n, n).diagonal().array() += 1.0;
    Jx.topRightCorner(n, n) = dt() * Jx.bottomRightCorner(n, n);
    Ju.bottomRows(n).noalias() = dt() * (data.by_torque * actuation_);
    Ju.topRows(n) = dt() * Ju.bottomRows(n);
  }

  void add_curvature(const ExplicitDynamicsData &base, const Eigen::VectorXd &costate,
                     Eigen::MatrixXd &block) const override;

  std::shared_ptr<ExplicitDynamicsData> createData() const override {
    return std::make_shared<SemiImplicitEulerData>(*this, *model_);
  }

  std::shared_ptr<const pinocchio::Model> model_;
  Eigen::MatrixXd actuation_;
  std::shared_ptr<const ReachParts> parts_;
  std::shared_ptr<pinocchio::Data> scratch_;
};

} // namespace sobo
