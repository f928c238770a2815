#include "interior_point.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sobo {
namespace {

constexpr int most_iterations = 50;
constexpr double first_precision = 1e-4; // of the mean gap at least, as a share of the first one
constexpr double precision = 1e-7;       // of the residuals
constexpr double smallest_gap = 1e-15;
constexpr double hopeless = 1e-3;        // a residual after the last iteration
constexpr double to_boundary = 0.995;    // share of the way to the nearest boundary that a step may go

} // namespace

InteriorPoint::InteriorPoint(const Problem &problem) : problem_(problem) {
  stages_.resize(problem.stages.size());
  for (std::size_t t = 0; t < problem.stages.size(); ++t) {
    stages_[t].general.resize(0, problem.stages[t].nx + problem.stages[t].nu);
    gx_.push_back(VectorXd::Zero(problem.stages[t].nx));
    if (t + 1 < problem.stages.size())
      gu_.push_back(VectorXd::Zero(problem.stages[t].nu));
  }
  xs_ = next_xs_ = gx_;
  us_ = next_us_ = gu_;
}

void InteriorPoint::clear() {
  rows_.clear();
  for (auto &stage : stages_) {
    stage.singles.clear();
    stage.general.resize(0, stage.general.cols());
  }
}

void InteriorPoint::add_row(std::size_t t, const RowOfMatrix &by_state, const RowOfMatrix &by_control, double value,
                            double lower, double upper, double multiplier) {
  auto &stage = stages_[t];
  const Eigen::Index nx = by_state.size(), nu = by_control.size();
  Eigen::Index entries = 0, last = 0;
  for (Eigen::Index i = 0; i < nx + nu; ++i)
    if ((i < nx ? by_state[i] : by_control[i - nx]) != 0.0) {
      ++entries;
      last = i;
    }
  const bool single = entries <= 1;
  const auto index = single ? static_cast<Eigen::Index>(stage.singles.size()) : stage.general.rows();
  rows_.push_back({t, !single, index, value, lower, upper, multiplier});
  if (single) {
    stage.singles.push_back({last, last < nx ? by_state[last] : by_control[last - nx]});
  } else {
    stage.general.conservativeResize(index + 1, Eigen::NoChange);
    stage.general.row(index) << by_state, by_control;
  }
}

bool InteriorPoint::is_convex(double mu, const std::vector<bool> &active) {
  if (!riccati_)
    riccati_ = make_weighted_riccati(problem_);
  find_places();
  Array weights = Array::Zero(static_cast<Eigen::Index>(rows_.size()));
  for (std::size_t i = 0; i < rows_.size(); ++i)
    weights[place_[i]] = active[i] ? 1.0 / mu : 0.0;
  return riccati_->factor(stages_, weights);
}

bool InteriorPoint::solve(double mu, double gap, Vectors &dxs, Vectors &dus) {
  if (!riccati_)
    riccati_ = make_weighted_riccati(problem_);
  arrange(dxs, dus);
  begin();
  const double enough = std::max(std::min(first_precision * gap_, gap / std::max(count_, 1.0)), smallest_gap);
  for (int n = 0; n < most_iterations && (n == 0 || gap_ > enough || residual_ > precision); ++n)
    if (!iterate(mu))
      return false;
  for (std::size_t t = 0; t < dxs.size(); ++t)
    dxs[t] += xs_[t];
  for (std::size_t t = 0; t < dus.size(); ++t)
    dus[t] += us_[t];
  return residual_ <= hopeless;
}

// Of each row in the arrays, stage by stage.
void InteriorPoint::find_places() {
  Eigen::Index first = 0;
  for (auto &stage : stages_) {
    stage.first = first;
    first += stage.size();
  }
  place_.resize(rows_.size());
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const auto &row = rows_[i];
    const auto &stage = stages_[row.stage];
    place_[i] = stage.first + row.index + (row.general ? static_cast<Eigen::Index>(stage.singles.size()) : 0);
  }
}

// The rows as arrays, stage by stage, at the step that solve() was given; the gradient there.
void InteriorPoint::arrange(const Vectors &dxs, const Vectors &dus) {
  find_places();
  const auto first = static_cast<Eigen::Index>(rows_.size());
  for (Array *values : {&start_, &before_, &lower_.bound, &upper_.bound, &lower_.present, &upper_.present})
    values->resize(first);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const auto &row = rows_[i];
    const auto k = place_[i];
    start_[k] = row.value;
    before_[k] = row.multiplier;
    lower_.present[k] = std::isfinite(row.lower);
    upper_.present[k] = std::isfinite(row.upper);
    lower_.bound[k] = std::isfinite(row.lower) ? row.lower : 0.0;
    upper_.bound[k] = std::isfinite(row.upper) ? row.upper : 0.0;
  }
  count_ = lower_.present.sum() + upper_.present.sum();
  start_ += rows_along(dxs, dus);
  for (std::size_t t = 0; t < gx_.size(); ++t) {
    const auto &knot = problem_.stages[t];
    gx_[t] = knot.q;
    gx_[t].noalias() += knot.Q * dxs[t];
    xs_[t].setZero();
    if (t == gu_.size())
      continue;
    gx_[t].noalias() += knot.S * dus[t];
    gu_[t] = knot.r;
    gu_[t].noalias() += knot.R * dus[t];
    gu_[t].noalias() += knot.S.transpose() * dxs[t];
    us_[t].setZero();
  }
  row_ = start_;
}

// Slacks to the bounds where the rows are well within these, a tenth of the range elsewhere; the same gap everywhere.
void InteriorPoint::begin() {
  const Array range = (lower_.present * upper_.present > 0.0).select(upper_.bound - lower_.bound, 2.0);
  double total = 0.0;
  for (Side *side : {&upper_, &lower_}) {
    side->slack = (side->sign * (side->bound - row_)).max(0.1 * range).max(1e-3);
    side->slack = (side->present > 0.0).select(side->slack, 1.0);
    total += (side->present * side->slack).sum();
  }
  const double multiplier = 1e-2;
  gap_ = count_ > 0.0 ? multiplier * total / count_ : 0.0;
  for (Side *side : {&upper_, &lower_})
    side->multiplier = side->present * gap_ / side->slack;
}

bool InteriorPoint::iterate(double mu) {
  const Array barrier = upper_.multiplier / upper_.slack + lower_.multiplier / lower_.slack;
  elastic_ = 1.0 / (1.0 + mu * barrier);
  weights_ = barrier * elastic_;
  if (!riccati_->factor(stages_, weights_))
    return false;
  const Array soft = row_ - mu * (upper_.multiplier - lower_.multiplier - before_);
  for (Side *side : {&upper_, &lower_})
    side->residual = side->present * (side->sign * (side->bound - soft) - side->slack);
  const Array none = Array::Zero(row_.size());
  direction(mu, none, none);
  const auto step = [&](const Side &side, bool primal) {
    return primal ? side.longest(side.slack, side.slack_step) : side.longest(side.multiplier, side.multiplier_step);
  };
  if (count_ > 0.0) {
    const double affine = std::min({1.0, step(upper_, true), step(lower_, true), step(upper_, false), step(lower_, false)});
    const double ratio = (upper_.gap(affine) + lower_.gap(affine)) / count_ / gap_;
    const double target = ratio * ratio * ratio * gap_;
    direction(mu, upper_.present * target - upper_.slack_step * upper_.multiplier_step,
              lower_.present * target - lower_.slack_step * lower_.multiplier_step);
  }
  const double length =
      std::min(1.0, to_boundary * std::min({step(upper_, true), step(lower_, true), step(upper_, false), step(lower_, false)}));
  for (std::size_t t = 0; t < xs_.size(); ++t)
    xs_[t] += length * (next_xs_[t] - xs_[t]);
  for (std::size_t t = 0; t < us_.size(); ++t)
    us_[t] += length * (next_us_[t] - us_[t]);
  row_ = start_ + rows_along(xs_, us_);
  residual_ = 0.0;
  for (Side *side : {&upper_, &lower_}) {
    side->slack += length * side->slack_step;
    side->multiplier += length * side->multiplier_step;
    if (count_ > 0.0)
      residual_ = std::max(residual_, (1.0 - length) * side->residual.abs().maxCoeff());
  }
  gap_ = count_ > 0.0 ? (upper_.gap(0.0) + lower_.gap(0.0)) / count_ : 0.0;
  return std::isfinite(gap_);
}

// The Newton step towards slack * multiplier = target, and slack = bound - row. With the row's change dr the soft row
// changes by dw = dr - mu dm, where m is the difference of the multipliers and dm = offset + barrier dw.
void InteriorPoint::direction(double mu, const Array &upper_target, const Array &lower_target) {
  const auto prepare = [](Side &side, const Array &target) {
    side.offset = target / side.slack - side.multiplier - side.multiplier / side.slack * side.residual;
  };
  prepare(upper_, upper_target);
  prepare(lower_, lower_target);
  const Array offset = upper_.offset - lower_.offset;
  const Array linear = upper_.multiplier - lower_.multiplier + offset * elastic_ - weights_ * (row_ - start_);
  riccati_->solve(stages_, linear, gx_, gu_, next_xs_, next_us_);
  const Array soft_step = (start_ + rows_along(next_xs_, next_us_) - row_ - mu * offset) * elastic_;
  for (Side *side : {&upper_, &lower_}) {
    side->slack_step = side->present * (side->residual - side->sign * soft_step);
    side->multiplier_step = side->offset + side->multiplier / side->slack * (side->sign * soft_step);
  }
}

InteriorPoint::Array InteriorPoint::rows_along(const Vectors &xs, const Vectors &us) const {
  Array out(stages_.back().first + stages_.back().size());
  for (std::size_t t = 0; t < stages_.size(); ++t) {
    const auto &stage = stages_[t];
    const Eigen::Index nx = xs[t].size();
    Eigen::Index k = stage.first;
    for (const auto &[variable, coefficient] : stage.singles)
      out[k++] = coefficient * (variable < nx ? xs[t][variable] : us[t][variable - nx]);
    if (stage.general.rows() == 0)
      continue;
    auto rows = out.segment(k, stage.general.rows()).matrix();
    rows.noalias() = stage.general.leftCols(nx) * xs[t];
    if (t < us.size())
      rows.noalias() += stage.general.rightCols(us[t].size()) * us[t];
  }
  return out;
}

int InteriorPoint::side(std::size_t row) const {
  const Eigen::Index k = place_[row];
  // At the end of the iterations slack times multiplier is the same, tiny number everywhere; one of the two is not tiny.
  const auto active = [&](const Side &side) {
    return side.present[k] > 0.0 && side.multiplier[k] > side.slack[k];
  };
  return active(upper_) ? 1 : active(lower_) ? -1 : 0;
}

double InteriorPoint::Side::gap(double step) const {
  return ((slack + step * slack_step) * (multiplier + step * multiplier_step) * present).sum();
}

// The longest step that keeps all values positive.
double InteriorPoint::Side::longest(const Array &values, const Array &steps) const {
  if (values.size() == 0)
    return std::numeric_limits<double>::infinity();
  return 1.0 / std::max(1e-9, (-steps / values.max(std::numeric_limits<double>::min())).maxCoeff());
}

} // namespace sobo
