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
#include "shared_box.hpp"

namespace sobo {
namespace {

using aligator::StateErrorResidualTpl;
using Dynamics = xyz::polymorphic<ExplicitDynamics>;

Dynamics make_dynamics(const std::shared_ptr<const pinocchio::Model> &model, const ReachSpec &spec,
                       const std::shared_ptr<const ReachParts> &parts) {
  if (spec.integrator == "semi_implicit_euler")
    return SemiImplicitEuler(model, spec.actuation, parts);
  if (spec.integrator == "rk2") {
    if (!model->damping.isZero(0.0))
      throw SolverError("the integrator rk2 knows no damping of joints; use constant_acceleration");
    using Free = aligator::dynamics::MultibodyFreeFwdDynamicsTpl<double>;
    const aligator::MultibodyPhaseSpace<double> space(*model);
    return aligator::dynamics::IntegratorRK2Tpl<double>(Free(space, spec.actuation), spec.dt);
  }
  throw SolverError("unknown integrator '" + spec.integrator + "'; use constant_acceleration, semi_implicit_euler or rk2");
}

StateErrorResidualTpl<double> state_residual(int nx, int nu) {
  const xyz::polymorphic<aligator::ManifoldAbstractTpl<double>> space{VectorSpace(nx)};
  return StateErrorResidualTpl<double>(space, nu, VectorXd::Zero(nx));
}

Box box_or_free(const std::optional<Box> &box, Eigen::Index size) {
  const VectorXd infinite = VectorXd::Constant(size, std::numeric_limits<double>::infinity());
  return box ? *box : Box{-infinite, infinite};
}

/// Bounds on [q, v], which are free where the spec has none.
Box state_box(const ReachSpec &spec, int nv) {
  const Box position = box_or_free(spec.position, nv), velocity = box_or_free(spec.velocity, nv);
  Box box{VectorXd(2 * nv), VectorXd(2 * nv)};
  box.lower << position.lower, velocity.lower;
  box.upper << position.upper, velocity.upper;
  return box;
}

/// What the stages of a reaching problem share.
struct Shared {
  std::shared_ptr<pinocchio::Model> model; // a copy: payload, gravity and damping change in place
  std::shared_ptr<ReachParts> parts = std::make_shared<ReachParts>();
  std::shared_ptr<Box> control, state;              // null where there are no rows for them
  std::vector<std::shared_ptr<Box>> accelerations;  // stage by stage; empty for torques as controls

  void take(const Robot &robot, const ReachSpec &spec) const {
    const pinocchio::Model &other = *robot.impl().model;
    model->inertias = other.inertias;
    model->armature = other.armature;
    model->damping = other.damping;
    model->gravity = other.gravity;
    parts->dt = spec.dt;
    parts->moved = spec.integrator == "semi_implicit_euler" ? 1.0 : 0.5;
    parts->running = spec.running;
    parts->terminal = spec.terminal;
    const bool needed = spec.running.self_distance > 0.0 || spec.terminal.self_distance > 0.0;
    if (needed && !(parts->self_distance && parts->self_distance->made_for(robot)))
      parts->self_distance =
          std::make_shared<SelfDistance>(robot, spec.running.self_margin, spec.running.object_margin);
    if (control)
      *control = box_or_free(spec.control, spec.actuation.cols());
    if (state)
      *state = state_box(spec, robot.nv());
    const Box whole = box_or_free(spec.acceleration, robot.nv());
    for (int t = 0; t < static_cast<int>(accelerations.size()); ++t) {
      const double opened = (t + 1.0) / (spec.ramp_start + 1.0), open = (spec.horizon - t) / (spec.ramp_end + 1.0);
      const double share = std::min({1.0, opened, open});
      *accelerations[t] = {share * whole.lower, share * whole.upper};
    }
  }
};

void check_spec(const Robot &robot, const ReachSpec &spec) {
  const int nv = robot.nv(), nu = static_cast<int>(spec.actuation.cols());
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
  if (spec.ramp_start < 0 || spec.ramp_end < 0)
    throw SolverError("ramps must not have fewer than 0 steps");
  if (spec.accelerations && !spec.actuation.isIdentity())
    throw SolverError("accelerations as controls need a motor for every joint");
  if (spec.accelerations && spec.integrator != "constant_acceleration" && spec.integrator != "semi_implicit_euler")
    throw SolverError("accelerations as controls need the integrator constant_acceleration or semi_implicit_euler, got " +
                      spec.integrator);
  if (!spec.accelerations && spec.integrator == "constant_acceleration")
    throw SolverError("the integrator constant_acceleration has accelerations as controls");
  if (!spec.accelerations && spec.acceleration)
    throw SolverError("acceleration limits need accelerations as controls");
  if (spec.adaptable && spec.integrator == "rk2")
    throw SolverError("a problem with the integrator rk2 cannot be adapted");
}

bool oriented(const ReachSpec &spec) {
  return !spec.running.orientation.isZero(0.0) || !spec.terminal.orientation.isZero(0.0);
}

/// Whether two specs differ in nothing but what Worker::adapt changes.
void check_alike(const ReachSpec &before, const ReachSpec &spec) {
  const auto same = [](bool yes, const std::string &what) {
    if (!yes)
      throw SolverError("a problem cannot be adapted to another " + what);
  };
  same(spec.horizon == before.horizon, "horizon");
  same(spec.integrator == before.integrator, "integrator");
  same(spec.actuation == before.actuation && spec.accelerations == before.accelerations, "actuation");
  same(oriented(spec) == oriented(before) && spec.joints == before.joints, "type of goal");
  same(spec.running.self_margin == before.running.self_margin, "distance between links");
  same(spec.running.object_margin == before.running.object_margin, "distance to objects");
}

} // namespace

void Problem::check_target(const VectorXd &value) const {
  if (!target)
    return;
  const Eigen::Index size = parts && parts->joint_goal ? nx / 2 : rotation ? 7 : 3;
  if (value.size() != size)
    throw SolverError("the target has " + std::to_string(value.size()) + " entries, expected " + std::to_string(size));
  if (!value.allFinite())
    throw SolverError("the target holds a NaN or an infinity");
  if (rotation && !(std::abs(value.tail<4>().squaredNorm() - 1.0) <= quaternion_tolerance))
    throw SolverError("the quaternion of the target has the norm " + std::to_string(value.tail<4>().norm()) +
                      ", expected 1");
}

void Problem::set_target(const VectorXd &value) const {
  if (parts && parts->joint_goal) {
    parts->running.state_reference.head(nx / 2) = value;
    parts->terminal.state_reference.head(nx / 2) = value;
    return;
  }
  if (target)
    *target = value.head<3>();
  if (rotation)
    *rotation = rotation_of(value);
}

void Problem::check_weights(const RowMatrixXd &value) const {
  if (!parts)
    throw SolverError("a problem in matrices has no weights");
  if (value.rows() != 2 || value.cols() != 6 + nx + nu)
    throw SolverError("the weights have shape (" + std::to_string(value.rows()) + ", " + std::to_string(value.cols()) +
                      "), expected (2, " + std::to_string(6 + nx + nu) + ")");
  if (!value.allFinite() || value.minCoeff() < 0.0)
    throw SolverError("cost weights must be non-negative numbers");
  if (!rotation && !value.middleCols(3, 3).isZero(0.0))
    throw SolverError("this problem asks for no orientation, which cannot have a weight");
}

RowMatrixXd Problem::weights() const {
  if (!parts)
    throw SolverError("a problem in matrices has no weights");
  RowMatrixXd out(2, 6 + nx + nu);
  out << flat_weights(parts->running).transpose(), flat_weights(parts->terminal).transpose();
  return out;
}

void Problem::set_weights(const RowMatrixXd &value) const {
  set_flat_weights(value.row(0).transpose(), parts->running);
  set_flat_weights(value.row(1).transpose(), parts->terminal);
}

void Problem::check_terms(const StageTerms &value) const {
  const auto &terms = value.terms;
  const Eigen::Index steps = static_cast<Eigen::Index>(terms.size()) - 1;
  if (steps != horizon || terms.front().g.size() != nx + nu || (terms.back().g.size() != nx && terms.back().g.size() != 0))
    throw SolverError("there are terms of " + std::to_string(steps) + " stages over " +
                      std::to_string(terms.front().g.size()) + " variables, and over " +
                      std::to_string(terms.back().g.size()) + " at the end; expected " + std::to_string(horizon) + ", " +
                      std::to_string(nx + nu) + " and " + std::to_string(nx));
}

Problem make_reach_problem(const Robot &robot, const ReachSpec &spec) {
  check_spec(robot, spec);
  const int nv = robot.nv(), nu = static_cast<int>(spec.actuation.cols());
  const auto row = [&](bool needed) { return needed || spec.adaptable ? std::make_shared<Box>() : nullptr; };
  const bool accelerations = spec.accelerations;
  Shared shared_parts;
  shared_parts.model = std::make_shared<pinocchio::Model>(*robot.impl().model);
  shared_parts.control = row(spec.control.has_value());
  shared_parts.state = row(spec.position || spec.velocity);
  for (int t = 0; accelerations && t < spec.horizon; ++t)
    shared_parts.accelerations.push_back(std::make_shared<Box>()); // guesses are within it, be it infinite
  shared_parts.take(robot, spec);
  const auto &parts = shared_parts.parts;
  auto target = std::make_shared<Vector3d>(Vector3d::Zero());
  const auto rotation = oriented(spec) ? std::make_shared<Eigen::Matrix3d>(Eigen::Matrix3d::Identity()) : nullptr;
  const std::shared_ptr<const pinocchio::Model> model = shared_parts.model;
  const auto tool = robot.impl().tool;
  const auto dynamics = accelerations ? std::make_shared<InverseDynamics>(model, tool) : nullptr;
  const ReachCost running(model, tool, target, rotation, parts, false, dynamics);
  const ReachCost terminal(model, tool, target, rotation, parts, true, dynamics);
  std::vector<StageBound> bounds;
  Problem problem;
  if (accelerations) {
    if (shared_parts.control)
      bounds.push_back({Torque(dynamics), shared_parts.control, true});
    if (shared_parts.state)
      bounds.push_back({state_residual(2 * nv, nu), shared_parts.state});
    const ControlBounds each(shared_parts.accelerations.begin(), shared_parts.accelerations.end());
    problem = assemble(Accelerations(nv, parts), TorqueCost(running), terminal, 2 * nv, nu, spec.horizon,
                       row(spec.acceleration.has_value()) ? each : ControlBounds{}, bounds);
    problem.torques = std::make_shared<TorqueControls>(dynamics, parts, each);
  } else {
    if (shared_parts.state)
      bounds.push_back({state_residual(2 * nv, nu), shared_parts.state});
    problem = assemble(make_dynamics(model, spec, parts), running, terminal, 2 * nv, nu, spec.horizon,
                       everywhere(shared_parts.control, spec.horizon), bounds);
  }
  problem.target = target;
  problem.rotation = rotation;
  problem.parts = parts;
  parts->joint_goal = spec.joints;
  if (spec.adaptable)
    problem.adapt = [nv, spec, shared_parts, dynamics](const Robot &changed, const ReachSpec &other) {
      if (changed.nv() != nv)
        throw SolverError("a problem cannot be adapted to a robot with another number of joints");
      check_spec(changed, other);
      check_alike(spec, other);
      shared_parts.take(changed, other);
      if (dynamics)
        dynamics->forget();
    };
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
    bounds.push_back({state_residual(nx, nu), shared(spec.state)});
  using Quadratic = aligator::QuadraticCostTpl<double>;
  const Quadratic running(spec.Q, spec.R, spec.q, spec.r);
  const Quadratic terminal(spec.Qf, MatrixXd::Zero(nu, nu), spec.qf, VectorXd::Zero(nu));
  const aligator::dynamics::LinearDiscreteDynamicsTpl<double> dynamics(spec.A, spec.B, spec.c);
  return assemble(dynamics, running, terminal, nx, nu, spec.horizon, everywhere(shared(spec.control), spec.horizon),
                  bounds);
}

} // namespace sobo
