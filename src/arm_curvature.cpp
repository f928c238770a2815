// Second derivatives of an arm's cost and dynamics.
#include <pinocchio/algorithm/rnea-second-order-derivatives.hpp>

#include "cost.hpp"
#include "dynamics.hpp"

namespace sobo {

using Eigen::MatrixXd;
using Eigen::Vector3d;
using Eigen::VectorXd;

namespace {

template <typename Tensor> MatrixXd contract(const Tensor &tensor, const VectorXd &weights) {
  const Eigen::Index n = weights.size();
  const Eigen::Map<const MatrixXd> flat(tensor.data(), n, n * n); // the first index runs fastest
  const VectorXd sum = flat.transpose() * weights;
  return Eigen::Map<const MatrixXd>(sum.data(), n, n);
}

} // namespace

// d2p / dq_i dq_j = w_i x dp/dq_j for a joint i that carries joint j, with angular velocity w_i per unit of its own.
void ReachCost::add_curvature(const CostData &base, MatrixXd &block) const {
  const auto &data = static_cast<const ReachCostData &>(base);
  const Vector3d force = 2.0 * weights_.position.cwiseProduct(data.error);
  const auto linear = data.jacobian.topRows<3>();
  const auto angular = data.jacobian.bottomRows<3>();
  for (Eigen::Index j = 0; j < linear.cols(); ++j)
    for (Eigen::Index i = 0; i <= j; ++i) {
      const double value = force.dot(Vector3d(angular.col(i)).cross(Vector3d(linear.col(j))));
      block(i, j) += value;
      if (i != j)
        block(j, i) += value;
    }
}

// Inverse dynamics tau(q, v, a) differentiated twice along a(q, v, tau): y' a_zz = - W' (m' tau_ww) W with
// w = (q, v, a), W = dw/dz, and m = M^-1 y.
void SemiImplicitEuler::add_curvature(const ExplicitDynamicsData &base, const VectorXd &costate,
                                      MatrixXd &block) const {
  const auto &forward = static_cast<const SemiImplicitEulerData &>(base);
  const auto &model = *model_;
  const Eigen::Index n = model.nv;
  const VectorXd y = dt_ * (costate.tail(n) + dt_ * costate.head(n));
  const VectorXd m = forward.pinocchio.Minv * y;
  const VectorXd q = forward.x.head(n), v = forward.x.tail(n), a = forward.pinocchio.ddq;
  auto &d = *scratch_;
  d.d2tau_dqdq.setZero();
  d.d2tau_dvdv.setZero();
  d.d2tau_dqdv.setZero();
  d.d2tau_dadq.setZero();
  pinocchio::ComputeRNEASecondOrderDerivatives(model, d, q, v, a, d.d2tau_dqdq, d.d2tau_dvdv, d.d2tau_dqdv,
                                               d.d2tau_dadq);
  const MatrixXd qa = contract(d.d2tau_dadq, m).transpose();
  const MatrixXd qq = contract(d.d2tau_dqdq, m) + qa * forward.pinocchio.ddq_dq +
                      (qa * forward.pinocchio.ddq_dq).transpose();
  const MatrixXd qv = contract(d.d2tau_dqdv, m) + qa * forward.pinocchio.ddq_dv;
  const MatrixXd qu = qa * (forward.pinocchio.Minv * actuation_);
  const Eigen::Index nu = qu.cols();
  block.topLeftCorner(n, n) -= qq;
  block.block(n, n, n, n) -= contract(d.d2tau_dvdv, m);
  block.block(0, n, n, n) -= qv;
  block.block(n, 0, n, n) -= qv.transpose();
  block.block(0, 2 * n, n, nu) -= qu;
  block.block(2 * n, 0, nu, n) -= qu.transpose();
}

} // namespace sobo
