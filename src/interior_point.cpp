#include "interior_point.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace sobo {
namespace {

constexpr int most_iterations = 50;
constexpr double first_precision = 1e-4; // of the mean gap at least, as a share of the first one
constexpr double precision = 1e-7;       // of the residuals
constexpr double smallest_gap = 1e-15;
constexpr double hopeless = 1e-3;        // a residual after the last iteration
constexpr double to_boundary = 0.995;    // share of the way to the nearest boundary that a step may go

} // namespace

void InteriorPoint::Numbers::resize(std::size_t size) {
  numbers_.assign(size + 2 * kLqUnit, 0.0);
  offset_ = (-reinterpret_cast<std::uintptr_t>(numbers_.data()) / sizeof(double)) % kLqUnit;
}

Barrier::Side InteriorPoint::Side::view(double sign) {
  return {sign,           bound.data(),      present.data(),         slack.data(),    inverse.data(),
          multiplier.data(), slack_step.data(), multiplier_step.data(), residual.data(), offset.data()};
}

InteriorPoint::InteriorPoint(const Problem &problem)
    : problem_(problem), nx_(problem.stages[0].nx), nu_(problem.stages[0].nu),
      variables_((nx_ + nu_) * (problem.stages.size() - 1) + nx_) {
  for (const auto &stage : problem.stages)
    room_ += stage.nc;
  for (Numbers *each : {&value_, &before_, &gradient_, &slope_, &start_, &z_, &next_, &elastic_, &weights_})
    each->resize(variables_ + room_ + kLqUnit);
  for (Side *side : {&upper_, &lower_})
    for (Numbers *each : {&side->bound, &side->present, &side->slack, &side->inverse, &side->multiplier, &side->slack_step,
                          &side->multiplier_step, &side->residual, &side->offset})
      each->resize(variables_ + room_ + kLqUnit);
}

WeightedRiccati &InteriorPoint::recursive() {
  if (!riccati_)
    riccati_ = make_weighted_riccati(problem_);
  return *riccati_;
}

void InteriorPoint::load(std::size_t t, const StageHessian &hessian) { recursive().load(t, hessian); }

const VectorXd &InteriorPoint::multiply(std::size_t t, const VectorXd &dx, const VectorXd *du) {
  point_.resize(nx_ + nu_);
  product_.resize(nx_ + nu_);
  point_.head(nx_) = dx;
  if (du)
    point_.tail(nu_) = *du;
  recursive().multiply(t, point_.data(), product_.data());
  return product_;
}

void InteriorPoint::clear() {
  place_.clear();
  stage_.clear();
  coefficients_.clear();
  const std::size_t all = variables_ + room_ + kLqUnit;
  for (Numbers *each : {&value_, &before_, &upper_.bound, &upper_.present, &lower_.bound, &lower_.present})
    std::fill_n(each->data(), all, 0.0);
}

void InteriorPoint::set_row(std::size_t k, double value, double lower, double upper, double multiplier) {
  place_.push_back(k);
  value_[k] = value;
  before_[k] = multiplier;
  lower_.present[k] = std::isfinite(lower);
  upper_.present[k] = std::isfinite(upper);
  lower_.bound[k] = std::isfinite(lower) ? lower : 0.0;
  upper_.bound[k] = std::isfinite(upper) ? upper : 0.0;
}

void InteriorPoint::add_bound(std::size_t t, Eigen::Index variable, double value, double lower, double upper,
                              double multiplier) {
  set_row(place(t, variable), value, lower, upper, multiplier);
}

void InteriorPoint::add_row(std::size_t t, const RowOfMatrix &by_state, const RowOfMatrix &by_control, double value,
                            double lower, double upper, double multiplier) {
  set_row(variables_ + stage_.size(), value, lower, upper, multiplier);
  append(t, by_state, by_control);
}

void InteriorPoint::append(std::size_t t, const RowOfMatrix &by_state, const RowOfMatrix &by_control) {
  stage_.push_back(static_cast<int>(t));
  const std::size_t first = coefficients_.size();
  coefficients_.resize(first + nx_ + nu_, 0.0);
  for (Eigen::Index i = 0; i < by_state.size(); ++i)
    coefficients_[first + i] = by_state[i];
  for (Eigen::Index i = 0; i < by_control.size(); ++i)
    coefficients_[first + nx_ + i] = by_control[i];
}

void InteriorPoint::begin_holding() {
  place_.clear();
  stage_.clear();
  coefficients_.clear();
  std::fill_n(weights_.data(), variables_ + room_ + kLqUnit, 0.0);
}

void InteriorPoint::hold_row(std::size_t t, const RowOfMatrix &by_state, const RowOfMatrix &by_control, double weight) {
  weights_[variables_ + stage_.size()] = weight;
  append(t, by_state, by_control);
}

GeneralRows InteriorPoint::general() const {
  return {static_cast<int>(stage_.size()), stage_.data(), coefficients_.data()};
}

bool InteriorPoint::is_convex(double mu, const std::vector<int> &sides) {
  std::fill_n(weights_.data(), variables_ + stage_.size(), 0.0);
  for (std::size_t i = 0; i < place_.size(); ++i)
    weights_[place_[i]] = sides[i] != 0 ? 1.0 / mu : 0.0;
  return recursive().factor(general(), weights_.data(), steps());
}

bool InteriorPoint::hold(double mu, const std::vector<int> &sides, Vectors &dxs, Vectors &dus) {
  if (!is_convex(mu, sides))
    return false;
  begin_at(dxs, dus);
  std::copy_n(gradient_.data(), variables_ + stage_.size(), slope_.data());
  for (std::size_t i = 0; i < place_.size(); ++i) {
    const std::size_t k = place_[i];
    if (sides[i] != 0)
      slope_[k] += (start_[k] - (sides[i] > 0 ? upper_ : lower_).bound[k]) / mu + before_[k];
  }
  step_to(z_.data());
  for (std::size_t i = 0; i < place_.size(); ++i) {
    const std::size_t k = place_[i];
    const double held = sides[i] == 0 ? 0.0 : (start_[k] + z_[k] - (sides[i] > 0 ? upper_ : lower_).bound[k]) / mu + before_[k];
    upper_.multiplier[k] = held;
    lower_.multiplier[k] = 0.0;
  }
  add_step(dxs, dus);
  return z_[variables_ - 1] == z_[variables_ - 1]; // NaN passes the solves
}

bool InteriorPoint::solve(double mu, double gap, Vectors &dxs, Vectors &dus) {
  mu_ = mu;
  begin_at(dxs, dus);
  begin();
  const double enough = std::max(std::min(first_precision * gap_, gap / std::max(count_, 1.0)), smallest_gap);
  for (int n = 0; n < most_iterations && (n == 0 || gap_ > enough || residual_ > precision); ++n)
    if (!iterate())
      return false;
  add_step(dxs, dus);
  return residual_ <= hopeless;
}

const double *InteriorPoint::respond(double *slope_at_start) {
  std::copy_n(gradient_.data(), variables_, slope_.data());
  std::fill_n(slope_.data() + variables_, stage_.size(), 0.0);
  step_to(z_.data(), slope_at_start);
  return z_.data();
}

void InteriorPoint::write_costates(double *out) {
  recursive().costates(weights_.data(), gradient_.data(), z_.data(), out);
}

void InteriorPoint::add_step(Vectors &dxs, Vectors &dus) const {
  for (std::size_t t = 0; t < dxs.size(); ++t)
    dxs[t] += Eigen::Map<const VectorXd>(z_.data() + place(t, 0), nx_);
  for (std::size_t t = 0; t < dus.size(); ++t)
    dus[t] += Eigen::Map<const VectorXd>(z_.data() + place(t, nx_), nu_);
}

// Rows and gradient at a step.
void InteriorPoint::begin_at(const Vectors &dxs, const Vectors &dus) {
  const auto at = [](Numbers &numbers, std::size_t k, std::size_t n) { return Eigen::Map<VectorXd>(numbers.data() + k, n); };
  for (std::size_t t = 0; t < dxs.size(); ++t) {
    const auto &knot = problem_.stages[t];
    at(start_, place(t, 0), nx_) = dxs[t];
    auto gx = at(gradient_, place(t, 0), nx_);
    gx = knot.q;
    const bool last = t == dus.size(), moves = !dxs[t].isZero(0.0) || (!last && !dus[t].isZero(0.0));
    const VectorXd *change = moves ? &multiply(t, dxs[t], last ? nullptr : &dus[t]) : nullptr;
    if (moves)
      gx += change->head(nx_);
    if (last)
      continue;
    at(start_, place(t, nx_), nu_) = dus[t];
    auto gu = at(gradient_, place(t, nx_), nu_);
    gu = knot.r;
    if (moves)
      gu += change->tail(nu_);
  }
  for (Numbers *each : {&start_, &gradient_}) // what a failed solve has left there may not be finite
    std::fill_n(each->data() + variables_, stage_.size() + kLqUnit, 0.0);
  const std::size_t width = nx_ + nu_;
  for (std::size_t i = 0; i < stage_.size(); ++i) {
    const std::size_t size = stage_[i] < static_cast<int>(dus.size()) ? width : nx_;
    start_[variables_ + i] = Eigen::Map<const VectorXd>(coefficients_.data() + width * i, size)
                                 .dot(at(start_, place(stage_[i], 0), size));
  }
  for (std::size_t k = 0; k < variables_ + stage_.size(); ++k)
    start_[k] += value_[k];
}

// Slacks to the bounds where the rows are well within these, a tenth of the range elsewhere; the same gap everywhere.
void InteriorPoint::begin() {
  const std::size_t all = variables_ + room_ + kLqUnit;
  std::fill_n(z_.data(), all, 0.0);
  std::fill_n(next_.data(), all, 0.0);
  double total = 0.0;
  count_ = 0.0;
  for (Side *side : {&upper_, &lower_}) {
    std::fill_n(side->slack.data(), all, 1.0);
    std::fill_n(side->multiplier.data(), all, 0.0);
    const double sign = side == &upper_ ? 1.0 : -1.0;
    for (const std::size_t k : place_) {
      if (side->present[k] == 0.0)
        continue;
      const double range = upper_.present[k] * lower_.present[k] > 0.0 ? upper_.bound[k] - lower_.bound[k] : 2.0;
      side->slack[k] = std::max({sign * (side->bound[k] - start_[k]), 0.1 * range, 1e-3});
      total += side->slack[k];
      count_ += 1.0;
    }
  }
  const double multiplier = 1e-2;
  gap_ = count_ > 0.0 ? multiplier * total / count_ : 0.0;
  for (Side *side : {&upper_, &lower_})
    for (const std::size_t k : place_)
      side->multiplier[k] = side->present[k] * gap_ / side->slack[k];
}

Barrier InteriorPoint::barrier() {
  const std::size_t size = (variables_ + stage_.size() + kLqUnit - 1) / kLqUnit * kLqUnit;
  return {size,           mu_,           start_.data(),    before_.data(), z_.data(),        next_.data(),
          elastic_.data(), weights_.data(), gradient_.data(), slope_.data(),  upper_.view(1.0), lower_.view(-1.0)};
}

bool InteriorPoint::iterate() {
  const Barrier rows = barrier();
  kernel_.weigh(rows);
  if (!recursive().factor(general(), weights_.data(), steps()))
    return false;
  BarrierStep step = direction(0.0, false);
  if (count_ > 0.0) {
    const double affine = std::min(1.0, 1.0 / std::max(step.largest, 1e-9));
    const double ratio = step.gap(affine) / count_ / gap_;
    step = direction(ratio * ratio * ratio * gap_, true);
  }
  const double length = std::min(1.0, to_boundary / std::max(step.largest, 1e-9));
  residual_ = (1.0 - length) * kernel_.advance(rows, length);
  gap_ = count_ > 0.0 ? step.gap(length) / count_ : 0.0;
  return std::isfinite(gap_);
}

// The Newton step towards slack * multiplier = target, and slack = bound - row. With the row's change dr the soft row
// changes by dw = dr - mu dm, where m is the difference of the multipliers and dm = offset + barrier dw.
BarrierStep InteriorPoint::direction(double target, bool corrector) {
  const Barrier rows = barrier();
  kernel_.aim(rows, target, corrector);
  step_to(next_.data());
  return kernel_.step(rows);
}

// The minimum for the present slope and factors, and what general rows are there.
void InteriorPoint::step_to(double *z, double *slope_at_start) {
  const std::size_t width = nx_ + nu_, last = problem_.stages.size() - 1;
  const auto each = [&](const auto &f) {
    for (std::size_t i = 0; i < stage_.size(); ++i)
      f(i, coefficients_.data() + width * i, place(stage_[i], 0), static_cast<std::size_t>(stage_[i]) < last ? width : nx_);
  };
  each([&](std::size_t i, const double *c, std::size_t first, std::size_t size) {
    for (std::size_t j = 0; j < size; ++j)
      slope_[first + j] += slope_[variables_ + i] * c[j];
  });
  recursive().solve(slope_.data(), z, slope_at_start);
  each([&](std::size_t i, const double *c, std::size_t first, std::size_t size) {
    double row = 0.0;
    for (std::size_t j = 0; j < size; ++j)
      row += c[j] * z[first + j];
    z[variables_ + i] = row;
  });
  const std::size_t rows = variables_ + stage_.size(), filled = (rows + kLqUnit - 1) / kLqUnit * kLqUnit;
  std::fill(z + rows, z + filled, 0.0); // recursions may write there
}

int InteriorPoint::side(std::size_t row) const {
  const std::size_t k = place_[row];
  // At the end of the iterations slack times multiplier is the same, tiny number everywhere; one of the two is not tiny.
  const auto active = [&](const Side &side) { return side.present[k] > 0.0 && side.multiplier[k] > side.slack[k]; };
  return active(upper_) ? 1 : active(lower_) ? -1 : 0;
}

double InteriorPoint::multiplier(std::size_t row) const {
  return upper_.multiplier[place_[row]] - lower_.multiplier[place_[row]];
}

} // namespace sobo
