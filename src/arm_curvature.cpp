// Second derivatives of an arm's cost and dynamics.
#include "torque_curvature.hpp"
#include "cost.hpp"
#include "dynamics.hpp"

namespace sobo {

using Eigen::Matrix3d;
using Eigen::MatrixXd;
using Eigen::Vector3d;
using Eigen::VectorXd;

namespace {

/// Jlog3(r) = I + [r]/2 + b [r]^2 with b a function of the angle |r|: b, and its derivative divided by the angle.
std::pair<double, double> log_coefficient(double angle) {
  const double square = angle * angle;
  if (angle < 0.05) // three terms of the series: exact to 1e-11
    return {1.0 / 12.0 + square / 720.0 + square * square / 30240.0,
            1.0 / 360.0 + square / 7560.0 + square * square / 201600.0};
  const double sine = std::sin(0.5 * angle), cotangent = std::cos(0.5 * angle) / sine;
  const double b = (1.0 - 0.5 * angle * cotangent) / square;
  return {b, (0.25 / (sine * sine) - 0.5 * cotangent / angle - 2.0 * b) / square};
}

/// d(Jlog3(r)' v)/dr with v held: Jlog3(r)' v = v - r x v / 2 + b (r r'v - r'r v).
Matrix3d log_curvature(const Vector3d &r, const Vector3d &v) {
  const auto [b, slope] = log_coefficient(r.norm());
  Matrix3d out = b * (r * v.transpose() - 2.0 * v * r.transpose());
  out.diagonal().array() += b * r.dot(v);
  out += slope * (r.dot(v) * r - r.squaredNorm() * v) * r.transpose();
  pinocchio::addSkew(0.5 * v, out);
  return out;
}

} // namespace

// d2p / dq_i dq_j = w_i x dp/dq_j for a joint i that carries joint j, with angular velocity w_i per unit of its own.
void ReachCost::add_curvature(const CostData &base, MatrixXd &block) const {
  const auto &data = static_cast<const ReachCostData &>(base);
  const Vector3d force = 2.0 * weights().position.cwiseProduct(data.error);
  const auto linear = data.jacobian.topRows<3>();
  const auto angular = data.jacobian.bottomRows<3>();
  for (Eigen::Index j = 0; j < linear.cols(); ++j)
    for (Eigen::Index i = 0; i <= j; ++i) {
      const double value = force.dot(Vector3d(angular.col(i)).cross(Vector3d(linear.col(j))));
      block(i, j) += value;
      if (i != j)
        block(j, i) += value;
    }
  if (rotation_)
    add_turn_curvature(data, block);
}

// With the spins s_i of the tool about its own axes per unit of joint i: dr/dq_i = Jlog3(r) s_i, and ds_i / dq_j = s_i x s_j
// for a joint i that carries joint j, zero otherwise. The Hessian is symmetric, its two parts by themselves are not.
void ReachCost::add_turn_curvature(const ReachCostData &data, MatrixXd &block) const {
  const Eigen::Index n = data.jacobian.cols();
  const Vector3d weighted = weights().orientation.cwiseProduct(data.turn);
  const Vector3d pull = data.turn_by_spin.transpose() * weighted;
  const Eigen::Matrix3Xd spins = data.tool.transpose() * data.jacobian.bottomRows<3>();
  const MatrixXd half = spins.transpose() * (log_curvature(data.turn, weighted) * data.turn_jacobian);
  block.topLeftCorner(n, n) += half + half.transpose();
  for (Eigen::Index j = 1; j < n; ++j)
    for (Eigen::Index i = 0; i < j; ++i) {
      const double value = pull.dot(Vector3d(spins.col(i)).cross(Vector3d(spins.col(j))));
      block(i, j) += value;
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
  const VectorXd y = dt() * (costate.tail(n) + dt() * costate.head(n));
  const VectorXd m = forward.by_torque * y;
  const VectorXd q = forward.x.head(n), v = forward.x.tail(n), a = forward.acceleration;
  const auto [by_qq, by_vv, by_qv, by_qa] = contracted_second_derivatives(model, *scratch_, q, v, a, m);
  const MatrixXd qq = by_qq + by_qa * forward.by_position + (by_qa * forward.by_position).transpose();
  const MatrixXd qv = by_qv + by_qa * forward.by_velocity;
  const MatrixXd qu = by_qa * (forward.by_torque * actuation_);
  const Eigen::Index nu = qu.cols();
  block.topLeftCorner(n, n) -= qq;
  block.block(n, n, n, n) -= by_vv;
  block.block(0, n, n, n) -= qv;
  block.block(n, 0, n, n) -= qv.transpose();
  block.block(0, 2 * n, n, nu) -= qu;
  block.block(2 * n, 0, nu, n) -= qu.transpose();
}

} // namespace sobo
