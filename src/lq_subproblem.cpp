// What BoundedRiccati takes from the solver's evaluation, and what it leaves for others.
#include <aligator/core/cost-abstract.hpp>
#include <aligator/core/stage-data.hpp>

#include "bounded_riccati.hpp"

namespace sobo {
namespace {

/// Adds A' costate for a double integrator with steps of length h.
void carry_back(double h, const VectorXd &costate, VectorXd &out) {
  const Eigen::Index n = costate.size() / 2;
  out += costate;
  out.tail(n) += h * costate.head(n);
}

} // namespace

// What the step changes about the costates, by the adjoint equation of the subproblem.
void BoundedRiccati::find_costates() {
  const auto &ws = solver_.workspace_;
  for (std::size_t t = dxs_.size(); t-- > 0;) {
    const auto &knot = ws.lqr_problem.stages[t];
    auto &costate = dlams_[t];
    const bool last = t == dus_.size();
    costate = knot.q + interior_.multiply(t, dxs_[t], last ? nullptr : &dus_[t]).head(costate.size());
    if (!last && closed_)
      carry_back(knot.B(costate.size() / 2, 0), dlams_[t + 1], costate);
    else if (!last)
      costate.noalias() += knot.A.transpose() * dlams_[t + 1];
    rows_.pull(t, solver_.results_.vs[t] + dvs_[t], costate, nullptr);
  }
}

// The LQ subproblem without its rows, whose current multipliers leave the gradient.
void BoundedRiccati::load_knots() {
  auto &ws = solver_.workspace_;
  for (std::size_t t = 0; fine_ && !closed_ && t < dus_.size(); ++t) { // the solver does so before other sweeps
    const auto &dynamics = *ws.problem_data.stage_data[t]->dynamics_data;
    ws.lqr_problem.stages[t].A = dynamics.Jx();
    ws.lqr_problem.stages[t].B = dynamics.Ju();
  }
  load_hessians();
  for (std::size_t t = 0; t < dxs_.size(); ++t) {
    auto &knot = ws.lqr_problem.stages[t];
    without_ = -solver_.results_.vs[t];
    slope_ = ws.Lxs[t];
    if (t == dus_.size()) {
      rows_.pull(t, without_, slope_, nullptr);
    } else {
      control_slope_ = ws.Lus[t];
      rows_.pull(t, without_, slope_, &control_slope_);
      knot.r = control_slope_;
    }
    knot.q = slope_;
  }
}

void BoundedRiccati::load_hessians() {
  const auto &data = solver_.workspace_.problem_data;
  const auto stride = [](const MatrixXd &m) { return static_cast<int>(m.outerStride()); };
  const int nx = static_cast<int>(dxs_.front().size()), nu = static_cast<int>(dus_.front().size());
  for (std::size_t t = 0; t < dxs_.size(); ++t) {
    const bool last = t == dus_.size();
    const auto &cost = last ? *data.term_cost_data : *data.stage_data[t]->cost_data;
    auto hessian = StageHessian::of(nx, nu, last, cost.hess_.data(), stride(cost.hess_));
    if (share_ > 0.0)
      hessian.extra = {missing_.block(t).data(), stride(missing_.block(t))};
    hessian.share = share_;
    hessian.diagonal = solver_.preg_;
    interior_.load(t, hessian);
  }
}

void BoundedRiccati::find_slopes(const Vectors &costates, const Vectors &multipliers, Vectors &by_state,
                                 Vectors &by_control) const {
  const auto &data = solver_.workspace_.problem_data;
  for (std::size_t t = 0; t < by_state.size(); ++t) {
    const bool last = t == by_control.size();
    auto &x = by_state[t];
    x = last ? data.term_cost_data->Lx_ : data.stage_data[t]->cost_data->Lx_;
    if (t > 0)
      x -= costates[t];
    if (last) {
      rows_.pull(t, multipliers[t], x, nullptr);
      break;
    }
    auto &u = by_control[t];
    const auto &B = solver_.workspace_.lqr_problem.stages[t].B;
    const double h = B(u.size(), 0), moved = B(0, 0);
    carry_back(h, costates[t + 1], x);
    u = data.stage_data[t]->cost_data->Lu_ + h * costates[t + 1].tail(u.size()) + moved * costates[t + 1].head(u.size());
    rows_.pull(t, multipliers[t], x, &u);
  }
}

// A step that closes the gaps, with the controls as they are.
void BoundedRiccati::begin_step(Vectors &dxs, Vectors &dus) const {
  for (Vectors *step : {&dxs, &dus})
    for (auto &each : *step)
      each.setZero();
  if (closed_ || !has_gaps())
    return;
  for (std::size_t t = 0; t < dus.size(); ++t) {
    dxs[t + 1] = solver_.workspace_.dyn_slacks[t + 1];
    dxs[t + 1].noalias() += solver_.workspace_.lqr_problem.stages[t].A * dxs[t];
  }
}

// Where callers look for them: of the controls and of the multipliers, by the state, and what does not depend on it.
bool BoundedRiccati::store_gains(const Vectors &dxs, const Vectors &dus) {
  for (std::size_t t = 0; t < dus_.size(); ++t) {
    auto &factor = inner_.datas[t];
    auto gains = factor.fb.blockRow(0);
    auto constant = factor.ff.blockSegment(0);
    interior_.recursion().gains(t, gains, constant);
    if (!closed_) // the step did not begin at zero
      constant = dus[t] - gains * dxs[t];
    if (!fine_) // nobody steps by the last sweep
      rows_.find_multipliers(t, mu_, gains, constant, factor.fb.blockRow(1), factor.ff.blockSegment(1));
  }
  return true;
}

} // namespace sobo
