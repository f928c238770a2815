#include "policy_rollout.hpp"

#include <cmath>

#include <Eigen/LU>

#include "clock.hpp"
#include "errors.hpp"

namespace sobo {
namespace {

void check_sizes(const Robot &robot, const UNetConfig &config, const PolicyScales &scales, const ArmObservation &how,
                 const VectorXd &x0) {
  const int n = robot.nv(), observed = 2 * (how.last - how.first) + 4 * n + 14;
  if (x0.size() != 2 * n || config.action_dim != 2 * n || config.obs_dim != observed || how.first < 0 || how.last > n ||
      scales.observation_mean.size() != observed || scales.observation_scale.size() != observed ||
      scales.action_mean.size() != 2 * n || scales.action_scale.size() != 2 * n)
    throw PolicyError("a policy of " + std::to_string(config.obs_dim) + " observations and " +
                      std::to_string(config.action_dim) + " actions does not fit an arm of " + std::to_string(n) + " joints");
}

// A rollout of each sample, as far as it has come.
class Rollout {
public:
  Rollout(const Robot &robot, UNet &network, const ArmObservation &how, const PolicyScales &scales,
          const ChunkExecution &execution, const VectorXd &x0, const Vector3d &target, int samples)
      : robot_(robot), network_(network), how_(how), scales_(scales), execution_(execution), target_(target), n_(robot.nv()),
        observation_(network.config().obs_dim), observations_(static_cast<std::size_t>(samples) * observation_.size()),
        history_(static_cast<std::size_t>(samples) * 2 * n_),
        chunk_(static_cast<std::size_t>(samples) * network.config().horizon * 2 * n_) {
    for (int i = 0; i < samples; ++i) {
      out.X.emplace_back(execution.horizon + 1, 2 * n_);
      out.U.emplace_back(execution.horizon, n_);
      out.X.back().row(0) = x0.transpose();
    }
  }

  void advance(int t, const std::vector<int> &taken, const float *weights, const float *noise) {
    const int samples = static_cast<int>(out.X.size());
    for (int i = 0; i < samples; ++i)
      encode(i, t);
    network_.sample(samples, 1, taken, weights, observations_.data(), history_.data(), noise, chunk_.data());
    for (const float number : chunk_)
      if (!std::isfinite(number))
        throw PolicyError("the policy predicts values that are not finite");
    const int steps = std::min(execution_.steps, execution_.horizon - t);
    for (int i = 0; i < samples; ++i)
      execute(i, t, steps);
  }

  PolicyRollouts out;

private:
  void encode(int i, int t) {
    const Eigen::Index size = observation_.size();
    float *observed = observations_.data() + i * size, *known = history_.data() + i * 2 * n_;
    if (t == 0 && i > 0) { // all begin alike
      std::copy_n(observations_.data(), size, observed);
      std::copy_n(history_.data(), 2 * n_, known);
      return;
    }
    const VectorXd x = out.X[i].row(t).transpose();
    if (!x.allFinite())
      throw PolicyError("state and target must be finite, a rollout is not after " + std::to_string(t) + " steps");
    observe(robot_, how_, x, target_, t, observation_);
    for (Eigen::Index k = 0; k < size; ++k)
      observed[k] = static_cast<float>((observation_[k] - scales_.observation_mean[k]) / scales_.observation_scale[k]);
    for (int k = 0; k < 2 * n_; ++k) {
      const double action = k < n_ ? 0.0 : how_.stretch * x[k];
      known[k] = static_cast<float>((action - scales_.action_mean[k]) / scales_.action_scale[k]);
    }
  }

  void execute(int i, int t, int steps) {
    const VectorXd x = out.X[i].row(t).transpose();
    const float *chunk = chunk_.data() + (static_cast<std::size_t>(i) * network_.config().horizon + 1) * 2 * n_;
    RowMatrixXd desired(steps, 2 * n_);
    for (int s = 0; s < steps; ++s, chunk += 2 * n_)
      for (int k = 0; k < 2 * n_; ++k) {
        const double action = static_cast<double>(chunk[k]) * scales_.action_scale[k] + scales_.action_mean[k];
        desired(s, k) = k < n_ ? action + x[k] : action / how_.stretch;
      }
    const auto &[horizon, each, dt, blend, limits, integrator] = execution_;
    const Tracking followed = track(robot_, x, desired, dt, blend, limits, integrator);
    out.X[i].middleRows(t, steps + 1) = followed.X;
    out.U[i].middleRows(t, steps) = followed.U;
  }

  const Robot &robot_;
  UNet &network_;
  const ArmObservation &how_;
  const PolicyScales &scales_;
  const ChunkExecution &execution_;
  Vector3d target_;
  int n_;
  VectorXd observation_;
  std::vector<float> observations_, history_, chunk_; // normalised, of all samples
};

} // namespace

void observe(const Robot &robot, const ArmObservation &how, const VectorXd &x, const Vector3d &target, int t, VectorXd &out) {
  const int n = robot.nv(), angles = how.last - how.first;
  const VectorXd q = x.head(n);
  const Eigen::Matrix3d turned = robot.joint_placement(q, 0).leftCols<3>().transpose();
  const Vector3d error = target - robot.tool_position(q), seen = turned * error;
  const RowMatrixXd J = robot.tool_jacobian(q);
  out.head(angles) = q.segment(how.first, angles).array().cos();
  out.segment(angles, angles) = q.segment(how.first, angles).array().sin();
  double *place = out.data() + 2 * angles;
  const auto put = [&place](const auto &values) {
    Eigen::Map<VectorXd>(place, values.size()) = values;
    place += values.size();
  };
  put(VectorXd(how.stretch * x.tail(n)));
  put(Vector3d(turned * (target - how.origin)));
  put(seen);
  put(Vector3d(seen / std::sqrt(seen.dot(seen) + how.near * how.near)));
  const Vector3d capped = error * (how.far / std::sqrt(error.dot(error) + how.far * how.far));
  Eigen::Matrix3d square = J * J.transpose();
  square.diagonal().array() += how.damping * how.damping;
  put(VectorXd(J.transpose() * square.partialPivLu().solve(capped)));
  put(VectorXd(J.transpose() * error));
  put(robot.gravity(q));
  const double left = how.horizon - t, phase = M_PI * std::min<double>(left, how.end) / how.end;
  Eigen::Map<Eigen::Matrix<double, 5, 1>>{place} << left / how.horizon, std::cos(phase), std::cos(2.0 * phase),
      std::sin(phase), std::sin(2.0 * phase);
}

PolicyRollouts policy_rollouts(const Robot &robot, UNet &network, const ArmObservation &observation, const PolicyScales &scales,
                               const ChunkExecution &execution, const VectorXd &x0, const Vector3d &target, const std::vector<int> &steps,
                               const float *weights, const float *noise, int samples, double seconds, const Interrupt *interrupt) {
  const UNetConfig &config = network.config();
  check_sizes(robot, config, scales, observation, x0);
  if (execution.steps < 1 || execution.steps >= config.horizon)
    throw PolicyError("a chunk of " + std::to_string(config.horizon) + " slots does not hold " +
                      std::to_string(execution.steps) + " steps");
  const double end = wall_seconds() + seconds;
  const std::size_t drawn = steps.size() * samples * config.horizon * config.action_dim;
  Rollout rollout(robot, network, observation, scales, execution, x0, target, samples);
  int t = 0;
  for (; t < execution.horizon; t += execution.steps, noise += drawn) {
    if ((interrupt && interrupt->is_set()) || wall_seconds() >= end)
      break;
    rollout.advance(t, steps, weights, noise);
  }
  rollout.out.done = std::min(t, execution.horizon);
  return std::move(rollout.out);
}

} // namespace sobo
