#include "torque_curvature.hpp"

#include <pinocchio/algorithm/rnea-second-order-derivatives.hpp>

namespace sobo {
namespace {

template <typename Tensor> MatrixXd contract(const Tensor &tensor, const VectorXd &weights) {
  const Eigen::Index n = weights.size();
  const Eigen::Map<const MatrixXd> flat(tensor.data(), n, n * n); // the first index runs fastest
  const VectorXd sum = flat.transpose() * weights;
  return Eigen::Map<const MatrixXd>(sum.data(), n, n);
}

} // namespace

TorqueCurvature contracted_second_derivatives(const pinocchio::Model &model, pinocchio::Data &scratch, const VectorXd &q,
                                              const VectorXd &v, const VectorXd &a, const VectorXd &weights) {
  auto &d = scratch;
  d.d2tau_dqdq.setZero();
  d.d2tau_dvdv.setZero();
  d.d2tau_dqdv.setZero();
  d.d2tau_dadq.setZero();
  pinocchio::ComputeRNEASecondOrderDerivatives(model, d, q, v, a, d.d2tau_dqdq, d.d2tau_dvdv, d.d2tau_dqdv,
                                               d.d2tau_dadq);
  return {contract(d.d2tau_dqdq, weights), contract(d.d2tau_dvdv, weights), contract(d.d2tau_dqdv, weights),
          contract(d.d2tau_dadq, weights).transpose()};
}

} // namespace sobo
