#include "batch_rollout.hpp"

#include <pinocchio/spatial.hpp>

#include "arm_model.hpp"
#include "assemble.hpp"
#include "errors.hpp"
#include "robot_impl.hpp"
#include "rollout_batch.hpp"

namespace sobo {
namespace {

/// What all rollouts of an arm share.
class ArmBatch {
public:
  ArmBatch(const Robot &robot, const ReachSpec &spec, const VectorXd &x0, const VectorXd &target, ArmInput input,
           const Reference &reference)
      : spec_(spec), tree_(ArmTree::of(*robot.impl().model, robot.impl().tool)), target_(target), control_(spec.control),
        velocity_(spec.velocity), position_(spec.position), acceleration_(spec.acceleration), opened_(spec.horizon) {
    if (!tree_)
      throw SolverError("a batch of rollouts needs joints that turn about or move along an axis");
    if (spec.joints) {
      spec_.running.state_reference.head(robot.nv()) = target;
      spec_.terminal.state_reference.head(robot.nv()) = target;
    } else if (target.size() == 7) {
      rotation_ = rotation_of(target);
    }
    for (int t = 0; t < spec.horizon; ++t)
      opened_[t] = std::min({1.0, (t + 1.0) / (spec.ramp_start + 1.0), (spec.horizon - t) / (spec.ramp_end + 1.0)});
    static_cast<Rollouts &>(shared_) = {0,  spec.horizon,     spec.dt,           x0.data(),        nullptr,
                                        view(spec_.running), view(spec_.terminal), target_.data(), control_.view(),
                                        reference.data(),    reference.reach};
    shared_.arm = tree_->model();
    shared_.motions = input == ArmInput::Velocities;
    shared_.semi_implicit = integrator_of(spec.integrator) == Integrator::SemiImplicitEuler;
    shared_.positions = !spec.joints;
    shared_.turn_cost = !spec.joints && target.size() == 7 ? turn_cost : nullptr;
    shared_.context = this;
    shared_.velocity = velocity_.view();
    shared_.position = position_.view();
    shared_.acceleration = acceleration_.view();
    shared_.opened = opened_.data();
  }
  ArmBatch(const ArmBatch &) = delete; // it refers to itself
  ArmBatch &operator=(const ArmBatch &) = delete;

  ArmRollouts of(const double *const *inputs, int count) const {
    ArmRollouts out = shared_;
    out.inputs = inputs;
    out.count = count;
    return out;
  }

private:
  static double turn_cost(const void *context, bool terminal, const double *rotation) {
    const auto &batch = *static_cast<const ArmBatch *>(context);
    const Eigen::Matrix3d offset = batch.rotation_.transpose() * Eigen::Map<const Eigen::Matrix3d>(rotation);
    const ReachWeights &weights = terminal ? batch.spec_.terminal : batch.spec_.running;
    return weights.orientation.dot(pinocchio::log3(offset).cwiseAbs2());
  }

  ReachSpec spec_;
  std::optional<ArmTree> tree_;
  VectorXd target_;
  Eigen::Matrix3d rotation_ = Eigen::Matrix3d::Identity();
  Bounds control_, velocity_, position_, acceleration_;
  VectorXd opened_; // share of the bounds on accelerations that is open in each step
  ArmRollouts shared_{};
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

BatchCosts arm_batch(const Robot &robot, const ReachSpec &spec, const VectorXd &x0, const VectorXd &target, ArmInput input,
                     const double *inputs, Eigen::Index count, int threads, const Reference &reference,
                     const std::string &name) {
  check_arm(robot, spec, x0, target);
  reference.check(spec.horizon);
  const RolloutKernel &kernel = rollout_kernel(name);
  const ArmBatch batch(robot, spec, x0, target, input, reference);
  const auto run = [&](const double *const *rows, int some, const RolloutSums &out, double *memory) {
    kernel.arm(batch.of(rows, some), out, memory);
  };
  return run_batch(kernel, inputs, count, spec.horizon * robot.nv(), threads, kernel.memory(robot.nv()), run);
}

} // namespace sobo
