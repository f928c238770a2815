// Riccati recursion of double integrators. Matrices lie column by column; a column over [q, v] is two halves, each filled up
// with zeros to whole vectors.
#pragma once

#include "lanes.hpp"
#include "lq_kernel.hpp"

namespace sobo {
namespace {

constexpr int kMostJoints = 16;

/// Sizes of an arm with n joints: known to the compiler with Exact.
template <int Most, bool Exact> struct Sizes {
  explicit Sizes(int joints) : n_(joints) {}
  static constexpr int most_half = (Most + kLanes - 1) / kLanes; // vectors
  constexpr int n() const { return Exact ? Most : n_; }
  constexpr int half() const { return Exact ? most_half : (n_ + kLanes - 1) / kLanes; }
  constexpr int padded() const { return half() * kLanes; }
  /// Packed Hessian: columns of q and v over [q, v], columns of u over [q, v, u].
  constexpr int packed() const { return 7 * n() * padded(); }
  /// Factors: a column for each control over [q, v, u]: gains and minus the inverse; a column for each state of the gains;
  /// the step.
  constexpr int factored() const { return 5 * n() * padded() + padded(); }
  int n_;
};

std::size_t up(std::size_t size) { return (size + kLqUnit - 1) / kLqUnit * kLqUnit; }
std::size_t packed(int joints) { return up(Sizes<kMostJoints, false>(joints).packed()); }
std::size_t factored(int joints) { return up(Sizes<kMostJoints, false>(joints).factored()); }

void pack(const StageHessian &h, double *out) {
  const Sizes<kMostJoints, false> sizes(h.nu);
  const int n = h.nu, p = sizes.padded();
  for (int j = 0; j < (h.last ? 2 : 3) * n; ++j)
    for (int part = 0; part < (j < 2 * n ? 2 : 3); ++part, out += p) {
      const auto &block = j < 2 * n ? h.Q : part < 2 ? h.S : h.R;
      const double *from = block.column(j < 2 * n ? j : j - 2 * n) + part % 2 * n;
      const double *extra = h.extra.at ? h.extra.column(j) + part * n : nullptr;
      for (int i = 0; i < n; ++i)
        out[i] = extra ? from[i] + h.share * extra[i] : from[i];
      for (int i = n; i < p; ++i)
        out[i] = 0.0;
      if (j / n == part)
        out[j % n] += h.diagonal;
    }
}

/// A vector of a packed Hessian's rows of q and v, where it begins, times z.
inline Lanes multiply_state(int n, int p, bool last, const double *packed, const double *z) {
  const double *of_u = packed + 4 * n * p;
  Lanes total{}, other{};
  for (int j = 0; j < 2 * n; ++j)
    total += z[j] * load(packed + 2 * p * j);
  for (int j = 0; j < n && !last; ++j)
    other += z[2 * n + j] * load(of_u + 3 * p * j);
  return total + other;
}

void multiply(int joints, bool last, const double *packed, const double *z, double *out) {
  const Sizes<kMostJoints, false> sizes(joints);
  const int n = joints, p = sizes.padded();
  const double *of_u = packed + 4 * n * p;
  const auto dot = [&](const double *a, const double *b) {
    double total = 0.0;
    for (int i = 0; i < n; ++i)
      total += a[i] * b[i];
    return total;
  };
  for (int j = 0; j < n && !last; ++j)
    out[2 * n + j] = dot(of_u + 3 * p * j, z) + dot(of_u + 3 * p * j + p, z + n) + dot(of_u + 3 * p * j + 2 * p, z + 2 * n);
  for (int half = 0; half < 2; ++half)
    for (int b = 0; b < p; b += kLanes) {
      const Lanes total = multiply_state(n, p, last, packed + half * p + b, z);
      for (int l = 0; l < kLanes && b + l < n; ++l)
        out[half * n + b + l] = total[l];
    }
}

/// One stage of the recursion, from the last to the first.
template <int Most, bool Exact> class Elimination {
  using Size = Sizes<Most, Exact>;
  static constexpr int kHalf = Size::most_half;

public:
  Elimination(const DoubleIntegrator &lq, const double *weights) : size_(lq.joints), lq_(lq), weights_(weights) {}

  bool run() {
    const std::size_t unit = packed(size_.n());
    const int n = size_.n(), count = size_.half();
    const double *last = lq_.hessians + unit * lq_.steps;
    for (int j = 0; j < 2 * n; ++j)
      for (int b = 0; b < 2 * count; ++b)
        x_[j][b] = load(last + (2 * count * j + b) * kLanes);
    add_weights(lq_.steps, false);
    row_ = lq_.rows.count;
    add_rows(lq_.steps, false);
    for (int t = lq_.steps; t-- > 0;) {
      pull_back(lq_.hessians + unit * t);
      add_weights(t, true);
      add_rows(t, true);
      if (!eliminate())
        return false;
      reduce();
      write_gains(lq_.factors + factored(n) * t); // nothing waits for it
    }
    Lanes total{};
    for (int j = 0; j < 2 * n; ++j)
      for (int b = 0; b < 2 * count; ++b)
        total += x_[j][b] - x_[j][b]; // zero, or NaN
    for (int l = 0; l < kLanes; ++l)
      if (!(total[l] == 0.0))
        return false;
    return true;
  }

private:
  /// The value function of the next state as one of [x, u], plus the stage's Hessian.
  void pull_back(const double *hessian) {
    const int n = size_.n(), count = size_.half();
    const double h = lq_.h, c = lq_.c;
    const double *of_u = hessian + 4 * n * count * kLanes;
#pragma GCC unroll 8
    for (int j = 0; j < n; ++j)
#pragma GCC unroll 8
      for (int b = 0; b < count; ++b) {
        const auto packed_x = [&](int column, int half) {
          return load(hessian + (2 * count * column + half * count + b) * kLanes);
        };
        const auto packed_u = [&](int part) { return load(of_u + (3 * count * j + part * count + b) * kLanes); };
        const Lanes qq = x_[j][b], vq = x_[j][count + b], qv = x_[n + j][b], vv = x_[n + j][count + b];
        const Lanes q = h * qq + qv, v = h * vq + vv;   // of the column of v
        const Lanes qu = c * qq + h * qv, vu = c * vq + h * vv; // of the column of u
        x_[j][b] = qq + packed_x(j, 0);
        x_[j][count + b] = (h * qq + vq) + packed_x(j, 1);
        x_[n + j][b] = q + packed_x(n + j, 0);
        x_[n + j][count + b] = (h * q + v) + packed_x(n + j, 1);
        u_[j][b] = qu + packed_u(0);
        u_[j][count + b] = (h * qu + vu) + packed_u(1);
        u_[j][2 * count + b] = (c * qu + h * vu) + packed_u(2);
      }
  }

  /// Of bounds on variables.
  void add_weights(int t, bool control) {
    const int n = size_.n(), count = size_.half();
    const double *w = weights_ + 3 * n * t;
    for (int j = 0; j < n; ++j) {
      const int b = j / kLanes, l = j % kLanes;
      x_[j][b] += w[j] * unit(l);
      x_[n + j][count + b] += w[n + j] * unit(l);
      if (control)
        u_[j][2 * count + b] += w[2 * n + j] * unit(l);
    }
  }

  static Lanes unit(int lane) {
    struct Ones {
      double values[2 * kLanes] = {};
      constexpr Ones() { values[kLanes - 1] = 1.0; }
    };
    static constexpr Ones ones;
    return load(ones.values + kLanes - 1 - lane);
  }

  /// Of this stage's general rows, which come last to first.
  void add_rows(int t, bool control) {
    const int n = size_.n(), count = size_.half();
    const double *weights = weights_ + 3 * n * lq_.steps + 2 * n;
    for (; row_ > 0 && lq_.rows.stage[row_ - 1] == t; --row_) {
      const double *c = lq_.rows.coefficients + 3 * n * (row_ - 1), weight = weights[row_ - 1];
      alignas(64) double padded[3 * kHalf * kLanes] = {};
      for (int part = 0; part < (control ? 3 : 2); ++part)
        for (int i = 0; i < n; ++i)
          padded[part * count * kLanes + i] = c[part * n + i];
      for (int j = 0; j < 2 * n; ++j)
        for (int b = 0; b < 2 * count; ++b)
          x_[j][b] += (weight * c[j]) * load(padded + b * kLanes);
      for (int j = 0; j < n && control; ++j)
        for (int b = 0; b < 3 * count; ++b)
          u_[j][b] += (weight * c[2 * n + j]) * load(padded + b * kLanes);
    }
  }

  /// Gauss' elimination of the controls among their columns, to which those of the unit matrix are appended.
  bool eliminate() {
    const int n = size_.n(), count = size_.half();
    for (int j = 0; j < n; ++j)
#pragma GCC unroll 8
      for (int b = 0; b < count; ++b)
        u_[j][3 * count + b] = b == j / kLanes ? unit(j % kLanes) : Lanes{};
#pragma GCC unroll 8
    for (int k = 0; k < n; ++k) {
      alignas(64) double control[kHalf * kLanes];
#pragma GCC unroll 8
      for (int b = 0; b < count; ++b)
        store(control + b * kLanes, u_[k][2 * count + b]);
      if (!(control[k] > 0.0))
        return false;
      inverse_[k] = 1.0 / control[k];
#pragma GCC unroll 8
      for (int i = k + 1; i < n; ++i) {
        const double factor = control[i] * inverse_[k];
        lower_[i][k] = factor;
#pragma GCC unroll 8
        for (int b = 0; b < 4 * count; ++b)
          u_[i][b] -= factor * u_[k][b];
      }
    }
    return true;
  }

  /// The value function once the controls are optimal.
  void reduce() {
    const int n = size_.n(), count = size_.half();
    alignas(64) double scaled[Most][2 * kHalf * kLanes];
#pragma GCC unroll 8
    for (int k = 0; k < n; ++k)
#pragma GCC unroll 8
      for (int b = 0; b < 2 * count; ++b)
        store(scaled[k] + b * kLanes, inverse_[k] * u_[k][b]);
    for (int j = 0; j < 2 * n; ++j) {
      const int place = j < n ? j : count * kLanes + j - n;
#pragma GCC unroll 8
      for (int k = 0; k < n; ++k) {
        const double factor = scaled[k][place];
#pragma GCC unroll 8
        for (int b = 0; b < 2 * count; ++b)
          x_[j][b] -= factor * u_[k][b];
      }
    }
  }

  void write_gains(double *out) const {
    const int n = size_.n(), count = size_.half(), p = size_.padded();
    Lanes gains[Most][3 * kHalf];
    for (int k = n; k-- > 0;) {
#pragma GCC unroll 8
      for (int b = 0; b < 3 * count; ++b)
        gains[k][b] = -inverse_[k] * u_[k][b < 2 * count ? b : b + count];
#pragma GCC unroll 8
      for (int i = k + 1; i < n; ++i)
#pragma GCC unroll 8
        for (int b = 0; b < 3 * count; ++b)
          gains[k][b] -= lower_[i][k] * gains[i][b];
#pragma GCC unroll 8
      for (int b = 0; b < 3 * count; ++b)
        store(out + (3 * count * k + b) * kLanes, gains[k][b]);
    }
    double *columns = out + 3 * n * p;
    for (int j = 0; j < 2 * n; ++j)
#pragma GCC unroll 8
      for (int k = 0; k < p; ++k)
        columns[j * p + k] = k < n ? out[3 * p * k + (j < n ? j : p + j - n)] : 0.0;
  }

  const Size size_;
  const DoubleIntegrator &lq_;
  const double *weights_;
  int row_ = 0; // general rows that are left
  Lanes x_[2 * Most][2 * kHalf]; // columns of q and v
  Lanes u_[Most][4 * kHalf];     // of u, over [q, v, u, unit matrix]
  double inverse_[Most], lower_[Most][Most];
};

template <int Most, bool Exact> bool factor_for(const DoubleIntegrator &lq, const double *weights) {
  return Elimination<Most, Exact>(lq, weights).run();
}

template <int Most, bool Exact> void solve_for(const DoubleIntegrator &lq, const double *gradient, double *z, double *slope_at_start) {
  const Sizes<Most, Exact> size(lq.joints);
  constexpr int most = Sizes<Most, Exact>::most_half;
  const int n = size.n(), count = size.half(), p = size.padded();
  const double h = lq.h, c = lq.c;
  const std::size_t unit = factored(n);
  Lanes q[most], v[most]; // costate; what lies beyond n entries is never looked at
  const double *g = gradient + 3 * n * lq.steps;
  for (int b = 0; b < count; ++b) {
    q[b] = load(g + b * kLanes);
    v[b] = load(g + n + b * kLanes);
  }
  for (int t = lq.steps; t-- > 0;) {
    g = gradient + 3 * n * t;
    double *factors = lq.factors + unit * t;
    alignas(64) double r[most * kLanes];
    Lanes u[most];
    for (int b = 0; b < count; ++b) {
      store(r + b * kLanes, load(g + 2 * n + b * kLanes) + (c * q[b] + h * v[b]));
      v[b] = load(g + n + b * kLanes) + (h * q[b] + v[b]);
      q[b] = load(g + b * kLanes) + q[b];
      u[b] = Lanes{};
    }
    for (int k = 0; k < n; ++k) {
      const double *gain = factors + 3 * p * k;
      for (int b = 0; b < count; ++b) {
        q[b] += r[k] * load(gain + b * kLanes);
        v[b] += r[k] * load(gain + p + b * kLanes);
        u[b] += r[k] * load(gain + 2 * p + b * kLanes);
      }
    }
    for (int b = 0; b < count; ++b)
      store(factors + 5 * n * p + b * kLanes, u[b]);
  }
  for (int i = 0; i < n && slope_at_start; ++i) {
    slope_at_start[i] = q[i / kLanes][i % kLanes];
    slope_at_start[n + i] = v[i / kLanes][i % kLanes];
  }
  for (int b = 0; b < count; ++b)
    q[b] = v[b] = Lanes{};
  for (int t = 0; t < lq.steps; ++t) {
    const double *factors = lq.factors + unit * t, *columns = factors + 3 * n * p;
    double *at = z + 3 * n * t;
    alignas(64) double x[2 * most * kLanes];
    Lanes u[most], other[most];
    for (int b = 0; b < count; ++b) {
      store(x + b * kLanes, q[b]);
      store(x + p + b * kLanes, v[b]);
      u[b] = load(factors + 5 * n * p + b * kLanes);
      other[b] = Lanes{};
    }
    for (int j = 0; j < n; ++j)
      for (int b = 0; b < count; ++b) {
        u[b] += x[j] * load(columns + j * p + b * kLanes);
        other[b] += x[p + j] * load(columns + (n + j) * p + b * kLanes);
      }
    for (int part = 0; part < 3; ++part) // each over the surplus of the one before
      for (int b = 0; b < count; ++b)
        store(at + part * n + b * kLanes, part == 0 ? q[b] : part == 1 ? v[b] : u[b] + other[b]);
    for (int b = 0; b < count; ++b) {
      const Lanes a = u[b] + other[b];
      q[b] += h * v[b] + c * a;
      v[b] += h * a;
    }
  }
  double *at = z + 3 * n * lq.steps;
  for (int part = 0; part < 2; ++part)
    for (int b = 0; b < count; ++b)
      store(at + part * n + b * kLanes, part == 0 ? q[b] : v[b]);
}

void costates(const DoubleIntegrator &lq, const double *weights, const double *gradient, const double *z, double *out) {
  const Sizes<kMostJoints, false> size(lq.joints);
  const int n = lq.joints, p = size.padded();
  const double *of_rows = weights + 3 * n * lq.steps + 2 * n;
  int row = lq.rows.count;
  for (int t = lq.steps; t >= 0; --t) {
    const double *g = gradient + 3 * n * t, *w = weights + 3 * n * t, *at = z + 3 * n * t;
    const bool last = t == lq.steps;
    double *to = out + 2 * n * t, part[kLanes];
    for (int half = 0; half < 2; ++half)
      for (int b = 0; b < p; b += kLanes) {
        const int first = half * n + b;
        store(part, load(g + first) + load(w + first) * load(at + first) +
                        multiply_state(n, p, last, lq.hessians + packed(n) * t + half * p + b, at));
        for (int l = 0; l < kLanes && b + l < n; ++l)
          to[first + l] = part[l];
      }
    for (; row > 0 && lq.rows.stage[row - 1] == t; --row) {
      const double *c = lq.rows.coefficients + 3 * n * (row - 1);
      double held = 0.0;
      for (int i = 0; i < (last ? 2 : 3) * n; ++i)
        held += c[i] * at[i];
      for (int i = 0; i < 2 * n; ++i)
        to[i] += of_rows[row - 1] * held * c[i];
    }
    for (int i = 0; i < n && !last; ++i) {
      to[i] += to[2 * n + i];
      to[n + i] += lq.h * to[2 * n + i] + to[3 * n + i];
    }
  }
}

void gains(int joints, const double *factors, double *by_state, int stride, double *constant) {
  const Sizes<kMostJoints, false> size(joints);
  const int n = joints, p = size.padded();
  for (int k = 0; k < n; ++k) {
    for (int j = 0; j < n; ++j) {
      by_state[stride * k + j] = factors[3 * p * k + j];
      by_state[stride * k + n + j] = factors[3 * p * k + p + j];
    }
    constant[k] = factors[5 * n * p + k];
  }
}

} // namespace
} // namespace sobo
