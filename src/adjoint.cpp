// The adjoint of a solution: its LQ problem once more, with other linear terms.
//
// A loss L(X, U) has the slopes g_t, h_t by the states and controls of a solution. The KKT matrix is symmetric, so that
//   min sum 1/2 [dx; du]'[Q S; S' R][dx; du] + g'dx + h'du,  dx_0 = 0, dx' = A dx + B du, C dx + D du = 0 in active rows
// gives dL/dp = sum dz' d2l/dz dp + d(adjoint costates)' df/dp + costates' d2f/dz dp dz for every parameter p.
#include "bounded_riccati.hpp"
#include "errors.hpp"
#include "problem.hpp"
#include "worker_impl.hpp"

namespace sobo {
namespace {

// Penalty of active rows: what ProxDDP ends with would leak through them, by up to some percent of the derivative.
constexpr double hard = 1e-8;

} // namespace

bool BoundedRiccati::respond(const Vectors &by_state, const Vectors &by_control, Vectors &dxs, Vectors &dus,
                             Vectors &dlams) {
  if (!std::exchange(hard_factors_, true)) {
    if (!closed_ && interior_.packs()) // else the last sweep has left the Hessians
      load_knots();
    if (!closed_) // else the last sweep was for gains, which has given them
      rows_.give(interior_, BoundRows::Given::Marked);
    if (!interior_.is_convex(hard, rows_.given_marks(rows_.sides())))
      return hard_factors_ = false;
  }
  interior_.respond(by_state, by_control, dxs, dus);
  for (std::size_t t = dxs.size(); t-- > 0;) {
    const auto &knot = solver_.workspace_.lqr_problem.stages[t];
    auto &costate = dlams[t];
    const bool last = t == dus.size();
    costate = by_state[t] + interior_.multiply(t, dxs[t], last ? nullptr : &dus[t]).head(by_state[t].size());
    if (!last)
      costate.noalias() += knot.A.transpose() * dlams[t + 1];
    rows_.pull(t, rows_.reactions(t, hard, dxs[t], last ? nullptr : &dus[t]), costate, nullptr);
  }
  return true;
}

void Worker::check_adjoint(long solution, const RowMatrixXd &by_state, const RowMatrixXd &by_control) const {
  if (solution != impl_->solution)
    throw SolverError("this solver has solved something else since: its derivatives are lost");
  if (!impl_->exact)
    throw SolverError("the solution has no derivatives: it is not a strict minimum, or some of its curvature is not known");
  if (by_state.rows() != horizon() + 1 || by_state.cols() != nx() || by_control.rows() != horizon() ||
      by_control.cols() != nu())
    throw SolverError("the slopes of the loss must have the shapes of the solution's X and U");
  if (!by_state.allFinite() || !by_control.allFinite())
    throw SolverError("the slopes of the loss hold a NaN or an infinity");
}

Adjoint Worker::adjoint(long solution, const RowMatrixXd &by_state, const RowMatrixXd &by_control) {
  const Claim claim(impl_->busy);
  check_adjoint(solution, by_state, by_control);
  const auto &problem = impl_->problem;
  const auto &solved = impl_->ddp.results_;
  auto gx = impl_->dxs, gu = impl_->dus; // for their sizes
  for (int t = 0; t <= horizon(); ++t)
    gx[t] = by_state.row(t).transpose();
  for (int t = 0; t < horizon(); ++t)
    gu[t] = by_control.row(t).transpose();
  if (problem.torques)
    problem.torques->pull(solved.xs, solved.us, gx, gu);
  auto &dxs = impl_->dxs, &dus = impl_->dus, &dlams = impl_->dlams;
  if (!impl_->steps->respond(gx, gu, dxs, dus, dlams))
    throw SolverError("the solution has no derivatives: it is not a strict minimum");
  auto us = solved.us;
  if (problem.torques)
    problem.torques->push(solved.xs, solved.us, dxs, dus, us);
  Adjoint out;
  out.X = stack(dxs);
  out.U = stack(dus);
  out.costates = stack(dlams);
  out.own_costates = stack(solved.lams);
  if (problem.parts)
    add_sensitivities(us, out);
  return out;
}

void Worker::add_sensitivities(const std::vector<VectorXd> &us, Adjoint &out) const {
  const auto &problem = impl_->problem;
  const auto &data = impl_->ddp.workspace_.problem_data;
  VectorXd running = VectorXd::Zero(6 + nx() + nu()), terminal = running;
  VectorXd target = VectorXd::Zero(problem.parts->joint_goal ? nx() / 2 : problem.rotation ? 6 : 3);
  const VectorXd none;
  for (int t = 0; t < horizon(); ++t)
    dynamic_cast<const WeightedCost &>(*problem.ocp->stages_[t]->cost_)
        .add_sensitivity(*data.stage_data[t]->cost_data, {us[t], impl_->dxs[t], impl_->dus[t]}, running, target);
  dynamic_cast<const WeightedCost &>(*problem.ocp->term_cost_)
      .add_sensitivity(*data.term_cost_data, {none, impl_->dxs.back(), none}, terminal, target);
  out.weights.resize(2, running.size());
  out.weights << running.transpose(), terminal.transpose();
  out.target = target;
}

} // namespace sobo
