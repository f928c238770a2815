#include "bound_rows.hpp"

#include <cmath>

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

BoundRows::BoundRows(const Solver &solver, const Problem &problem) : solver_(solver), problem_(problem) {
  const auto add = [&](const aligator::ConstraintStackTpl<double> &constraints) {
    const Eigen::Index rows = constraints.totalDim();
    for (Vectors *values : {&lower_, &upper_, &value_, &row_})
      values->push_back(VectorXd::Zero(rows));
    sides_.push_back(Eigen::VectorXi::Zero(rows));
  };
  for (const auto &stage : problem.stages_)
    add(stage->constraints_);
  add(problem.term_cstrs_);
  read_bounds();
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
  for (std::size_t t = 0; t < value_.size(); ++t)
    for_rows(solver_.workspace_.problem_data, t, [&](Eigen::Index first, const auto &data) {
      value_[t].segment(first, data.value_.size()) = data.value_;
    });
  row_ = value_;
}

void BoundRows::predict(const Vectors &dxs, const Vectors &dus) {
  for (std::size_t t = 0; t < row_.size(); ++t)
    for_rows(solver_.workspace_.problem_data, t, [&](Eigen::Index first, const auto &data) {
      const auto size = data.value_.size();
      auto rows = row_[t].segment(first, size);
      rows = value_[t].segment(first, size);
      rows.noalias() += data.Jx() * dxs[t];
      if (t < dus.size())
        rows.noalias() += data.Ju() * dus[t];
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
  for (std::size_t t = 0; t < sides_.size(); ++t)
    for (Eigen::Index i = 0; i < sides_[t].size(); ++i) {
      const double shift = mu * solver_.workspace_.prev_vs[t][i] + reach * solver_.results_.vs[t][i];
      sides_[t][i] = side_of(rows[t][i] + shift, lower_[t][i], upper_[t][i]);
    }
}

void BoundRows::estimate_multipliers(double mu, Vectors &dvs) const {
  for (std::size_t t = 0; t < row_.size(); ++t) {
    const VectorXd z = row_[t] + mu * solver_.workspace_.prev_vs[t];
    dvs[t] = (z - z.cwiseMin(upper_[t]).cwiseMax(lower_[t])) / mu - solver_.results_.vs[t];
  }
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

void BoundRows::add_to(InteriorPoint &interior, bool all) {
  interior.clear();
  given_.clear();
  const auto &ws = solver_.workspace_;
  const std::size_t stages = ws.problem_data.stage_data.size();
  for (std::size_t t = 0; t < sides_.size(); ++t)
    for_rows(ws.problem_data, t, [&](Eigen::Index first, const auto &data) {
      const Eigen::Index nu = t < stages ? data.Ju().cols() : 0;
      for (Eigen::Index i = 0; i < data.value_.size(); ++i) {
        const Eigen::Index row = first + i;
        const double lower = lower_[t][row], upper = upper_[t][row];
        if (std::isinf(lower) && std::isinf(upper))
          continue;
        const double reach = near * std::min(upper - lower, widest);
        const auto inside = [&](double value) { return value > lower + reach && value < upper - reach; };
        const auto variables = (data.Jx().row(i).array() != 0.0).count() + (data.Ju().row(i).array() != 0.0).count();
        if (!all && variables > 1 && inside(row_[t][row]) && inside(value_[t][row]))
          continue;
        interior.add_row(t, data.Jx().row(i), data.Ju().row(i).head(nu), value_[t][row], lower, upper,
                         ws.prev_vs[t][row]);
        given_.emplace_back(t, row);
      }
    });
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

std::vector<bool> BoundRows::given_marks(const Sides &sides) const {
  std::vector<bool> out;
  for (const auto &[t, row] : given_)
    out.push_back(sides[t][row] != 0);
  return out;
}

void BoundRows::take_from(const InteriorPoint &interior, Vectors &dvs) {
  for (std::size_t t = 0; t < sides_.size(); ++t) {
    sides_[t].setZero();
    dvs[t] = -solver_.results_.vs[t];
  }
  for (std::size_t i = 0; i < given_.size(); ++i) {
    const auto [t, row] = given_[i];
    sides_[t][row] = interior.side(i);
    dvs[t][row] += interior.multiplier(i);
  }
}

} // namespace sobo
