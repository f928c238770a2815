#include "gaps.hpp"

#include <algorithm>

#include <aligator/core/explicit-dynamics.hpp>
#include <aligator/core/stage-data.hpp>

#include "shared_box.hpp"

namespace sobo {
namespace {

using Problem = aligator::TrajOptProblemTpl<double>;

/// How far constraints, as last evaluated, lie outside their boxes.
template <typename Data>
double excess(const aligator::ConstraintStackTpl<double> &constraints, const std::vector<std::shared_ptr<Data>> &data) {
  double worst = 0.0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const Box &box = *dynamic_cast<const SharedBox &>(*constraints.sets[i]).box;
    const auto &value = data[i]->value_;
    worst = std::max({worst, (value - box.upper).maxCoeff(), (box.lower - value).maxCoeff()});
  }
  return worst;
}

} // namespace

bool close_gaps(aligator::SolverProxDDPTpl<double> &solver, const Problem &problem,
                aligator::gar::RiccatiSolverBase<double> &sweep, double cost_tolerance, double excess_tolerance) {
  using Model = aligator::ExplicitDynamicsModelTpl<double>;
  using Data = aligator::ExplicitDynamicsDataTpl<double>;
  auto &results = solver.results_;
  auto &data = solver.workspace_.problem_data;
  auto xs = results.xs;
  auto us = results.us;
  for (std::size_t t = 0; t < us.size(); ++t) {
    us[t].noalias() += sweep.getFeedback(t).topRows(us[t].size()) * (xs[t] - results.xs[t]);
    auto &step = dynamic_cast<Data &>(*data.stage_data[t]->dynamics_data);
    dynamic_cast<const Model &>(*problem.stages_[t]->dynamics_).forward(xs[t], us[t], step);
    xs[t + 1] = step.xnext_;
  }
  const double cost = problem.evaluate(xs, us, data);
  bool closed = excess(problem.term_cstrs_, data.term_cstr_data) <= excess_tolerance &&
                std::abs(cost - results.traj_cost_) <= cost_tolerance * std::abs(results.traj_cost_);
  for (std::size_t t = 0; t < us.size() && closed; ++t)
    closed = excess(problem.stages_[t]->constraints_, data.stage_data[t]->constraint_data) <= excess_tolerance;
  if (!closed) {
    problem.evaluate(results.xs, results.us, data); // callers read the evaluation at the results
    return false;
  }
  results.traj_cost_ = cost;
  results.xs = std::move(xs);
  results.us = std::move(us);
  return true;
}

} // namespace sobo
