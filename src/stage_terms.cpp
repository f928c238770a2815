#include "stage_terms.hpp"

#include <cmath>
#include <string>

#include "cost_with_terms.hpp"
#include "errors.hpp"
#include "problem.hpp"

namespace sobo {

StageTerms::StageTerms(const RowMatrixXd &hessians, const RowMatrixXd &gradients, const VectorXd &constants,
                       const MatrixXd &last_hessian, const VectorXd &last_gradient, double last_constant) {
  const Eigen::Index n = gradients.cols(), nx = last_gradient.size();
  if (hessians.rows() != gradients.rows() || constants.size() != gradients.rows() || hessians.cols() != n * n ||
      last_hessian.rows() != nx || last_hessian.cols() != nx)
    throw SolverError("Hessians, gradients and constants of the terms do not agree in their sizes");
  if (!hessians.allFinite() || !gradients.allFinite() || !constants.allFinite() || !last_hessian.allFinite() ||
      !last_gradient.allFinite() || !std::isfinite(last_constant))
    throw SolverError("a term of a stage holds a NaN or an infinity");
  const auto symmetric = [](const MatrixXd &H) -> MatrixXd { return 0.5 * (H + H.transpose()); };
  for (Eigen::Index t = 0; t < gradients.rows(); ++t)
    terms.push_back({symmetric(Eigen::Map<const RowMatrixXd>(hessians.row(t).data(), n, n)), gradients.row(t).transpose(),
                     constants[t]});
  terms.push_back({symmetric(last_hessian), last_gradient, last_constant});
}

void make_room_for_terms(Problem &problem) {
  if (problem.terms)
    return;
  problem.terms = std::make_shared<TermsSlot>();
  const auto with_terms = [&](xyz::polymorphic<CostAbstract> &cost, std::size_t t) {
    if (const auto *torques = dynamic_cast<const TorqueCost *>(&*cost))
      cost = TorqueCostWithTerms(*torques, problem.terms, t);
    else
      cost = CostWithTerms(xyz::polymorphic<CostAbstract>(cost), problem.terms, t);
  };
  auto &stages = problem.ocp->stages_;
  for (std::size_t t = 0; t < stages.size(); ++t)
    with_terms(stages[t]->cost_, t);
  with_terms(problem.ocp->term_cost_, stages.size());
}

} // namespace sobo
