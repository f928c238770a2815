#include "torque_controls.hpp"

#include <Eigen/Cholesky>

#include "worker.hpp"

namespace sobo {

void TorqueControls::close(Vectors &xs, Vectors &as) const {
  const Eigen::Index n = dynamics_->nv();
  const double dt = parts_->dt, moved = parts_->moved;
  for (std::size_t t = 0; t < as.size(); ++t) {
    as[t] = ((xs[t + 1].tail(n) - xs[t].tail(n)) / dt).cwiseMax(bounds_[t]->lower).cwiseMin(bounds_[t]->upper);
    xs[t + 1].head(n) = xs[t].head(n) + dt * (xs[t].tail(n) + moved * dt * as[t]);
    xs[t + 1].tail(n) = xs[t].tail(n) + dt * as[t];
  }
}

void TorqueControls::differentiate(const Vectors &xs, Vectors &as) const {
  const Eigen::Index n = dynamics_->nv();
  for (std::size_t t = 0; t < as.size(); ++t)
    as[t] = (xs[t + 1].tail(n) - xs[t].tail(n)) / parts_->dt;
}

void TorqueControls::to_torques(const Vectors &xs, const Vectors &as, Result &result) const {
  const Eigen::Index n = dynamics_->nv();
  for (std::size_t t = 0; t < as.size(); ++t) {
    const auto jacobian = dynamics_->jacobian(xs[t], as[t]);
    const auto row = static_cast<Eigen::Index>(t);
    result.U.row(row) = dynamics_->torque(xs[t], as[t]).transpose();
    if (t >= result.K.size())
      continue;
    const MatrixXd inertia = jacobian.rightCols(n), inverse = inertia.llt().solve(MatrixXd::Identity(n, n));
    result.k.row(row) = (inertia * result.k.row(row).transpose()).transpose();
    result.K[t] = jacobian.leftCols(2 * n) + inertia * result.K[t];
    result.A[t] -= result.B[t] * inverse * jacobian.leftCols(2 * n);
    result.B[t] = result.B[t] * inverse;
  }
}

void TorqueControls::pull(const Vectors &xs, const Vectors &as, double *slopes) const {
  const Eigen::Index n = dynamics_->nv();
  for (std::size_t t = 0; t < as.size(); ++t, slopes += 3 * n) {
    const auto jacobian = dynamics_->jacobian(xs[t], as[t]);
    Eigen::Map<VectorXd> by_state(slopes, 2 * n), by_control(slopes + 2 * n, n);
    by_state.noalias() += jacobian.leftCols(2 * n).transpose() * by_control;
    by_control = jacobian.rightCols(n).transpose() * by_control;
  }
}

void TorqueControls::push(const Vectors &xs, const Vectors &as, const double *step, double *torques) const {
  const Eigen::Index n = dynamics_->nv();
  for (std::size_t t = 0; t < as.size(); ++t, step += 3 * n, torques += n)
    Eigen::Map<VectorXd>(torques, n).noalias() =
        dynamics_->jacobian(xs[t], as[t]) * Eigen::Map<const VectorXd>(step, 3 * n);
}

} // namespace sobo
