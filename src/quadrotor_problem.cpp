// Reaching with a quadrotor among columns.
#include <memory>

#include <aligator/core/unary-function.hpp>
#include <aligator/core/vector-space.hpp>

#include "assemble.hpp"
#include "errors.hpp"
#include "shared_box.hpp"
#include "quadrotor_model.hpp"
#include "second_order.hpp"
#include "sensitivity.hpp"

namespace sobo {
namespace {

using CostAbstract = aligator::CostAbstractTpl<double>;
using CostData = aligator::CostDataAbstractTpl<double>;
using Dynamics = aligator::ExplicitDynamicsModelTpl<double>;
using DynamicsData = aligator::ExplicitDynamicsDataTpl<double>;
using UnaryFunction = aligator::UnaryFunctionTpl<double>;
using FunctionData = aligator::StageFunctionDataTpl<double>;
using VectorSpace = aligator::VectorSpaceTpl<double, Eigen::Dynamic>;
using ConstVectorRef = Eigen::Ref<const VectorXd>;
using Columns = decltype(QuadrotorSpec::columns);

constexpr int state_size = QuadrotorModel::nx, control_size = QuadrotorModel::nu;

struct QuadrotorDynamicsData : DynamicsData {
  using DynamicsData::DynamicsData;
  QuadrotorModel::State x; // the point that was last differentiated
  QuadrotorModel::Control u;
};

struct QuadrotorDynamics : Dynamics, CurvedDynamics {
  explicit QuadrotorDynamics(const QuadrotorModel &model)
      : Dynamics(VectorSpace(state_size), control_size), model_(model) {}

  void forward(const ConstVectorRef &x, const ConstVectorRef &u, DynamicsData &data) const override {
    data.xnext_ = model_.step(x, u);
  }

  void dForward(const ConstVectorRef &x, const ConstVectorRef &u, DynamicsData &base) const override {
    auto &data = static_cast<QuadrotorDynamicsData &>(base);
    data.x = x;
    data.u = u;
    model_.derivatives(data.x, data.u, data.Jx(), data.Ju());
  }

  void add_curvature(const DynamicsData &base, const VectorXd &costate, MatrixXd &block) const override {
    const auto &data = static_cast<const QuadrotorDynamicsData &>(base);
    model_.add_curvature(data.x, data.u, costate, block);
  }

  std::shared_ptr<DynamicsData> createData() const override { return std::make_shared<QuadrotorDynamicsData>(*this); }

  QuadrotorModel model_;
};

struct QuadrotorCostData : CostData {
  using CostData::CostData;
  VectorXd error; // of the state
  Vector3d offset; // from the target
};

/// sum w_p (p - target)^2 + sum w_x (x - x_ref)^2 + sum w_u (u - u_ref)^2, whose Hessian does not depend on x and u.
struct QuadrotorCost : CostAbstract, WeightedCost {
  /// All copies share `target` and `parts`, so that writing them changes those of every stage in place.
  QuadrotorCost(std::shared_ptr<const Vector3d> target, std::shared_ptr<const ReachParts> parts, bool terminal)
      : CostAbstract(VectorSpace(state_size), control_size), target_(std::move(target)), parts_(std::move(parts)),
        terminal_(terminal) {}

  const ReachWeights &weights() const { return terminal_ ? parts_->terminal : parts_->running; }

  void evaluate(const ConstVectorRef &x, const ConstVectorRef &u, CostData &data) const override {
    const ReachWeights &w = weights();
    data.value_ = w.position.dot((x.head<3>() - *target_).cwiseAbs2()) +
                  w.state.dot((x - w.state_reference).cwiseAbs2()) + w.control.dot((u - w.control_reference).cwiseAbs2());
  }

  void computeGradients(const ConstVectorRef &x, const ConstVectorRef &u, CostData &base) const override {
    auto &data = static_cast<QuadrotorCostData &>(base);
    const ReachWeights &w = weights();
    data.error = x - w.state_reference;
    data.offset = x.head<3>() - *target_;
    data.Lx_ = 2.0 * w.state.cwiseProduct(data.error);
    data.Lx_.head<3>() += 2.0 * w.position.cwiseProduct(data.offset);
    data.Lu_ = 2.0 * w.control.cwiseProduct(u - w.control_reference);
  }

  void computeHessians(const ConstVectorRef &, const ConstVectorRef &, CostData &data) const override {
    const ReachWeights &w = weights();
    data.Lxx_.diagonal() = 2.0 * w.state;
    data.Lxx_.diagonal().head<3>() += 2.0 * w.position;
    data.Luu_.diagonal() = 2.0 * w.control;
  }

  void add_sensitivity(const CostData &base, const AdjointStage &stage, Eigen::Ref<VectorXd> by_weights,
                       Eigen::Ref<VectorXd> by_target) const override {
    const auto &data = static_cast<const QuadrotorCostData &>(base);
    const ReachWeights &w = weights();
    const auto moved = stage.dx.head<3>();
    by_weights.head<3>() += 2.0 * data.offset.cwiseProduct(moved);
    by_weights.segment<state_size>(6) += 2.0 * data.error.cwiseProduct(stage.dx);
    if (stage.u.size() > 0)
      by_weights.tail<control_size>() += 2.0 * (stage.u - w.control_reference).cwiseProduct(stage.du);
    by_target -= 2.0 * w.position.cwiseProduct(moved);
  }

  std::shared_ptr<CostData> createData() const override {
    return std::make_shared<QuadrotorCostData>(state_size, control_size);
  }

  std::shared_ptr<const Vector3d> target_;
  std::shared_ptr<const ReachParts> parts_;
  bool terminal_;
};

struct Height : UnaryFunction {
  using UnaryFunction::computeJacobians;
  using UnaryFunction::evaluate;

  Height() : UnaryFunction(state_size, control_size, 1) {}

  void evaluate(const ConstVectorRef &x, FunctionData &data) const override { data.value_[0] = x[2]; }
  void computeJacobians(const ConstVectorRef &, FunctionData &data) const override { data.Jx_(0, 2) = 1.0; }
};

/// Distances from the surfaces of vertical cylinders, |p_xy - centre| - radius, negative inside.
struct Clearance : UnaryFunction, CurvedFunction {
  using UnaryFunction::computeJacobians;
  using UnaryFunction::evaluate;

  explicit Clearance(const Columns &columns)
      : UnaryFunction(state_size, control_size, static_cast<int>(columns.rows())), columns_(columns) {}

  void evaluate(const ConstVectorRef &x, FunctionData &data) const override {
    for (int i = 0; i < nr; ++i)
      data.value_[i] = distance(offset(x, i)) - columns_(i, 2);
  }

  void computeJacobians(const ConstVectorRef &x, FunctionData &data) const override {
    for (int i = 0; i < nr; ++i) {
      const Eigen::Vector2d from = offset(x, i);
      data.Jx_.row(i).head<2>() = from.transpose() / distance(from);
    }
  }

  // (I - n n') / distance along the plane, with the unit vector n away from the axis.
  void add_curvature(const FunctionData &data, const ConstVectorRef &multipliers, MatrixXd &block) const override {
    for (int i = 0; i < nr; ++i) {
      if (multipliers[i] == 0.0)
        continue;
      const Eigen::Vector2d normal = data.Jx().row(i).head<2>().transpose();
      const double scale = multipliers[i] / (data.value_[i] + columns_(i, 2));
      block.topLeftCorner<2, 2>() += scale * (Eigen::Matrix2d::Identity() - normal * normal.transpose());
    }
  }

private:
  Eigen::Vector2d offset(const ConstVectorRef &x, int i) const {
    return x.head<2>() - columns_.row(i).head<2>().transpose();
  }
  /// Of a millimetre at the axis, where it would have no derivative.
  static double distance(const Eigen::Vector2d &offset) { return std::sqrt(offset.squaredNorm() + 1e-6); }

  Columns columns_;
};

void check_columns(const Columns &columns) {
  for (Eigen::Index i = 0; i < columns.rows(); ++i) {
    if (!columns.row(i).allFinite())
      throw SolverError("column " + std::to_string(i) + " holds a NaN or an infinity");
    if (!(columns(i, 2) > 0.0))
      throw SolverError("column " + std::to_string(i) + " must have a positive radius, got " +
                        std::to_string(columns(i, 2)));
  }
}

} // namespace

Problem make_quadrotor_problem(const QuadrotorSpec &spec) {
  const QuadrotorModel model(spec);
  check_weights(spec.running, state_size, control_size);
  check_weights(spec.terminal, state_size, control_size);
  if (!spec.running.orientation.isZero(0.0) || !spec.terminal.orientation.isZero(0.0))
    throw SolverError("a quadrotor has no orientation weights; its attitude is part of the state");
  check_box(spec.control, control_size, "control");
  check_box(spec.height, 1, "height");
  check_columns(spec.columns);
  std::vector<StageBound> bounds;
  if (spec.height)
    bounds.push_back({Height(), shared(spec.height)});
  if (const auto count = spec.columns.rows(); count > 0)
    bounds.push_back({Clearance(spec.columns),
                      shared(Box{VectorXd::Zero(count),
                                 VectorXd::Constant(count, std::numeric_limits<double>::infinity())})});
  auto target = std::make_shared<Vector3d>(Vector3d::Zero());
  auto parts = std::make_shared<ReachParts>();
  parts->running = spec.running;
  parts->terminal = spec.terminal;
  Problem problem =
      assemble(QuadrotorDynamics(model), QuadrotorCost(target, parts, false), QuadrotorCost(target, parts, true), state_size, control_size, spec.horizon, everywhere(shared(spec.control), spec.horizon), bounds);
  problem.target = target;
  problem.parts = parts;
  return problem;
}

} // namespace sobo
