// Weighted squared errors of tool position and orientation, state and control:
//   l(x, u) = sum w_p (p(q) - target)^2 + sum w_r r^2 + sum w_x (x - x_ref)^2 + sum w_u (u - u_ref)^2   (no factor 1/2)
//             + w_d times the penalty of SelfDistance
// where r = log3(R_target' R(q)) is the rotation from the target to the tool. Half a turn away r changes its sign, not its
// norm: there the gradient is that of one of the two rotations by half a turn.
#pragma once

#include <memory>

#include <aligator/core/cost-abstract.hpp>
#include <aligator/core/vector-space.hpp>
#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/kinematics.hpp>
#include <pinocchio/spatial.hpp>

#include "inverse_dynamics.hpp"
#include "reach_parts.hpp"
#include "second_order.hpp"
#include "sensitivity.hpp"

namespace sobo {

using CostAbstract = aligator::CostAbstractTpl<double>;
using CostData = aligator::CostDataAbstractTpl<double>;

struct ReachCostData : CostData {
  ReachCostData(int ndx, int nu, const pinocchio::Model &model)
      : CostData(ndx, nu), jacobian(6, model.nv), turn_jacobian(3, model.nv), dx(ndx), du(nu) {
    jacobian.setZero();
  }

  pinocchio::Data::Matrix6x jacobian;
  Eigen::Matrix3d tool;         // its rotation
  Eigen::Vector3d error, turn;  // tool to target: position, and rotation in the tool's frame
  Eigen::Matrix3d turn_by_spin; // d turn / d rotation of the tool about its own axes
  Eigen::Matrix3Xd turn_jacobian;
  Eigen::VectorXd dx, du;
  SelfDistance::Near near;
  Eigen::VectorXd near_gradient;
  Eigen::MatrixXd near_hessian;
};

/// One cost instead of a stack of residuals, whose weights and target change in place.
struct ReachCost : CostAbstract, CurvedCost, WeightedCost {
  /// All copies share `target`, `rotation`, `parts` and `arm`. `rotation` is null where no orientation is asked for; `arm`
  /// computes the tool where controls are accelerations.
  ReachCost(std::shared_ptr<const pinocchio::Model> model, pinocchio::FrameIndex tool,
            std::shared_ptr<const Eigen::Vector3d> target, std::shared_ptr<const Eigen::Matrix3d> rotation,
            std::shared_ptr<const ReachParts> parts, bool terminal, std::shared_ptr<InverseDynamics> arm = nullptr)
      : CostAbstract(aligator::VectorSpaceTpl<double, Eigen::Dynamic>(2 * model->nv),
                     static_cast<int>(parts->running.control.size())),
        model_(std::move(model)), tool_(tool), target_(std::move(target)), rotation_(std::move(rotation)),
        parts_(std::move(parts)), terminal_(terminal), arm_(std::move(arm)),
        scratch_(std::make_shared<pinocchio::Data>(*model_)) {}

  const ReachWeights &weights() const { return terminal_ ? parts_->terminal : parts_->running; }
  bool keeps_apart() const { return weights().self_distance > 0.0 && parts_->self_distance; }
  /// Whether the control is what costs: not where it is an acceleration.
  virtual bool costs_control() const { return true; }

  using VectorRef = Eigen::Ref<const Eigen::VectorXd>;

  void evaluate(const VectorRef &x, const VectorRef &u, CostData &base) const override {
    auto &data = static_cast<ReachCostData &>(base);
    if (!arm_ || keeps_apart())
      pinocchio::forwardKinematics(*model_, *scratch_, x.head(model_->nv));
    if (arm_) {
      data.error = arm_->position(x, u) - *target_;
      data.tool = arm_->rotation(x, u);
    } else {
      const auto &placement = pinocchio::updateFramePlacement(*model_, *scratch_, tool_);
      data.error = placement.translation() - *target_;
      data.tool = placement.rotation();
    }
    const ReachWeights &w = weights();
    data.dx = x - w.state_reference;
    data.value_ = w.position.dot(data.error.cwiseAbs2()) + w.state.dot(data.dx.cwiseAbs2());
    if (costs_control()) {
      data.du = u - w.control_reference;
      data.value_ += w.control.dot(data.du.cwiseAbs2());
    }
    if (rotation_) {
      const Eigen::Matrix3d offset = rotation_->transpose() * data.tool;
      data.turn = pinocchio::log3(offset);
      data.value_ += w.orientation.dot(data.turn.cwiseAbs2());
    }
    if (keeps_apart())
      data.value_ += w.self_distance * parts_->self_distance->evaluate(*scratch_, x.head(model_->nv), data.near);
    else
      data.near.clear();
  }

  void computeGradients(const VectorRef &x, const VectorRef &u, CostData &base) const override {
    auto &data = static_cast<ReachCostData &>(base);
    const int n = model_->nv;
    ReachCost::evaluate(x, u, base);
    if (!arm_ || !data.near.pairs.empty())
      pinocchio::computeJointJacobians(*model_, *scratch_);
    if (arm_)
      data.jacobian = arm_->tool_jacobian(x, u);
    else
      pinocchio::getFrameJacobian(*model_, *scratch_, tool_, pinocchio::LOCAL_WORLD_ALIGNED, data.jacobian);
    const ReachWeights &w = weights();
    data.Lx_ = 2.0 * w.state.cwiseProduct(data.dx);
    data.Lx_.head(n).noalias() +=
        2.0 * data.jacobian.topRows<3>().transpose() * w.position.cwiseProduct(data.error);
    if (costs_control())
      data.Lu_ = 2.0 * w.control.cwiseProduct(data.du);
    if (rotation_) {
      pinocchio::Jlog3(data.turn.norm(), data.turn, data.turn_by_spin);
      const Eigen::Matrix3d by_world_spin = data.turn_by_spin * data.tool.transpose();
      data.turn_jacobian.noalias() = by_world_spin * data.jacobian.bottomRows<3>();
      data.Lx_.head(n).noalias() +=
          2.0 * data.turn_jacobian.transpose() * w.orientation.cwiseProduct(data.turn);
    }
    if (!data.near.pairs.empty()) {
      parts_->self_distance->differentiate(*scratch_, data.near.pairs, data.near_gradient, data.near_hessian);
      data.Lx_.head(n) += w.self_distance * data.near_gradient;
    }
  }

  void computeHessians(const VectorRef &, const VectorRef &, CostData &base) const override {
    auto &data = static_cast<ReachCostData &>(base);
    const int n = model_->nv;
    const ReachWeights &w = weights();
    // Gauss-Newton: the curvature of the forward kinematics is left out, see add_curvature.
    Eigen::MatrixXd tool(n, n);
    find_tool_hessian(data, tool);
    data.Lxx_.topLeftCorner(n, n) = tool;
    data.Lxx_.topLeftCorner(n, n).diagonal() += 2.0 * w.state.head(n);
    data.Lxx_.diagonal().tail(n) = 2.0 * w.state.tail(n);
    if (costs_control())
      data.Luu_.diagonal() = 2.0 * w.control;
  }

  void add_curvature(const CostData &base, Eigen::MatrixXd &block) const override;
  void add_sensitivity(const CostData &base, const AdjointStage &stage, Eigen::Ref<VectorXd> by_weights,
                       Eigen::Ref<VectorXd> by_target) const override;

  std::shared_ptr<CostData> createData() const override {
    return std::make_shared<ReachCostData>(ndx(), nu, *model_);
  }

  std::shared_ptr<const pinocchio::Model> model_;
  pinocchio::FrameIndex tool_;
  std::shared_ptr<const Eigen::Vector3d> target_;
  std::shared_ptr<const Eigen::Matrix3d> rotation_; // null where no orientation is asked for
  std::shared_ptr<const ReachParts> parts_;
  bool terminal_;
  std::shared_ptr<InverseDynamics> arm_; // of all stages, or null
  std::shared_ptr<pinocchio::Data> scratch_; // of all stages

protected:
  /// Of the tool's place and of links near each other, by the positions of the joints.
  void find_tool_hessian(const ReachCostData &data, Eigen::MatrixXd &out) const {
    const ReachWeights &w = weights();
    const auto linear = data.jacobian.topRows<3>();
    out.noalias() = linear.transpose().lazyProduct(2.0 * w.position.asDiagonal() * linear);
    if (rotation_)
      out.noalias() += 2.0 * data.turn_jacobian.transpose() * w.orientation.asDiagonal() * data.turn_jacobian;
    if (!data.near.pairs.empty())
      out += w.self_distance * data.near_hessian;
  }

private:
  void add_turn_curvature(const ReachCostData &data, Eigen::MatrixXd &block) const;
};

} // namespace sobo
