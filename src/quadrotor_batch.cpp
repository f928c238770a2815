#include <cmath>

#include "assemble.hpp"
#include "errors.hpp"
#include "quadrotor_model.hpp"
#include "rollout_batch.hpp"

namespace sobo {
namespace {

void check(const QuadrotorSpec &spec, const VectorXd &x0, const VectorXd &target) {
  if (x0.size() != QuadrotorModel::nx || target.size() != 3 || !x0.allFinite() || !target.allFinite())
    throw SolverError("a batch of flights needs 12 finite numbers for x0 and 3 for the target, got " +
                      std::to_string(x0.size()) + " and " + std::to_string(target.size()));
  if (spec.horizon < 1)
    throw SolverError("the horizon must be at least 1 step, got " + std::to_string(spec.horizon));
  QuadrotorModel{spec}; // checks its parameters
  check_weights(spec.running, QuadrotorModel::nx, QuadrotorModel::nu);
  check_weights(spec.terminal, QuadrotorModel::nx, QuadrotorModel::nu);
  check_box(spec.control, QuadrotorModel::nu, "control");
  check_box(spec.height, 1, "height");
}

} // namespace

BatchCosts quadrotor_batch(const QuadrotorSpec &spec, const VectorXd &x0, const VectorXd &target, const double *inputs,
                           Eigen::Index count, int threads, const Reference &reference, const std::string &name) {
  check(spec, x0, target);
  reference.check(spec.horizon);
  const RolloutKernel &kernel = rollout_kernel(name);
  const Bounds control(spec.control);
  QuadrotorRollouts shared{};
  static_cast<Rollouts &>(shared) = {0,
                                     spec.horizon,
                                     spec.dt,
                                     x0.data(),
                                     nullptr,
                                     view(spec.running),
                                     view(spec.terminal),
                                     target.data(),
                                     control.view(),
                                     reference.data(),
                                     reference.reach};
  shared.mass = spec.mass;
  shared.gravity = spec.gravity;
  Eigen::Map<Vector3d>{shared.inertia} = spec.inertia;
  Eigen::Map<Eigen::Matrix<double, 4, 4, Eigen::RowMajor>>{shared.actuation} = spec.actuation;
  shared.floor = spec.height ? spec.height->lower[0] : -HUGE_VAL;
  shared.ceiling = spec.height ? spec.height->upper[0] : HUGE_VAL;
  shared.columns = static_cast<int>(spec.columns.rows());
  shared.column = spec.columns.data();
  const auto run = [&](const double *const *rows, int some, const RolloutSums &out, double *) {
    QuadrotorRollouts rollouts = shared;
    rollouts.inputs = rows;
    rollouts.count = some;
    kernel.quadrotor(rollouts, out);
  };
  return run_batch(kernel, inputs, count, spec.horizon * QuadrotorModel::nu, threads, 0, run);
}

} // namespace sobo
