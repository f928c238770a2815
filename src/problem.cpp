#include "problem.hpp"

#include <aligator/modelling/constraints/box-constraint.hpp>
#include <aligator/modelling/costs/quad-costs.hpp>
#include <aligator/modelling/dynamics/integrator-rk2.hpp>
#include <aligator/modelling/dynamics/multibody-free-fwd.hpp>
#include <aligator/modelling/linear-discrete-dynamics.hpp>
#include <aligator/modelling/state-error.hpp>

#include "cost.hpp"
#include "dynamics.hpp"
#include "errors.hpp"
#include "robot_impl.hpp"

namespace sobo {
namespace {

using aligator::BoxConstraintTpl;
using aligator::ControlErrorResidualTpl;
using aligator::StateErrorResidualTpl;
using Dynamics = xyz::polymorphic<ExplicitDynamics>;
using Cost = xyz::polymorphic<CostAbstract>;
using Stage = aligator::StageModelTpl<double>;

/// Joint velocities of x = [q, v]: half the rows that a residual on the whole state would add to each stage.
struct VelocityResidual : aligator::UnaryFunctionTpl<double> {
  using Base = aligator::UnaryFunctionTpl<double>;
  using Data = aligator::StageFunctionDataTpl<double>;
  using Base::computeJacobians;
  using Base::evaluate;

  VelocityResidual(int nv, int nu) : Base(2 * nv, nu, nv) {}

  void evaluate(const ConstVectorRef &x, Data &data) const override { data.value_ = x.tail(nr); }
  void computeJacobians(const ConstVectorRef &, Data &data) const override {
    data.Jx_.rightCols(nr).setIdentity(); // the other columns stay zero
  }
};

void check_box(const std::optional<Box> &box, Eigen::Index size, const char *what) {
  if (!box)
    return;
  if (box->lower.size() != size || box->upper.size() != size)
    throw SolverError(std::string("the ") + what + " bounds have " + std::to_string(box->lower.size()) + " and " +
                      std::to_string(box->upper.size()) + " entries, expected " + std::to_string(size));
  for (Eigen::Index i = 0; i < size; ++i)
    if (!(box->lower[i] <= box->upper[i]))
      throw SolverError(std::string("the ") + what + " bounds are infeasible: entry " + std::to_string(i) +
                        " has lower " + std::to_string(box->lower[i]) + " > upper " +
                        std::to_string(box->upper[i]));
}

void check_weights(const ReachWeights &weights, Eigen::Index ndx, Eigen::Index nu) {
  const bool sizes = weights.state.size() == ndx && weights.state_reference.size() == ndx &&
                     weights.control.size() == nu && weights.control_reference.size() == nu;
  if (!sizes)
    throw SolverError("cost weights must have " + std::to_string(ndx) + " state and " + std::to_string(nu) +
                      " control entries");
  const double least = std::min({weights.position.minCoeff(), weights.state.minCoeff(), weights.control.minCoeff()});
  if (!(least >= 0.0))
    throw SolverError("cost weights must be non-negative numbers, got " + std::to_string(least));
}

Dynamics make_dynamics(const Robot &robot, const ReachSpec &spec) {
  if (spec.integrator == "semi_implicit_euler")
    return SemiImplicitEuler(robot.impl().model, spec.actuation, spec.dt);
  if (spec.integrator == "rk2") {
    using Free = aligator::dynamics::MultibodyFreeFwdDynamicsTpl<double>;
    const aligator::MultibodyPhaseSpace<double> space(*robot.impl().model);
    return aligator::dynamics::IntegratorRK2Tpl<double>(Free(space, spec.actuation), spec.dt);
  }
  throw SolverError("unknown integrator '" + spec.integrator + "'; use semi_implicit_euler or rk2");
}

StateErrorResidualTpl<double> state_residual(int nx, int nu) {
  const xyz::polymorphic<aligator::ManifoldAbstractTpl<double>> space{VectorSpace(nx)};
  return StateErrorResidualTpl<double>(space, nu, VectorXd::Zero(nx));
}

/// Bounds on [q, v]; velocities are free where the task does not bound them.
Box state_box(const ReachSpec &spec, int nv) {
  const VectorXd infinite = VectorXd::Constant(nv, std::numeric_limits<double>::infinity());
  const Box velocity = spec.velocity ? *spec.velocity : Box{-infinite, infinite};
  Box box{VectorXd(2 * nv), VectorXd(2 * nv)};
  box.lower << spec.position->lower, velocity.lower;
  box.upper << spec.position->upper, velocity.upper;
  return box;
}

/// A bound that holds at every stage but the first, whose state is given.
struct StateBound {
  xyz::polymorphic<aligator::StageFunctionTpl<double>> function;
  Box box;
};

Problem assemble(const Dynamics &dynamics, const Cost &running, const Cost &terminal, int nx, int nu, int horizon,
                 const std::optional<Box> &control, const std::optional<StateBound> &state) {
  if (horizon < 1)
    throw SolverError("the horizon must be at least 1 step, got " + std::to_string(horizon));
  // The configuration spaces that reach here are vector spaces (nq = nv), whatever the dynamics call them.
  const VectorSpace space(nx);
  Problem problem{std::make_unique<TrajOptProblem>(VectorXd::Zero(nx), nu, space, terminal), nullptr, nx, nu, horizon};
  Stage stage(running, dynamics);
  if (control)
    stage.addConstraint(ControlErrorResidualTpl<double>(nx, nu),
                        BoxConstraintTpl<double>(control->lower, control->upper));
  Stage bounded = stage;
  if (state)
    bounded.addConstraint(state->function, BoxConstraintTpl<double>(state->box.lower, state->box.upper));
  for (int t = 0; t < horizon; ++t)
    problem.ocp->addStage(t == 0 ? stage : bounded);
  return problem;
}

} // namespace

Problem make_reach_problem(const Robot &robot, const ReachSpec &spec) {
  const int nv = robot.nv();
  const int nu = static_cast<int>(spec.actuation.cols());
  if (spec.actuation.rows() != nv)
    throw SolverError("the actuation matrix has " + std::to_string(spec.actuation.rows()) + " rows, expected " +
                      std::to_string(nv));
  if (!(spec.dt > 0.0))
    throw SolverError("dt must be positive, got " + std::to_string(spec.dt));
  check_weights(spec.running, 2 * nv, nu);
  check_weights(spec.terminal, 2 * nv, nu);
  check_box(spec.control, nu, "control");
  check_box(spec.velocity, nv, "velocity");
  check_box(spec.position, nv, "position");
  std::optional<StateBound> state;
  if (spec.position)
    state = StateBound{state_residual(2 * nv, nu), state_box(spec, nv)};
  else if (spec.velocity)
    state = StateBound{VelocityResidual(nv, nu), *spec.velocity};
  auto target = std::make_shared<Vector3d>(Vector3d::Zero());
  const ReachCost running(robot.impl().model, robot.impl().tool, target, spec.running);
  const ReachCost terminal(robot.impl().model, robot.impl().tool, target, spec.terminal);
  Problem problem =
      assemble(make_dynamics(robot, spec), running, terminal, 2 * nv, nu, spec.horizon, spec.control, state);
  problem.target = target;
  return problem;
}

Problem make_linear_problem(const LinearSpec &spec) {
  const int nx = static_cast<int>(spec.A.rows());
  const int nu = static_cast<int>(spec.B.cols());
  const bool sizes = spec.A.cols() == nx && spec.B.rows() == nx && spec.c.size() == nx && spec.Q.rows() == nx &&
                     spec.Q.cols() == nx && spec.R.rows() == nu && spec.R.cols() == nu && spec.q.size() == nx &&
                     spec.r.size() == nu && spec.Qf.rows() == nx && spec.Qf.cols() == nx && spec.qf.size() == nx;
  if (!sizes)
    throw SolverError("the matrices of the linear-quadratic problem do not agree with A (" + std::to_string(nx) +
                      " states) and B (" + std::to_string(nu) + " controls)");
  check_box(spec.control, nu, "control");
  check_box(spec.state, nx, "state");
  std::optional<StateBound> state;
  if (spec.state)
    state = StateBound{state_residual(nx, nu), *spec.state};
  using Quadratic = aligator::QuadraticCostTpl<double>;
  const Quadratic running(spec.Q, spec.R, spec.q, spec.r);
  const Quadratic terminal(spec.Qf, MatrixXd::Zero(nu, nu), spec.qf, VectorXd::Zero(nu));
  const aligator::dynamics::LinearDiscreteDynamicsTpl<double> dynamics(spec.A, spec.B, spec.c);
  return assemble(dynamics, running, terminal, nx, nu, spec.horizon, spec.control, state);
}

} // namespace sobo
