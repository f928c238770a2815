#include "batch_rollout.hpp"

#include <cmath>
#include <limits>

#include <pinocchio/algorithm/aba.hpp>
#include <pinocchio/algorithm/kinematics.hpp>
#include <pinocchio/algorithm/rnea.hpp>
#include <pinocchio/spatial.hpp>

#include "assemble.hpp"
#include "errors.hpp"
#include "parallel.hpp"
#include "robot_impl.hpp"

namespace sobo {
namespace {

/// Pinocchio ships its algorithms compiled for this type; any other argument costs a minute of compilation.
using Ref = Eigen::Ref<const VectorXd>;

/// Bounds on a vector; without a box it is free.
class Bounds {
public:
  Bounds(const std::optional<Box> &box, Eigen::Index size) {
    const VectorXd infinite = VectorXd::Constant(size, std::numeric_limits<double>::infinity());
    lower_ = box ? box->lower : -infinite;
    upper_ = box ? box->upper : infinite;
    scale_ = 0.5 * (upper_ - lower_);
    for (double &each : scale_)
      if (!std::isfinite(each) || each <= 0.0)
        each = 1.0;
    free_ = !box;
  }

  /// Squared excess over a share of the bounds.
  double excess(const Ref &value, double share = 1.0) const {
    if (free_)
      return 0.0;
    double sum = 0.0;
    for (Eigen::Index i = 0; i < value.size(); ++i) {
      const double over = std::max(value[i] - share * upper_[i], share * lower_[i] - value[i]) / scale_[i];
      if (!(over <= 0.0)) // also where it is no number
        sum += over * over;
    }
    return sum;
  }

private:
  VectorXd lower_, upper_, scale_;
  bool free_;
};

/// What all rollouts of an arm share.
struct ArmBatch {
  ArmBatch(const Robot &moved, const ReachSpec &given, const VectorXd &start, const VectorXd &goal, ArmInput kind,
           const double *rows, const Reference &near)
      : robot(moved), spec(given), x0(start), input(kind), inputs(rows), reference(near),
        integrator(integrator_of(given.integrator)), control(given.control, moved.nv()),
        velocity(given.velocity, moved.nv()), position(given.position, moved.nv()),
        acceleration(given.acceleration, moved.nv()) {
    if (spec.joints) {
      spec.running.state_reference.head(robot.nv()) = goal;
      spec.terminal.state_reference.head(robot.nv()) = goal;
      return;
    }
    target = goal.head<3>();
    oriented = goal.size() == 7;
    if (oriented)
      rotation = rotation_of(goal);
  }

  /// Share of the bounds on accelerations that is open in a step.
  double opened(int t) const {
    const double from_start = (t + 1.0) / (spec.ramp_start + 1.0), to_end = (spec.horizon - t) / (spec.ramp_end + 1.0);
    return std::min({1.0, from_start, to_end});
  }

  const Robot &robot;
  ReachSpec spec;
  const VectorXd &x0;
  ArmInput input;
  const double *inputs;
  const Reference &reference;
  Integrator integrator;
  Bounds control, velocity, position, acceleration;
  Vector3d target = Vector3d::Zero();
  Eigen::Matrix3d rotation = Eigen::Matrix3d::Identity();
  bool oriented = false;
};

/// One thread's memory.
class ArmRollout {
public:
  explicit ArmRollout(const ArmBatch &batch)
      : batch_(&batch), robot_(&batch.robot.impl()), scratch_(robot_->borrow()), n_(robot_->model->nv), q_(n_), v_(n_),
        u_(n_), a_(n_), free_(n_), x_(2 * n_) {
    const auto &tool = robot_->model->frames[robot_->tool];
    joint_ = tool.parentJoint;
    offset_ = tool.placement;
  }

  void run(Eigen::Index i, BatchCosts &out) {
    const ReachSpec &spec = batch_->spec;
    const bool near = batch_->reference.positions.size() > 0;
    double cost = 0.0, excess = 0.0, away = 0.0;
    q_ = batch_->x0.head(n_);
    v_ = batch_->x0.tail(n_);
    for (int t = 0; t < spec.horizon; ++t) {
      const Eigen::Map<const VectorXd> row(batch_->inputs + (i * spec.horizon + t) * n_, n_);
      const pinocchio::SE3 tool = batch_->input == ArmInput::Torques ? push(row) : lead(row);
      if (near && t > 0)
        away += batch_->reference.away(t - 1, tool.translation());
      cost += state_cost(spec.running, tool) + spec.running.control.dot((u_ - spec.running.control_reference).cwiseAbs2());
      excess += batch_->control.excess(u_) + batch_->acceleration.excess(a_, batch_->opened(t));
      advance();
      excess += batch_->velocity.excess(v_) + batch_->position.excess(q_);
      if (!std::isfinite(cost))
        break;
    }
    const Ref q = q_;
    pinocchio::forwardKinematics(*robot_->model, scratch_->data, q);
    const pinocchio::SE3 tool = scratch_->data.oMi[joint_] * offset_;
    if (near)
      away += batch_->reference.away(spec.horizon - 1, tool.translation());
    out.cost[i] = cost + state_cost(spec.terminal, tool);
    out.excess[i] = excess;
    out.away[i] = away / spec.horizon;
    out.settle(i);
  }

private:
  /// The acceleration under a torque; returns where the tool is.
  template <class Row> pinocchio::SE3 push(const Row &torque) {
    u_ = torque;
    free_ = u_ - robot_->model->damping.cwiseProduct(v_);
    const Ref q = q_, v = v_, tau = free_;
    a_ = pinocchio::aba(*robot_->model, scratch_->data, q, v, tau, pinocchio::Convention::WORLD);
    return scratch_->data.oMi[joint_] * offset_;
  }

  /// The acceleration to a velocity, and the torque for it; returns where the tool is.
  template <class Row> pinocchio::SE3 lead(const Row &velocity) {
    a_ = (velocity - v_) / batch_->spec.dt;
    const Ref q = q_, v = v_, a = a_;
    u_ = pinocchio::rnea(*robot_->model, scratch_->data, q, v, a);
    u_ += robot_->model->damping.cwiseProduct(v_);
    pinocchio::SE3 tool = offset_;
    for (auto joint = joint_; joint > 0; joint = robot_->model->parents[joint])
      tool = scratch_->data.liMi[joint] * tool;
    return tool;
  }

  void advance() { // as `integrate`
    const double dt = batch_->spec.dt;
    free_ = v_ + dt * a_;
    if (batch_->integrator == Integrator::SemiImplicitEuler)
      q_ += dt * free_;
    else
      q_ += 0.5 * dt * (v_ + free_);
    v_ = free_;
  }

  double state_cost(const ReachWeights &w, const pinocchio::SE3 &tool) {
    x_ << q_, v_;
    double cost = w.state.dot((x_ - w.state_reference).cwiseAbs2());
    if (!batch_->spec.joints)
      cost += w.position.dot((tool.translation() - batch_->target).cwiseAbs2());
    if (batch_->oriented && std::isfinite(cost)) {
      const Eigen::Matrix3d offset = batch_->rotation.transpose() * tool.rotation();
      cost += w.orientation.dot(pinocchio::log3(offset).cwiseAbs2());
    }
    return cost;
  }

  const ArmBatch *batch_;
  const RobotImpl *robot_;
  std::shared_ptr<Scratch> scratch_;
  Eigen::Index n_;
  pinocchio::JointIndex joint_ = 0;
  pinocchio::SE3 offset_;
  VectorXd q_, v_, u_, a_, free_, x_;
};

void check_arm(const Robot &robot, const ReachSpec &spec, const VectorXd &x0, const VectorXd &target) {
  const bool oriented = !spec.running.orientation.isZero(0.0) || !spec.terminal.orientation.isZero(0.0);
  const Eigen::Index n = robot.nv(), size = spec.joints ? n : oriented ? 7 : 3;
  if (x0.size() != 2 * n || target.size() != size)
    throw SolverError("a batch of rollouts needs " + std::to_string(2 * n) + " numbers for x0 and " +
                      std::to_string(size) + " for the target, got " + std::to_string(x0.size()) + " and " +
                      std::to_string(target.size()));
  if (!x0.allFinite() || !target.allFinite())
    throw SolverError("x0 or the target holds a NaN or an infinity");
  if (spec.horizon < 1 || !(spec.dt > 0.0) || spec.actuation.rows() != n || !spec.actuation.isIdentity())
    throw SolverError("a batch of rollouts needs a horizon, a step, and a motor for every joint");
  if (spec.integrator != "semi_implicit_euler" && spec.integrator != "constant_acceleration")
    throw SolverError("a batch of rollouts cannot use the integrator '" + spec.integrator +
                      "'; use constant_acceleration or semi_implicit_euler");
  check_weights(spec.running, 2 * n, n);
  check_weights(spec.terminal, 2 * n, n);
  if (spec.running.self_distance > 0.0 || spec.terminal.self_distance > 0.0)
    throw SolverError("a batch of rollouts knows no cost on the distance between links");
  check_box(spec.control, n, "control");
  check_box(spec.velocity, n, "velocity");
  check_box(spec.position, n, "position");
  check_box(spec.acceleration, n, "acceleration");
}

} // namespace

void BatchCosts::settle(Eigen::Index i) {
  if (!std::isfinite(cost[i]) || !std::isfinite(excess[i]) || !std::isfinite(away[i]))
    cost[i] = excess[i] = away[i] = std::numeric_limits<double>::infinity();
}

void Reference::check(int horizon) const {
  if (positions.size() > 0 && (positions.rows() != horizon || positions.cols() != 3 || !positions.allFinite()))
    throw SolverError("a reference needs " + std::to_string(horizon) + " finite positions, got " +
                      std::to_string(positions.rows()) + " rows of " + std::to_string(positions.cols()));
  if (!(reach > 0.0))
    throw SolverError("the reach of a reference must be positive, got " + std::to_string(reach));
}

BatchCosts arm_batch(const Robot &robot, const ReachSpec &spec, const VectorXd &x0, const VectorXd &target, ArmInput input,
                     const double *inputs, Eigen::Index count, int threads, const Reference &reference) {
  check_arm(robot, spec, x0, target);
  reference.check(spec.horizon);
  const ArmBatch batch(robot, spec, x0, target, input, inputs, reference);
  BatchCosts out(count);
  parallel_for(count, threads, [&] {
    return [&out, rollout = ArmRollout(batch)](Eigen::Index i) mutable { rollout.run(i, out); };
  });
  return out;
}

} // namespace sobo
