#include "curvature.hpp"

#include <algorithm>

#include <aligator/core/stage-data.hpp>
#include <pinocchio/algorithm/rnea-second-order-derivatives.hpp>

#include "cost.hpp"
#include "dynamics.hpp"

namespace sobo {
namespace {

const ReachCost *reach_cost(const aligator::StageModelTpl<double> &stage) {
  return dynamic_cast<const ReachCost *>(&*stage.cost_);
}

const SemiImplicitEuler *arm_dynamics(const aligator::StageModelTpl<double> &stage) {
  return dynamic_cast<const SemiImplicitEuler *>(&*stage.dynamics_);
}

// d2p / dq_i dq_j = w_i x dp/dq_j for a joint i that carries joint j, with angular velocity w_i per unit of its own.
void add_kinematics(const ReachCost &cost, const CostData &base, MatrixXd &block) {
  const auto &data = static_cast<const ReachCostData &>(base);
  const Vector3d force = 2.0 * cost.weights_.position.cwiseProduct(data.error);
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

template <typename Tensor> MatrixXd contract(const Tensor &tensor, const VectorXd &weights) {
  const Eigen::Index n = weights.size();
  const Eigen::Map<const MatrixXd> flat(tensor.data(), n, n * n); // the first index runs fastest
  const VectorXd sum = flat.transpose() * weights;
  return Eigen::Map<const MatrixXd>(sum.data(), n, n);
}

} // namespace

Curvature::Curvature(const Problem &problem) : problem_(problem) {
  const auto &first = *problem.stages_.front();
  const auto *dynamics = arm_dynamics(first);
  if (!dynamics || !reach_cost(first))
    return;
  data_ = std::make_unique<pinocchio::Data>(*dynamics->model_);
  for (const auto &stage : problem.stages_)
    blocks_.push_back(MatrixXd::Zero(stage->ndx1() + stage->nu(), stage->ndx1() + stage->nu()));
  blocks_.push_back(MatrixXd::Zero(first.ndx1(), first.ndx1()));
}

void Curvature::compute(const Solver &solver) {
  const auto &data = solver.workspace_.problem_data;
  find_costates(solver);
  for (std::size_t t = 0; t < problem_.stages_.size(); ++t) {
    blocks_[t].setZero();
    add_kinematics(*reach_cost(*problem_.stages_[t]), *data.stage_data[t]->cost_data, blocks_[t]);
    add_dynamics(solver, t);
  }
  blocks_.back().setZero();
  add_kinematics(dynamic_cast<const ReachCost &>(*problem_.term_cost_), *data.term_cost_data, blocks_.back());
}

// The solver's own, once it has any; the adjoint equation along the trajectory before its first step. As the solver's
// initial multipliers these would be too wild where the guess is: they only weigh the curvature.
void Curvature::find_costates(const Solver &solver) {
  costates_ = solver.results_.lams;
  const auto known = [](const VectorXd &costate) { return costate.squaredNorm() > 0.0; };
  if (std::any_of(costates_.begin(), costates_.end(), known))
    return;
  const auto &data = solver.workspace_.problem_data;
  costates_.back() = data.term_cost_data->Lx_;
  for (std::size_t t = problem_.stages_.size() - 1; t > 0; --t) {
    const auto &stage = *data.stage_data[t];
    costates_[t] = stage.cost_data->Lx_;
    costates_[t].noalias() += stage.dynamics_data->Jx().transpose() * costates_[t + 1];
  }
}

// Inverse dynamics tau(q, v, a) differentiated twice along a(q, v, tau): y' a_zz = - W' (m' tau_ww) W with
// w = (q, v, a), W = dw/dz, and m = M^-1 y.
void Curvature::add_dynamics(const Solver &solver, std::size_t t) {
  const auto &dynamics = *arm_dynamics(*problem_.stages_[t]);
  const auto &forward =
      static_cast<const SemiImplicitEulerData &>(*solver.workspace_.problem_data.stage_data[t]->dynamics_data);
  const auto &model = *dynamics.model_;
  const Eigen::Index n = model.nv;
  const VectorXd &costate = costates_[t + 1];
  const VectorXd y = dynamics.dt_ * (costate.tail(n) + dynamics.dt_ * costate.head(n));
  const VectorXd m = forward.pinocchio.Minv * y;
  const VectorXd q = forward.x.head(n), v = forward.x.tail(n), a = forward.pinocchio.ddq;
  auto &d = *data_;
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
  const MatrixXd qu = qa * (forward.pinocchio.Minv * dynamics.actuation_);
  auto &block = blocks_[t];
  const Eigen::Index nu = qu.cols();
  block.topLeftCorner(n, n) -= qq;
  block.block(n, n, n, n) -= contract(d.d2tau_dvdv, m);
  block.block(0, n, n, n) -= qv;
  block.block(n, 0, n, n) -= qv.transpose();
  block.block(0, 2 * n, n, nu) -= qu;
  block.block(2 * n, 0, nu, n) -= qu.transpose();
}

void Curvature::add_to(aligator::gar::LqrProblemTpl<double> &lqr, double share) const {
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    auto &knot = lqr.stages[t];
    const auto &block = blocks_[t];
    const Eigen::Index nx = knot.nx, nu = block.rows() - nx;
    knot.Q += share * block.topLeftCorner(nx, nx);
    if (nu > 0) {
      knot.S += share * block.topRightCorner(nx, nu);
      knot.R += share * block.bottomRightCorner(nu, nu);
    }
  }
}

} // namespace sobo
