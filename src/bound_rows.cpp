#include "bound_rows.hpp"

#include <cmath>
#include <utility>

#include <aligator/modelling/state-error.hpp>

#include "errors.hpp"
#include "shared_box.hpp"

namespace aligator {
// Defined and instantiated inside libaligator; its header would compile the whole solver again.
template <typename Scalar>
void computeProjectedJacobians(const TrajOptProblemTpl<Scalar> &, const Scalar, WorkspaceTpl<Scalar> &);
extern template void computeProjectedJacobians<double>(const TrajOptProblemTpl<double> &, const double,
                                                       WorkspaceTpl<double> &);
} // namespace aligator

namespace sobo {
namespace {

// A multiplier this many times as large as the distance to its bound marks the bound as active to begin with.
constexpr double multiplier_reach = 1.0;
// A general row takes part in the interior-point method if it is this near to a bound, as a share of the distance between
// its bounds; the others are looked at afterwards.
constexpr double near = 0.25;
constexpr double widest = 1e3; // distance between bounds of which one is infinite

int side_of(double row, double lower, double upper) { return row > upper ? 1 : row < lower ? -1 : 0; }

} // namespace

BoundRows::BoundRows(const Solver &solver, const Problem &problem) : solver_(solver), problem_(problem), nx_(problem.stages_.front()->ndx1()) {
  const auto add = [&](const aligator::ConstraintStackTpl<double> &constraints) {
    const Eigen::Index rows = constraints.totalDim();
    for (Vectors *values : {&lower_, &upper_, &value_, &row_})
      values->push_back(VectorXd::Zero(rows));
    sides_.push_back(Eigen::VectorXi::Zero(rows));
    Eigen::Index first = 0;
    constraints_.emplace_back();
    bool of_state = false, of_control = false; // a second bound on the same variables counts as general
    for (const auto &function : constraints.funcs) {
      const bool state = dynamic_cast<const aligator::StateErrorResidualTpl<double> *>(&*function);
      const bool control = dynamic_cast<const aligator::ControlErrorResidualTpl<double> *>(&*function);
      const bool single = (state && !std::exchange(of_state, true)) || (control && !std::exchange(of_control, true));
      constraints_.back().push_back({!single ? Kind::General : state ? Kind::State : Kind::Control, first, function->nr});
      first += function->nr;
    }
  };
  for (const auto &stage : problem.stages_)
    add(stage->constraints_);
  add(problem.term_cstrs_);
  near_.resize(sides_.size());
  read_bounds();
}

// Calls f(constraint, data) for every constraint of a stage, or of the end (t = number of stages).
template <typename F> void BoundRows::for_rows(std::size_t t, const F &f) const {
  const auto &problem = solver_.workspace_.problem_data;
  const auto &all = t < problem.stage_data.size() ? problem.stage_data[t]->constraint_data : problem.term_cstr_data;
  for (std::size_t i = 0; i < all.size(); ++i)
    f(constraints_[t][i], *all[i]);
}

void BoundRows::read_bounds() {
  for (std::size_t t = 0; t < lower_.size(); ++t) {
    Eigen::Index first = 0;
    for (const auto &set : (t < problem_.stages_.size() ? problem_.stages_[t]->constraints_ : problem_.term_cstrs_).sets) {
      const auto *shared = dynamic_cast<const SharedBox *>(&*set);
      if (!shared)
        throw SolverError("only constraints that are boxes are supported");
      const Box &box = *shared->box;
      lower_[t].segment(first, box.lower.size()) = box.lower;
      upper_[t].segment(first, box.upper.size()) = box.upper;
      first += box.lower.size();
    }
  }
}

void BoundRows::read() {
  near_known_ = false;
  for (std::size_t t = 0; t < value_.size(); ++t)
    for_rows(t, [&](const Constraint &rows, const auto &data) { value_[t].segment(rows.first, rows.size) = data.value_; });
  row_ = value_;
}

void BoundRows::predict(const Vectors &dxs, const Vectors &dus) {
  for (std::size_t t = 0; t < row_.size(); ++t)
    for_rows(t, [&](const Constraint &constraint, const auto &data) {
      auto rows = row_[t].segment(constraint.first, constraint.size);
      rows = value_[t].segment(constraint.first, constraint.size);
      if (constraint.kind == Kind::State) {
        rows += dxs[t];
      } else if (constraint.kind == Kind::Control) {
        rows += dus[t];
      } else {
        rows.noalias() += data.Jx() * dxs[t];
        if (t < dus.size())
          rows.noalias() += data.Ju() * dus[t];
      }
    });
}

void BoundRows::pull(std::size_t t, const VectorXd &multipliers, VectorXd &by_state, VectorXd *by_control) const {
  for_rows(t, [&](const Constraint &constraint, const auto &data) {
    const auto v = multipliers.segment(constraint.first, constraint.size);
    if (constraint.kind == Kind::State) {
      by_state += v;
    } else if (constraint.kind == Kind::Control) {
      if (by_control)
        *by_control += v;
    } else if (!v.isZero(0.0)) {
      by_state.noalias() += data.Jx().transpose() * v;
      if (by_control)
        by_control->noalias() += data.Ju().transpose() * v;
    }
  });
}

void BoundRows::mark_by_multipliers(double mu) { mark(value_, mu, multiplier_reach); }

void BoundRows::mark_by_values(double mu) { mark(value_, mu, 0.0); }

bool BoundRows::mark_by_step(double mu) {
  const auto before = sides_;
  mark(row_, mu, 0.0);
  return sides_ == before;
}

// By the rows, the multipliers of the augmented Lagrangian, and `reach` times the current ones.
void BoundRows::mark(const Vectors &rows, double mu, double reach) {
  marked_ = 0;
  for (std::size_t t = 0; t < sides_.size(); ++t)
    for (Eigen::Index i = 0; i < sides_[t].size(); ++i) {
      const double shift = mu * solver_.workspace_.prev_vs[t][i] + reach * solver_.results_.vs[t][i];
      sides_[t][i] = side_of(rows[t][i] + shift, lower_[t][i], upper_[t][i]);
      if (sides_[t][i] != 0)
        marked_ = t + 1;
    }
}

void BoundRows::estimate_multipliers(double mu, Vectors &dvs) const {
  for (std::size_t t = 0; t < row_.size(); ++t) {
    const VectorXd z = row_[t] + mu * solver_.workspace_.prev_vs[t];
    dvs[t] = (z - z.cwiseMin(upper_[t]).cwiseMax(lower_[t])) / mu - solver_.results_.vs[t];
  }
}

void BoundRows::find_multipliers(std::size_t t, double mu, const RowMatrixXd &gains, const VectorXd &constant,
                                 Eigen::Ref<RowMatrixXd, 0, Eigen::OuterStride<>> by_state,
                                 Eigen::Ref<VectorXd> others) const {
  by_state.setZero();
  others = -solver_.results_.vs[t];
  for_rows(t, [&](const Constraint &constraint, const auto &data) {
    for (Eigen::Index i = 0; i < constraint.size; ++i) {
      const Eigen::Index row = constraint.first + i;
      if (sides_[t][row] == 0)
        continue;
      const double bound = sides_[t][row] > 0 ? upper_[t][row] : lower_[t][row];
      by_state.row(row) = (data.Jx().row(i) + data.Ju().row(i) * gains) / mu;
      others[row] += (value_[t][row] - bound + data.Ju().row(i).dot(constant)) / mu + solver_.workspace_.prev_vs[t][row];
    }
  });
}

void BoundRows::write(Solver &solver, const Problem &problem, double mu) const {
  auto &ws = solver.workspace_;
  for (std::size_t t = 0; t < sides_.size(); ++t) {
    const auto &v = solver.results_.vs[t];
    auto &z = ws.shifted_constraints[t];
    auto &slack = ws.Lvs[t];
    for (Eigen::Index i = 0; i < v.size(); ++i) {
      slack[i] = -mu * v[i];
      if (sides_[t][i] == 0) {
        z[i] = std::clamp(value_[t][i], lower_[t][i], upper_[t][i]);
      } else {
        const double bound = sides_[t][i] > 0 ? upper_[t][i] : lower_[t][i];
        z[i] = bound + sides_[t][i]; // outside, so that Aligator keeps the row
        slack[i] += value_[t][i] - bound + mu * ws.prev_vs[t][i];
      }
    }
  }
  aligator::computeProjectedJacobians(problem, 1.0 / mu, ws);
  solver.updateLQSubproblem();
}

// General rows that may become active; all other rows count as near.
void BoundRows::find_near() {
  if (std::exchange(near_known_, true))
    return;
  for (std::size_t t = 0; t < sides_.size(); ++t) {
    near_[t].assign(sides_[t].size(), 1);
    for_rows(t, [&](const Constraint &constraint, const auto &data) {
      if (constraint.kind != Kind::General)
        return;
      for (Eigen::Index i = 0; i < constraint.size; ++i) {
        const Eigen::Index row = constraint.first + i;
        const double lower = lower_[t][row], upper = upper_[t][row];
        const double reach = near * std::min(upper - lower, widest);
        const auto inside = [&](double value) { return value > lower + reach && value < upper - reach; };
        if (!inside(row_[t][row]) || !inside(value_[t][row]))
          continue;
        const auto entries = (data.Jx().row(i).array() != 0.0).count() + (data.Ju().row(i).array() != 0.0).count();
        near_[t][row] = entries <= 1;
      }
    });
  }
}

void BoundRows::give(InteriorPoint &interior, Given which) {
  interior.clear();
  given_.clear();
  const auto &ws = solver_.workspace_;
  if (which == Given::Near)
    find_near();
  for (std::size_t t = 0; t < sides_.size(); ++t)
    for_rows(t, [&](const Constraint &constraint, const auto &data) {
      const Eigen::Index nx = data.Jx().cols(), nu = t < ws.problem_data.stage_data.size() ? data.Ju().cols() : 0;
      const bool general = constraint.kind == Kind::General;
      for (Eigen::Index i = 0; i < constraint.size; ++i) {
        const Eigen::Index row = constraint.first + i;
        const double lower = lower_[t][row], upper = upper_[t][row], value = value_[t][row], v = ws.prev_vs[t][row];
        if (std::isinf(lower) && std::isinf(upper))
          continue;
        if (general && which != Given::All && !(which == Given::Near ? near_[t][row] : sides_[t][row] != 0))
          continue;
        if (general)
          interior.add_row(t, data.Jx().row(i), data.Ju().row(i).head(nu), value, lower, upper, v);
        else
          interior.add_bound(t, constraint.kind == Kind::State ? i : nx + i, value, lower, upper, v);
        given_.emplace_back(t, row);
      }
    });
}

int BoundRows::hold(InteriorPoint &interior, double weight) const {
  interior.begin_holding();
  for (std::size_t t = 0; t < marked_; ++t) {
    if (sides_[t].isZero())
      continue;
    for_rows(t, [&](const Constraint &constraint, const auto &data) {
      for (Eigen::Index i = 0; i < constraint.size; ++i) {
        if (sides_[t][constraint.first + i] == 0)
          continue;
        if (constraint.kind == Kind::General) // without controls at the end
          interior.hold_row(t, data.Jx().row(i), data.Ju().row(i).head(t < problem_.stages_.size() ? data.Ju().cols() : 0), weight);
        else
          interior.hold_variable(t, constraint.kind == Kind::State ? i : nx_ + i, weight);
      }
    });
  }
  return static_cast<int>(marked_) - 1;
}

bool BoundRows::others_leave() const {
  auto given = given_.begin(); // in the order of the loops below
  for (std::size_t t = 0; t < sides_.size(); ++t)
    for (Eigen::Index i = 0; i < sides_[t].size(); ++i) {
      if (given != given_.end() && *given == std::make_pair(t, i))
        ++given;
      else if (side_of(row_[t][i], lower_[t][i], upper_[t][i]) != 0)
        return true;
    }
  return false;
}

std::vector<int> BoundRows::given_marks(const Sides &sides) const {
  std::vector<int> out;
  out.reserve(given_.size());
  for (const auto &[t, row] : given_)
    out.push_back(sides[t][row]);
  return out;
}

void BoundRows::take_from(const InteriorPoint &interior, Vectors &dvs) {
  marked_ = 0;
  for (std::size_t t = 0; t < sides_.size(); ++t) {
    sides_[t].setZero();
    dvs[t] = -solver_.results_.vs[t];
  }
  for (std::size_t i = 0; i < given_.size(); ++i) {
    const auto [t, row] = given_[i];
    sides_[t][row] = interior.side(i);
    if (sides_[t][row] != 0)
      marked_ = t + 1;
    dvs[t][row] += interior.multiplier(i);
  }
}

} // namespace sobo
