// The recursion over the stages, see dense_lanes.hpp.
#pragma once

#include "dense_lanes.hpp"

namespace sobo {
namespace {

constexpr int kKept = 8; // steps from one value function that is kept to the next

/// One stage after the other, from the last to the first.
class DenseElimination {
public:
  DenseElimination(const DenseProblem &lq, const DenseLayout &at, const double *weights)
      : lq_(lq), at_(at), weights_(weights), wide_(at_.z + at_.u), row_(lq.rows.count) {
    Memory memory(lq.work);
    value_ = memory.take<double>(at_.nx * at_.x);
    carried_ = memory.take<double>(at_.n * at_.x);
    of_u_ = memory.take<double>(at_.nu * wide_);
    padded_ = memory.take<double>(at_.z);
    scaled_ = memory.take<double>(at_.nx * at_.nu);
    inverse_ = memory.take<double>(at_.nu);
    lower_ = memory.take<double>(at_.nu * at_.nu);
  }

  /// From the first kept value function after this stage on, or from the end.
  bool run(int last) {
    int t = (last / kKept + 1) * kKept;
    if (t < lq_.steps) {
      copy(kept(t), value_);
      while (row_ > 0 && lq_.rows.stage[row_ - 1] >= t)
        --row_;
    } else {
      t = lq_.steps;
      copy(lq_.stages + at_.packed() * t, value_);
      add_weights(t, false);
      add_rows(t, false);
    }
    while (t-- > 0) {
      pull_back(lq_.stages + at_.packed() * t);
      add_weights(t, true);
      add_rows(t, true);
      if (!eliminate())
        return false;
      reduce();
      write_gains(lq_.factors + at_.factored() * t);
      if (t % kKept == 0)
        copy(value_, kept(t));
    }
    double total = 0.0;
    for (int j = 0; j < at_.nx; ++j)
      for (int i = 0; i < at_.nx; ++i)
        total += value_[at_.x * j + i] - value_[at_.x * j + i]; // zero, or NaN
    return total == 0.0;
  }

private:
  double *kept(int t) const { return lq_.values + at_.value() * (t / kKept); }
  void copy(const double *from, double *to) const {
    for (int i = 0; i < at_.nx * at_.x; i += kLanes)
      store(to + i, load(from + i));
  }

  /// The value function of the next state as one of [x, u], plus the stage's Hessian: columns of x over x, of u over [x, u].
  void pull_back(const double *stage) {
    const Columns rows{stage + at_.rows(), at_.z}, dynamics{stage + at_.dynamics(), at_.x}, carried{carried_, at_.x};
    write_product(at_.x, at_.nx, at_.n, {nullptr, 0}, {value_, at_.x}, dynamics, carried_, at_.x);
    write_product(at_.x, at_.nx, at_.nx, {stage, at_.x}, rows, carried, value_, at_.x);
    write_product(at_.z, at_.nx, at_.nu, {stage + at_.of_u(), at_.z}, rows, carried.from(at_.nx), of_u_, wide_);
  }

  /// Of bounds on variables.
  void add_weights(int t, bool control) {
    const double *w = weights_ + at_.n * t;
    for (int i = 0; i < at_.nx; ++i)
      value_[at_.x * i + i] += w[i];
    for (int i = 0; i < at_.nu && control; ++i)
      of_u_[wide_ * i + at_.x + i] += w[at_.nx + i];
  }

  /// Of this stage's general rows, which come last to first.
  void add_rows(int t, bool control) {
    const double *weights = weights_ + at_.n * lq_.steps + at_.nx;
    for (; row_ > 0 && lq_.rows.stage[row_ - 1] == t; --row_) {
      const double *c = lq_.rows.coefficients + at_.n * (row_ - 1), weight = weights[row_ - 1];
      for (int i = 0; i < at_.z; ++i)
        padded_[i] = i < at_.nx ? c[i] : control && i >= at_.x && i < at_.x + at_.nu ? c[at_.nx + i - at_.x] : 0.0;
      for (int j = 0; j < at_.nx; ++j)
        for (int b = 0; b < at_.x; b += kLanes)
          store(value_ + at_.x * j + b, load(value_ + at_.x * j + b) + (weight * c[j]) * load(padded_ + b));
      for (int j = 0; j < at_.nu && control; ++j)
        for (int b = 0; b < at_.z; b += kLanes)
          store(of_u_ + wide_ * j + b, load(of_u_ + wide_ * j + b) + (weight * c[at_.nx + j]) * load(padded_ + b));
    }
  }

  /// Gauss' elimination of the controls among their columns, to which those of the unit matrix are appended.
  bool eliminate() {
    for (int j = 0; j < at_.nu; ++j)
      for (int i = 0; i < at_.u; ++i)
        of_u_[wide_ * j + at_.z + i] = i == j ? 1.0 : 0.0;
    for (int k = 0; k < at_.nu; ++k) {
      const double *pivot = of_u_ + wide_ * k;
      if (!(pivot[at_.x + k] > 0.0))
        return false;
      inverse_[k] = 1.0 / pivot[at_.x + k];
      for (int i = k + 1; i < at_.nu; ++i) {
        const double factor = pivot[at_.x + i] * inverse_[k];
        lower_[at_.nu * i + k] = factor;
        double *to = of_u_ + wide_ * i;
        for (int b = 0; b < wide_; b += kLanes)
          store(to + b, load(to + b) - factor * load(pivot + b));
      }
    }
    return true;
  }

  /// The value function once the controls are optimal.
  void reduce() {
    for (int j = 0; j < at_.nx; ++j)
      for (int k = 0; k < at_.nu; ++k)
        scaled_[at_.nu * j + k] = -inverse_[k] * of_u_[wide_ * k + j];
    write_product(at_.x, at_.nu, at_.nx, {value_, at_.x}, {of_u_, wide_}, {scaled_, at_.nu}, value_, at_.x);
  }

  void write_gains(double *out) const {
    for (int k = at_.nu; k-- > 0;)
      for (int b = 0; b < at_.z; b += kLanes) {
        Lanes gain = -inverse_[k] * load(of_u_ + wide_ * k + (b < at_.x ? b : b + at_.u));
        for (int i = k + 1; i < at_.nu; ++i)
          gain -= lower_[at_.nu * i + k] * load(out + at_.z * i + b);
        store(out + at_.z * k + b, gain);
      }
    double *columns = out + at_.columns();
    for (int j = 0; j < at_.nx; ++j)
      for (int k = 0; k < at_.nu; ++k) // what fills vectors up is zero already
        columns[at_.u * j + k] = out[at_.z * k + j];
  }

  const DenseProblem &lq_;
  const DenseLayout at_;
  const double *weights_;
  int wide_; // of a column of u over [x, u, unit matrix]
  int row_;  // general rows that are left
  double *value_, *carried_, *of_u_, *padded_, *scaled_, *inverse_, *lower_;
};

__attribute__((flatten)) bool dense_factor(const DenseProblem &lq, const double *weights, int last) {
  return with_sizes(lq.nx, lq.nu, [&](const DenseLayout &at) { return DenseElimination(lq, at, weights).run(last); });
}

/// Has some numbers fetched from memory.
inline void fetch(const double *at, std::size_t size) {
  for (std::size_t i = 0; i < size; i += 8)
    __builtin_prefetch(at + i);
}

inline void solve_stages(const DenseProblem &lq, const DenseLayout &at, const double *gradient, double *z,
                         double *slope_at_start) {
  const int ahead = 1 + static_cast<int>(2048 / (at.packed() + at.factored())); // stages that are fetched while one is solved
  Memory memory(lq.work);
  double *costate = memory.take<double>(at.x), *slope = memory.take<double>(at.z);
  for (int b = 0; b < at.x; b += kLanes)
    store(costate + b, load(gradient + at.n * lq.steps + b));
  for (int t = lq.steps; t-- > 0;) {
    const double *g = gradient + at.n * t, *rows = lq.stages + at.packed() * t + at.rows();
    double *factors = lq.factors + at.factored() * t, *r = slope + at.x;
    if (t >= ahead) {
      fetch(rows - at.packed() * ahead, at.nx * at.z);
      fetch(factors - at.factored() * ahead, at.factored());
    }
    for (int b = 0; b < at.z; b += kLanes)
      store(slope + b, combination(load(b < at.x ? g + b : g + at.nx + b - at.x), at.nx, rows + b, at.z, costate));
    for (int b = 0; b < at.x; b += kLanes)
      store(costate + b, combination(load(slope + b), at.nu, factors + b, at.z, r));
    for (int b = 0; b < at.u; b += kLanes)
      store(factors + at.step() + b, combination(Lanes{}, at.nu, factors + at.x + b, at.z, r));
  }
  for (int i = 0; i < at.nx && slope_at_start; ++i)
    slope_at_start[i] = costate[i];
  double *x = costate;
  for (int b = 0; b < at.x; b += kLanes)
    store(x + b, Lanes{});
  for (int t = 0; t < lq.steps; ++t, z += at.n) {
    const double *factors = lq.factors + at.factored() * t, *dynamics = lq.stages + at.packed() * t + at.dynamics();
    if (t + ahead < lq.steps)
      fetch(dynamics + at.packed() * ahead, at.n * at.x);
    for (int b = 0; b < at.x; b += kLanes)
      store(z + b, load(x + b));
    for (int b = 0; b < at.u; b += kLanes) // over the surplus of the state
      store(z + at.nx + b, combination(load(factors + at.step() + b), at.nx, factors + at.columns() + b, at.u, x));
    for (int b = 0; b < at.x; b += kLanes)
      store(x + b, combination(Lanes{}, at.n, dynamics + b, at.x, z));
  }
  for (int b = 0; b < at.x; b += kLanes)
    store(z + b, load(x + b));
}

__attribute__((flatten)) void dense_solve(const DenseProblem &lq, const double *gradient, double *z, double *slope_at_start) {
  with_sizes(lq.nx, lq.nu, [&](const DenseLayout &at) { solve_stages(lq, at, gradient, z, slope_at_start); });
}

void dense_costates(const DenseProblem &lq, const double *weights, const double *gradient, const double *z, double *out) {
  const DenseLayout at(lq.nx, lq.nu);
  Memory memory(lq.work);
  double *costate = memory.take<double>(at.x);
  const double *of_rows = weights + at.n * lq.steps + at.nx;
  int row = lq.rows.count;
  for (int t = lq.steps; t >= 0; --t) {
    const double *stage = lq.stages + at.packed() * t, *g = gradient + at.n * t, *w = weights + at.n * t;
    const double *point = z + at.n * t;
    double next[kLanes];
    double *to = out + at.nx * t;
    const bool last = t == lq.steps;
    for (int b = 0; b < at.x; b += kLanes) {
      Lanes sum = combination(load(g + b) + load(w + b) * load(point + b), at.nx, stage + b, at.x, point);
      if (!last)
        sum = combination(combination(sum, at.nu, stage + at.of_u() + b, at.z, point + at.nx), at.nx,
                          stage + at.rows() + b, at.z, costate);
      store(next, sum);
      for (int l = 0; l < kLanes && b + l < at.nx; ++l)
        to[b + l] = next[l];
    }
    for (; row > 0 && lq.rows.stage[row - 1] == t; --row) {
      const double *c = lq.rows.coefficients + at.n * (row - 1);
      const double held = of_rows[row - 1] * product(last ? at.nx : at.n, c, point);
      for (int i = 0; i < at.nx; ++i)
        to[i] += held * c[i];
    }
    for (int i = 0; i < at.nx; ++i)
      costate[i] = to[i];
  }
}

void dense_gains(int nx, int nu, const double *factors, double *by_state, int stride, double *constant) {
  const DenseLayout at(nx, nu);
  for (int k = 0; k < nu; ++k) {
    for (int j = 0; j < nx; ++j)
      by_state[stride * k + j] = factors[at.z * k + j];
    constant[k] = factors[at.step() + k];
  }
}

} // namespace
} // namespace sobo
