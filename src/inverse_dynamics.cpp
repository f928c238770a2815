#include "inverse_dynamics.hpp"

#include <pinocchio/algorithm/rnea-derivatives.hpp>
#include <pinocchio/algorithm/rnea.hpp>

#include "torque_curvature.hpp"

namespace sobo {

// Whether the point is another than the last one.
bool InverseDynamics::move_to(const ConstVectorRef &x, const ConstVectorRef &a) {
  if (x_.size() == x.size() && x_ == x && a_ == a)
    return false;
  x_ = x;
  a_ = a;
  fresh_ = false;
  return true;
}

const VectorXd &InverseDynamics::torque(const ConstVectorRef &x, const ConstVectorRef &a) {
  if (move_to(x, a)) {
    // Pinocchio ships its algorithms compiled for this type; any other argument costs a minute of compilation.
    const ConstVectorRef q = x_.head(nv()), v = x_.tail(nv()), acceleration = a_;
    torque_ = pinocchio::rnea(*model_, scratch_, q, v, acceleration) + model_->damping.cwiseProduct(v);
  }
  return torque_;
}

const MatrixXd &InverseDynamics::jacobian(const ConstVectorRef &x, const ConstVectorRef &a) {
  if (move_to(x, a) || !fresh_) {
    const int n = nv();
    const ConstVectorRef q = x_.head(n), v = x_.tail(n), acceleration = a_;
    pinocchio::computeRNEADerivatives(*model_, scratch_, q, v, acceleration);
    torque_ = scratch_.tau + model_->damping.cwiseProduct(v);
    jacobian_.leftCols(n) = scratch_.dtau_dq;
    jacobian_.middleCols(n, n) = scratch_.dtau_dv;
    jacobian_.middleCols(n, n).diagonal() += model_->damping;
    jacobian_.rightCols(n) = scratch_.M.selfadjointView<Eigen::Upper>();
    fresh_ = true;
  }
  return jacobian_;
}

void InverseDynamics::add_curvature(const VectorXd &x, const VectorXd &a, const VectorXd &weights, MatrixXd &block) {
  const Eigen::Index n = nv();
  const VectorXd q = x.head(n), v = x.tail(n);
  const auto [qq, vv, qv, qa] = contracted_second_derivatives(*model_, scratch_, q, v, a, weights);
  x_.resize(0); // the scratch memory is that of another algorithm now
  block.topLeftCorner(n, n) += qq;
  block.block(n, n, n, n) += vv;
  block.block(0, n, n, n) += qv;
  block.block(n, 0, n, n) += qv.transpose();
  block.block(0, 2 * n, n, n) += qa;
  block.block(2 * n, 0, n, n) += qa.transpose();
}

} // namespace sobo
