#include "rollout.hpp"

#include <algorithm>

#include "errors.hpp"
#include "torques.hpp"

namespace sobo {

RowMatrixXd simulate(const Robot &robot, const VectorXd &x0, const RowMatrixXd &U, double dt, Integrator integrator) {
  RowMatrixXd X(U.rows() + 1, x0.size());
  X.row(0) = x0.transpose();
  VectorXd x = x0;
  for (Eigen::Index t = 0; t < U.rows(); ++t) {
    x = robot.step(x, U.row(t).transpose(), dt, integrator);
    X.row(t + 1) = x.transpose();
  }
  return X;
}

namespace {

// Follows desired states for some steps at a time, as if no torque reached its limit, which is then looked at for all of
// them at once: accelerations are those that inverse dynamics finds torques for. From the first torque that is beyond its
// limit on, this is done again.
class Tracker {
public:
  Tracker(const Robot &robot, const RowMatrixXd &desired, double dt, double blend, const Limits &limits, Integrator integrator,
          Tracking &out)
      : robot_(robot), desired_(desired), limits_(limits), dt_(dt), blend_(blend), integrator_(integrator), out_(out),
        torques_(robot.impl()), A_(desired.rows(), robot.nv()) {}

  void follow() {
    const Eigen::Index steps = desired_.rows();
    Eigen::Index most = torques_.lanes();
    for (Eigen::Index t = 0; t < steps;) {
      const Eigen::Index count = std::min(most, steps - t), kept = within_limits(t, count);
      if (kept < count)
        clip(t + kept);
      most = kept < count ? 1 : std::min<Eigen::Index>(2 * most, torques_.lanes());
      t += std::min(kept + 1, count);
    }
  }

private:
  // Steps until one needs a torque beyond its limit.
  Eigen::Index within_limits(Eigen::Index t, Eigen::Index count) {
    const Eigen::Index n = A_.cols();
    for (Eigen::Index k = t; k < t + count; ++k) {
      const VectorXd x = out_.X.row(k).transpose(), v = x.tail(n), v_des = desired_.row(k).tail(n).transpose();
      const VectorXd mean = integrator_ == Integrator::SemiImplicitEuler ? v_des : VectorXd(0.5 * (v + v_des));
      const VectorXd missing = (desired_.row(k).head(n).transpose() - x.head(n)) / dt_ - mean;
      const VectorXd wanted = (v_des + blend_ * missing).cwiseMax(-limits_.velocity).cwiseMin(limits_.velocity);
      const VectorXd a = ((wanted - v) / dt_).cwiseMax(-limits_.acceleration).cwiseMin(limits_.acceleration);
      A_.row(k) = a.transpose();
      out_.X.row(k + 1) = integrate(x, a, dt_, integrator_).transpose();
    }
    torques_.find(out_.X.row(t).data(), A_.row(t).data(), count, out_.U.row(t).data());
    for (Eigen::Index k = t; k < t + count; ++k)
      if (!(out_.U.row(k).transpose().array().abs() <= limits_.torque.array()).all())
        return k - t;
    return count;
  }

  void clip(Eigen::Index t) {
    const VectorXd u = out_.U.row(t).transpose().cwiseMax(-limits_.torque).cwiseMin(limits_.torque);
    out_.U.row(t) = u.transpose();
    out_.X.row(t + 1) = robot_.step(out_.X.row(t).transpose(), u, dt_, integrator_).transpose();
  }

  const Robot &robot_;
  const RowMatrixXd &desired_;
  const Limits &limits_;
  double dt_, blend_;
  Integrator integrator_;
  Tracking &out_;
  Torques torques_;
  RowMatrixXd A_;
};

} // namespace

Tracking track(const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, double dt, double blend,
               const Limits &limits, Integrator integrator) {
  const int n = robot.nv();
  if (x0.size() != 2 * n || desired.cols() != 2 * n || limits.torque.size() != n || limits.velocity.size() != n ||
      limits.acceleration.size() != n)
    throw RobotError("track: x0 and desired need " + std::to_string(2 * n) + " columns, the limits " +
                     std::to_string(n));
  Tracking out{RowMatrixXd(desired.rows() + 1, 2 * n), RowMatrixXd(desired.rows(), n)};
  out.X.row(0) = x0.transpose();
  Tracker(robot, desired, dt, blend, limits, integrator, out).follow();
  return out;
}

VectorXd follow_feedback(const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, const RowMatrixXd &torques,
                         const RowMatrixXd &gains, const VectorXd &dt, const VectorXd &torque_limit, Integrator integrator) {
  const Eigen::Index n = robot.nv(), steps = dt.size();
  const auto has = [&](const RowMatrixXd &m, Eigen::Index cols) { return m.rows() == steps && m.cols() == cols; };
  if (x0.size() != 2 * n || !has(desired, 2 * n) || !has(torques, n) || !has(gains, 2 * n * n) || torque_limit.size() != n)
    throw RobotError("follow_feedback: " + std::to_string(steps) + " steps need as many rows of " + std::to_string(2 * n) +
                     ", " + std::to_string(n) + " and " + std::to_string(2 * n * n) + " numbers");
  VectorXd x = x0;
  for (Eigen::Index t = 0; t < steps; ++t) {
    const Eigen::Map<const RowMatrixXd> gain(gains.row(t).data(), n, 2 * n);
    const VectorXd u = torques.row(t).transpose() + gain * (x - desired.row(t).transpose());
    x = robot.step(x, u.cwiseMax(-torque_limit).cwiseMin(torque_limit), dt[t], integrator);
  }
  return x;
}

} // namespace sobo
