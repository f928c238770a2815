// Stages of an arm whose controls are accelerations: linear dynamics, torques in cost and bounds.
#pragma once

#include <memory>

#include <aligator/core/explicit-dynamics.hpp>
#include <aligator/core/function-abstract.hpp>

#include "cost.hpp"
#include "inverse_dynamics.hpp"
#include "second_order.hpp"

namespace sobo {

/// x' = [q + dt v + s dt^2 a, v + dt a]. With s = 1/2 the acceleration a is constant within a step, and a controller's spline
/// follows its cubic; with s = 1 it is semi-implicit Euler.
struct Accelerations : aligator::ExplicitDynamicsModelTpl<double>, CurvedDynamics {
  using Base = aligator::ExplicitDynamicsModelTpl<double>;
  using Data = aligator::ExplicitDynamicsDataTpl<double>;
  using ConstVectorRef = Eigen::Ref<const VectorXd>;

  Accelerations(int nv, std::shared_ptr<const ReachParts> parts)
      : Base(aligator::VectorSpaceTpl<double, Eigen::Dynamic>(2 * nv), nv), parts_(std::move(parts)) {}

  void forward(const ConstVectorRef &x, const ConstVectorRef &a, Data &data) const override {
    const Eigen::Index n = a.size();
    const double dt = parts_->dt;
    data.xnext_.head(n) = x.head(n) + dt * (x.tail(n) + parts_->moved * dt * a);
    data.xnext_.tail(n) = x.tail(n) + dt * a;
  }
  void dForward(const ConstVectorRef &, const ConstVectorRef &a, Data &data) const override {
    const Eigen::Index n = a.size();
    const double dt = parts_->dt; // the other entries are constant, see createData
    data.Jx().topRightCorner(n, n).diagonal().setConstant(dt);
    data.Ju().topRows(n).diagonal().setConstant(parts_->moved * dt * dt);
    data.Ju().bottomRows(n).diagonal().setConstant(dt);
  }
  void add_curvature(const Data &, const VectorXd &, MatrixXd &) const override {}

  std::shared_ptr<Data> createData() const override {
    auto data = std::make_shared<Data>(*this);
    data->Jx().setIdentity();
    data->Ju().setZero();
    return data;
  }

  std::shared_ptr<const ReachParts> parts_;
};

struct TorqueCostData : ReachCostData {
  TorqueCostData(int ndx, int nu, const pinocchio::Model &model)
      : ReachCostData(ndx, nu, model), a(nu), slope(nu), tool_part(model.nv, model.nv) {}

  Eigen::VectorXd x, a;     // where it was last differentiated
  Eigen::VectorXd slope;    // of the cost by the torques there
  Eigen::MatrixXd jacobian; // of the torques there
  Eigen::VectorXd weights;
  Eigen::MatrixXd tool_part; // of the Hessian
};

/// ReachCost whose control is the torque, as a function of state and acceleration.
struct TorqueCost : ReachCost {
  /// Of a cost whose tool is computed by inverse dynamics.
  explicit TorqueCost(ReachCost reach) : ReachCost(std::move(reach)) {}

  bool costs_control() const override { return false; }

  void evaluate(const VectorRef &x, const VectorRef &a, CostData &data) const override {
    ReachCost::evaluate(x, a, data);
    data.value_ += weights().control.dot((arm_->torque(x, a) - weights().control_reference).cwiseAbs2());
  }

  void computeGradients(const VectorRef &x, const VectorRef &a, CostData &base) const override {
    auto &data = static_cast<TorqueCostData &>(base);
    const int n = model_->nv;
    ReachCost::computeGradients(x, a, base);
    data.x = x;
    data.a = a;
    data.jacobian = arm_->jacobian(x, a);
    data.slope = 2.0 * weights().control.cwiseProduct(arm_->torque(x, a) - weights().control_reference);
    data.Lx_.noalias() += data.jacobian.leftCols(2 * n).transpose() * data.slope;
    data.Lu_.noalias() = data.jacobian.rightCols(n).transpose() * data.slope;
  }

  void computeHessians(const VectorRef &, const VectorRef &, CostData &base) const override {
    auto &data = static_cast<TorqueCostData &>(base);
    const int n = model_->nv;
    const ReachWeights &w = weights();
    data.weights = 2.0 * w.control;
    arm_->square(data.jacobian.data(), data.weights, data.hess_);
    find_tool_hessian(data, data.tool_part);
    data.Lxx_.topLeftCorner(n, n) += data.tool_part;
    data.Lxx_.diagonal() += 2.0 * w.state;
  }

  void add_fine_curvature(const CostData &base, Eigen::MatrixXd &block) const override {
    const auto &data = static_cast<const TorqueCostData &>(base);
    arm_->add_curvature(data.x, data.a, data.slope, block);
  }
  void flush_curvature() const override { arm_->flush(); }

  std::shared_ptr<CostData> createData() const override {
    return std::make_shared<TorqueCostData>(ndx(), nu, *model_);
  }
};

struct TorqueData : aligator::StageFunctionDataTpl<double> {
  using StageFunctionDataTpl::StageFunctionDataTpl;
  Eigen::VectorXd x, a; // where it was last differentiated
};

/// The torques, to be bounded.
struct Torque : aligator::StageFunctionTpl<double>, CurvedFunction {
  using Base = aligator::StageFunctionTpl<double>;
  using Data = aligator::StageFunctionDataTpl<double>;
  using ConstVectorRef = Eigen::Ref<const VectorXd>;

  explicit Torque(std::shared_ptr<InverseDynamics> dynamics)
      : Base(2 * dynamics->nv(), dynamics->nv(), dynamics->nv()), dynamics_(std::move(dynamics)) {}

  void evaluate(const ConstVectorRef &x, const ConstVectorRef &a, Data &data) const override {
    data.value_ = dynamics_->torque(x, a);
  }
  void computeJacobians(const ConstVectorRef &x, const ConstVectorRef &a, Data &base) const override {
    auto &data = static_cast<TorqueData &>(base);
    data.x = x;
    data.a = a;
    const auto jacobian = dynamics_->jacobian(x, a);
    data.Jx_ = jacobian.leftCols(2 * nr);
    data.Ju_ = jacobian.rightCols(nr);
  }
  void add_curvature(const Data &base, const ConstVectorRef &multipliers, MatrixXd &block) const override {
    const auto &data = static_cast<const TorqueData &>(base);
    if (!multipliers.isZero(0.0))
      dynamics_->add_curvature(data.x, data.a, multipliers, block);
  }
  bool is_fine() const override { return true; }
  std::shared_ptr<Data> createData() const override { return std::make_shared<TorqueData>(*this); }

  std::shared_ptr<InverseDynamics> dynamics_; // of all stages
};

} // namespace sobo
