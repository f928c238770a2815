#include "curvature.hpp"

#include <algorithm>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <aligator/core/stage-data.hpp>

namespace sobo {

Curvature::Curvature(const Problem &problem) : problem_(problem) {
  for (const auto &stage : problem.stages_) {
    Parts parts;
    parts.dynamics = dynamic_cast<const CurvedDynamics *>(&*stage->dynamics_);
    parts.cost = dynamic_cast<const CurvedCost *>(&*stage->cost_);
    if (!parts.dynamics)
      return;
    Eigen::Index first = 0;
    for (std::size_t i = 0; i < stage->constraints_.size(); ++i) {
      const auto &function = *stage->constraints_.funcs[i];
      if (const auto *curved = dynamic_cast<const CurvedFunction *>(&function))
        parts.functions.push_back({curved, i, first});
      first += function.nr;
    }
    parts_.push_back(std::move(parts));
  }
  parts_.emplace_back();
  parts_.back().cost = dynamic_cast<const CurvedCost *>(&*problem.term_cost_);
  for (const auto &stage : problem.stages_)
    blocks_.push_back(MatrixXd::Zero(stage->ndx1() + stage->nu(), stage->ndx1() + stage->nu()));
  const auto nx = problem.stages_.front()->ndx1();
  blocks_.push_back(MatrixXd::Zero(nx, nx));
}

void Curvature::compute(const Solver &solver, bool fine) {
  const auto &data = solver.workspace_.problem_data;
  find_costates(solver);
  for (std::size_t t = 0; t < problem_.stages_.size(); ++t) {
    const auto &stage = *data.stage_data[t];
    const auto &parts = parts_[t];
    blocks_[t].setZero();
    if (parts.cost)
      parts.cost->add_curvature(*stage.cost_data, blocks_[t]);
    if (parts.cost && fine)
      parts.cost->add_fine_curvature(*stage.cost_data, blocks_[t]);
    parts.dynamics->add_curvature(*stage.dynamics_data, costates_[t + 1], blocks_[t]);
    for (const auto &[function, index, first] : parts.functions) {
      if (function->is_fine() && !fine)
        continue;
      const auto &values = *stage.constraint_data[index];
      function->add_curvature(values, solver.results_.vs[t].segment(first, values.nr), blocks_[t]);
    }
  }
  if (parts_.front().cost)
    parts_.front().cost->flush_curvature();
  blocks_.back().setZero();
  if (parts_.back().cost)
    parts_.back().cost->add_curvature(*data.term_cost_data, blocks_.back());
}

// The solver's own, once it has any; the adjoint equation along the trajectory before its first step. As the solver's
// initial multipliers these would be far too large at the guess; here they only weigh the curvature.
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

void Curvature::make_convex(const Solver &solver) {
  const auto &data = solver.workspace_.problem_data;
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    auto &block = blocks_[t];
    const auto &cost = t + 1 < blocks_.size() ? *data.stage_data[t]->cost_data : *data.term_cost_data;
    const Eigen::Index nx = cost.Lxx_.rows(), nu = block.rows() - nx;
    MatrixXd hessian = block;
    hessian.topLeftCorner(nx, nx) += cost.Lxx_;
    if (nu > 0) {
      hessian.bottomLeftCorner(nu, nx) += cost.Lxu_.transpose();
      hessian.bottomRightCorner(nu, nu) += cost.Luu_;
    }
    if (hessian.llt().info() == Eigen::Success) // which takes a tenth of the time
      continue;
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(hessian); // of the lower triangle
    for (Eigen::Index i = 0; i < hessian.rows() && eigen.eigenvalues()[i] < 0.0; ++i) {
      const auto direction = eigen.eigenvectors().col(i);
      block.noalias() -= eigen.eigenvalues()[i] * direction * direction.transpose();
    }
  }
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
