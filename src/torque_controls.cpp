#include "torque_controls.hpp"

#include <Eigen/Cholesky>

#include "worker.hpp"

namespace sobo {

void TorqueControls::follow(Vectors &xs, Vectors &as) const {
  const Eigen::Index n = dynamics_->nv();
  const double dt = parts_->dt;
  for (std::size_t t = 0; t < as.size(); ++t) {
    as[t] = ((xs[t + 1].tail(n) - xs[t].tail(n)) / dt).cwiseMax(bounds_[t]->lower).cwiseMin(bounds_[t]->upper);
    xs[t + 1].head(n) = xs[t].head(n) + dt * (xs[t].tail(n) + 0.5 * dt * as[t]);
    xs[t + 1].tail(n) = xs[t].tail(n) + dt * as[t];
  }
}

void TorqueControls::differentiate(const Vectors &xs, Vectors &as) const {
  const Eigen::Index n = dynamics_->nv();
  for (std::size_t t = 0; t < as.size(); ++t)
    as[t] = (xs[t + 1].tail(n) - xs[t].tail(n)) / parts_->dt;
}

void TorqueControls::to_torques(Result &result) const {
  const Eigen::Index n = dynamics_->nv();
  for (Eigen::Index t = 0; t < result.U.rows(); ++t) {
    const VectorXd x = result.X.row(t), a = result.U.row(t);
    const MatrixXd jacobian = dynamics_->jacobian(x, a);
    const MatrixXd inertia = jacobian.rightCols(n), inverse = inertia.llt().solve(MatrixXd::Identity(n, n));
    result.U.row(t) = dynamics_->torque(x, a).transpose();
    if (t >= static_cast<Eigen::Index>(result.K.size()))
      continue;
    result.k.row(t) = (inertia * result.k.row(t).transpose()).transpose();
    result.K[t] = jacobian.leftCols(2 * n) + inertia * result.K[t];
    result.A[t] -= result.B[t] * inverse * jacobian.leftCols(2 * n);
    result.B[t] = result.B[t] * inverse;
  }
}

} // namespace sobo
