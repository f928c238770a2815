#include "problem.hpp"

#include <aligator/modelling/costs/quad-costs.hpp>
#include <aligator/modelling/dynamics/integrator-rk2.hpp>
#include <aligator/modelling/dynamics/multibody-free-fwd.hpp>
#include <aligator/modelling/linear-discrete-dynamics.hpp>
#include <aligator/modelling/state-error.hpp>

#include "acceleration_stage.hpp"
#include "assemble.hpp"
#include "cost.hpp"
#include "dynamics.hpp"
#include "errors.hpp"
#include "robot_impl.hpp"

namespace sobo {
namespace {

using aligator::StateErrorResidualTpl;
using Dynamics = xyz::polymorphic<ExplicitDynamics>;

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

Dynamics make_dynamics(const Robot &robot, const ReachSpec &spec) {
  if (spec.integrator == "semi_implicit_euler")
    return SemiImplicitEuler(robot.impl().model, spec.actuation, spec.dt);
  if (spec.integrator == "rk2") {
    using Free = aligator::dynamics::MultibodyFreeFwdDynamicsTpl<double>;
    const aligator::MultibodyPhaseSpace<double> space(*robot.impl().model);
    return aligator::dynamics::IntegratorRK2Tpl<double>(Free(space, spec.actuation), spec.dt);
  }
  throw SolverError("unknown integrator '" + spec.integrator + "'; use constant_acceleration, semi_implicit_euler or rk2");
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

std::shared_ptr<const SelfDistance> make_self_distance(const Robot &robot, const ReachWeights &weights) {
  return weights.self_distance > 0.0 ? std::make_shared<SelfDistance>(robot, weights.self_margin) : nullptr;
}

} // namespace

void Problem::check_target(const VectorXd &value) const {
  if (!target)
    return;
  const Eigen::Index size = rotation ? 7 : 3;
  if (value.size() != size)
    throw SolverError("the target has " + std::to_string(value.size()) + " entries, expected " + std::to_string(size));
  if (!value.allFinite())
    throw SolverError("the target holds a NaN or an infinity");
  if (rotation && !(std::abs(value.tail<4>().squaredNorm() - 1.0) <= quaternion_tolerance))
    throw SolverError("the quaternion of the target has the norm " + std::to_string(value.tail<4>().norm()) +
                      ", expected 1");
}

void Problem::set_target(const VectorXd &value) const {
  if (target)
    *target = value.head<3>();
  if (rotation)
    *rotation = rotation_of(value);
}

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
  check_box(spec.acceleration, nv, "acceleration");
  const bool accelerations = spec.integrator == "constant_acceleration";
  if (accelerations && !spec.actuation.isIdentity())
    throw SolverError("constant accelerations need a motor for every joint; use the integrator semi_implicit_euler");
  if (!accelerations && spec.acceleration)
    throw SolverError("acceleration limits need the integrator constant_acceleration, got " + spec.integrator);
  std::vector<StageBound> bounds;
  if (spec.position)
    bounds.push_back({state_residual(2 * nv, nu), state_box(spec, nv)});
  else if (spec.velocity)
    bounds.push_back({VelocityResidual(nv, nu), *spec.velocity});
  auto target = std::make_shared<Vector3d>(Vector3d::Zero());
  std::shared_ptr<Eigen::Matrix3d> rotation;
  if (!spec.running.orientation.isZero(0.0) || !spec.terminal.orientation.isZero(0.0))
    rotation = std::make_shared<Eigen::Matrix3d>(Eigen::Matrix3d::Identity());
  const ReachCost running(robot.impl().model, robot.impl().tool, target, rotation, spec.running,
                          make_self_distance(robot, spec.running));
  const ReachCost terminal(robot.impl().model, robot.impl().tool, target, rotation, spec.terminal,
                           make_self_distance(robot, spec.terminal));
  Problem problem;
  if (accelerations) {
    const auto dynamics = std::make_shared<InverseDynamics>(robot.impl().model);
    if (spec.control)
      bounds.push_back({Torque(dynamics), *spec.control, true});
    problem = assemble(ConstantAcceleration(nv, spec.dt), TorqueCost(running, dynamics), terminal, 2 * nv, nu, spec.horizon,
                       spec.acceleration, bounds);
    problem.torques = std::make_shared<TorqueControls>(dynamics, spec.dt, spec.acceleration);
  } else {
    problem = assemble(make_dynamics(robot, spec), running, terminal, 2 * nv, nu, spec.horizon, spec.control, bounds);
  }
  problem.target = target;
  problem.rotation = rotation;
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
  std::vector<StageBound> bounds;
  if (spec.state)
    bounds.push_back({state_residual(nx, nu), *spec.state});
  using Quadratic = aligator::QuadraticCostTpl<double>;
  const Quadratic running(spec.Q, spec.R, spec.q, spec.r);
  const Quadratic terminal(spec.Qf, MatrixXd::Zero(nu, nu), spec.qf, VectorXd::Zero(nu));
  const aligator::dynamics::LinearDiscreteDynamicsTpl<double> dynamics(spec.A, spec.B, spec.c);
  return assemble(dynamics, running, terminal, nx, nu, spec.horizon, spec.control, bounds);
}

} // namespace sobo
