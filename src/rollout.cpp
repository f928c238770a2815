#include "rollout.hpp"

#include "errors.hpp"

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

Tracking track(const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, double dt, double blend,
               const Limits &limits, Integrator integrator) {
  const int n = robot.nv();
  if (x0.size() != 2 * n || desired.cols() != 2 * n || limits.torque.size() != n || limits.velocity.size() != n ||
      limits.acceleration.size() != n)
    throw RobotError("track: x0 and desired need " + std::to_string(2 * n) + " columns, the limits " +
                     std::to_string(n));
  Tracking out{RowMatrixXd(desired.rows() + 1, 2 * n), RowMatrixXd(desired.rows(), n)};
  out.X.row(0) = x0.transpose();
  VectorXd x = x0;
  for (Eigen::Index t = 0; t < desired.rows(); ++t) {
    const VectorXd q_des = desired.row(t).head(n), v_des = desired.row(t).tail(n), v = x.tail(n);
    const VectorXd mean = integrator == Integrator::SemiImplicitEuler ? v_des : VectorXd(0.5 * (v + v_des));
    const VectorXd wanted =
        (v_des + blend * ((q_des - x.head(n)) / dt - mean)).cwiseMax(-limits.velocity).cwiseMin(limits.velocity);
    const VectorXd a = ((wanted - v) / dt).cwiseMax(-limits.acceleration).cwiseMin(limits.acceleration);
    const VectorXd tau = robot.inverse_dynamics(x.head(n), v, a);
    const VectorXd u = tau.cwiseMax(-limits.torque).cwiseMin(limits.torque);
    x = robot.step(x, u, dt, integrator);
    out.U.row(t) = u.transpose();
    out.X.row(t + 1) = x.transpose();
  }
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
