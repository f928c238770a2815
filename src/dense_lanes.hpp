// Riccati recursion of x' = A x + B u. Matrices lie column by column. A column over [x, u] is two parts, each filled up to
// whole vectors with what nobody looks at, or with zeros where they are multiplied.
#pragma once

#include "lane_memory.hpp"
#include "lanes.hpp"
#include "lq_kernel.hpp"

namespace sobo {
namespace {

std::size_t padded(std::size_t size) { return (size + kLanes - 1) / kLanes * kLanes; }
std::size_t whole(std::size_t size) { return (size + kLqUnit - 1) / kLqUnit * kLqUnit; }

/// Where things lie in a stage's packed matrices and in its factors.
struct DenseLayout {
  DenseLayout(int states, int controls)
      : nx(states), nu(controls), n(states + controls), x(static_cast<int>(padded(states))),
        u(static_cast<int>(padded(controls))), z(x + u) {}

  int of_u() const { return nx * x; }               // Hessian: columns of x over x, then of u over [x, u]
  int rows() const { return of_u() + nu * z; }      // [A B]' : columns over [x, u]
  int dynamics() const { return rows() + nx * z; }  // [A B]: columns over x
  std::size_t packed() const { return whole(dynamics() + n * x); }
  // Factors: gains and minus the inverse, a column over [x, u] of each control; the gains again, a column over u of each
  // state; the step without a state.
  int columns() const { return nu * z; }
  int step() const { return columns() + nx * u; }
  std::size_t factored() const { return whole(step() + u); }
  std::size_t value() const { return whole(nx * x); }
  std::size_t work() const { return (n + nx + 3) * x + nu * (z + u) + z + nx * nu + nu + nu * nu + kLanes; }

  int nx, nu, n;
  int x, u, z; // sizes with what fills them up
};

std::size_t dense_packed(int nx, int nu) { return DenseLayout(nx, nu).packed(); }
std::size_t dense_factored(int nx, int nu) { return DenseLayout(nx, nu).factored(); }
std::size_t dense_value(int nx, int nu) { return DenseLayout(nx, nu).value(); }
std::size_t dense_work(int nx, int nu) { return DenseLayout(nx, nu).work(); }

/// N numbers of matrix + share * extra.
template <int N> inline void copy_some(const double *from, const double *extra, double share, double *to) {
  double values[N], others[N];
  __builtin_memcpy(values, from, sizeof values);
  if (extra) {
    __builtin_memcpy(others, extra, sizeof others);
    for (int i = 0; i < N; ++i)
      values[i] += share * others[i];
  }
  __builtin_memcpy(to, values, sizeof values);
}

/// The same of so many; small sizes do not pay for loops.
inline void copy_column(int size, const double *from, const double *extra, double share, double *to) {
  int i = 0;
  const auto at = [&](const double *p) { return p ? p + i : nullptr; };
  for (; i + 8 <= size; i += 8)
    copy_some<8>(from + i, at(extra), share, to + i);
  if (size & 4) {
    copy_some<4>(from + i, at(extra), share, to + i);
    i += 4;
  }
  if (size & 2) {
    copy_some<2>(from + i, at(extra), share, to + i);
    i += 2;
  }
  if (size & 1)
    copy_some<1>(from + i, at(extra), share, to + i);
}

/// What fills vectors up must be zero already.
inline void pack_stage(const DenseLayout &at, const StageHessian &h, const double *A, const double *B, double *out) {
  for (int j = 0; j < at.nx; ++j) {
    double *to = out + at.x * j;
    copy_column(at.nx, h.Q.column(j), h.extra.column(j), h.share, to);
    to[j] += h.diagonal;
  }
  for (int j = 0; j < at.nu && !h.last; ++j) {
    double *to = out + at.of_u() + at.z * j;
    const double *extra = h.extra.column(at.nx + j);
    copy_column(at.nx, h.S.column(j), extra, h.share, to);
    copy_column(at.nu, h.R.column(j), extra ? extra + at.nx : nullptr, h.share, to + at.x);
    to[at.x + j] += h.diagonal;
  }
  for (int j = 0; j < at.n && !h.last; ++j) {
    const double *from = j < at.nx ? A + at.nx * j : B + at.nx * (j - at.nx);
    copy_column(at.nx, from, nullptr, 0.0, out + at.dynamics() + at.x * j);
    double *row = out + at.rows() + (j < at.nx ? j : at.x + j - at.nx);
    for (int k = 0; k < at.nx; ++k)
      row[at.z * k] = from[k];
  }
}

/// Calls f with the sizes of shipped problems as numbers that the compiler knows, and with others as they are.
template <typename F> inline auto with_sizes(int nx, int nu, const F &f) {
  if (nx == 2 && nu == 1)
    return f(DenseLayout(2, 1));
  if (nx == 4 && nu == 2)
    return f(DenseLayout(4, 2));
  if (nx == 12 && nu == 4)
    return f(DenseLayout(12, 4));
  if (nx == 12 && nu == 6)
    return f(DenseLayout(12, 6));
  if (nx == 14 && nu == 7)
    return f(DenseLayout(14, 7));
  return f(DenseLayout(nx, nu));
}

__attribute__((flatten)) void dense_pack(const StageHessian &h, const double *A, const double *B, double *out) {
  with_sizes(h.nx, h.nu, [&](const DenseLayout &at) { pack_stage(at, h, A, B, out); });
}

/// A matrix whose columns are so many numbers apart.
struct Columns {
  const double *at;
  int stride;
  Columns from(int j) const { return {at ? at + stride * j : nullptr, stride}; }
};

/// N columns of out = first + m s, in vectors; `depth` is the number of columns of m. Without a first matrix it is zero; it
/// may be where the result goes.
template <int N> inline void write_columns(int size, int depth, Columns first, Columns m, Columns s, double *out, int stride) {
  for (int b = 0; b < size; b += kLanes) {
    Lanes sum[N];
    for (int i = 0; i < N; ++i)
      sum[i] = first.at ? load(first.at + first.stride * i + b) : Lanes{};
    for (int k = 0; k < depth; ++k) {
      const Lanes column = load(m.at + m.stride * k + b);
      for (int i = 0; i < N; ++i)
        sum[i] += s.at[s.stride * i + k] * column;
    }
    for (int i = 0; i < N; ++i)
      store(out + stride * i + b, sum[i]);
  }
}

/// All columns of it.
inline void write_product(int size, int depth, int columns, Columns first, Columns m, Columns s, double *out, int stride) {
  int j = 0;
  for (; j + 8 <= columns; j += 8)
    write_columns<8>(size, depth, first.from(j), m, s.from(j), out + stride * j, stride);
  for (; j + 4 <= columns; j += 4)
    write_columns<4>(size, depth, first.from(j), m, s.from(j), out + stride * j, stride);
  for (; j + 2 <= columns; j += 2)
    write_columns<2>(size, depth, first.from(j), m, s.from(j), out + stride * j, stride);
  for (; j < columns; ++j)
    write_columns<1>(size, depth, first.from(j), m, s.from(j), out + stride * j, stride);
}

/// A block of vectors of m v, in two sums that do not wait for each other.
inline Lanes combination(Lanes first, int depth, const double *m, int stride, const double *v) {
  Lanes other{};
  int k = 0;
  for (; k + 2 <= depth; k += 2) {
    first += v[k] * load(m + stride * k);
    other += v[k + 1] * load(m + stride * (k + 1));
  }
  if (k < depth)
    first += v[k] * load(m + stride * k);
  return first + other;
}

inline double product(int size, const double *a, const double *b) {
  double sum = 0.0;
  for (int i = 0; i < size; ++i)
    sum += a[i] * b[i];
  return sum;
}

void dense_multiply(int nx, int nu, bool last, const double *packed, const double *z, double *out) {
  const DenseLayout at(nx, nu);
  const double *of_u = packed + at.of_u();
  const int controls = last ? 0 : nu;
  for (int b = 0; b < at.x; b += kLanes) {
    double part[kLanes];
    store(part, combination(combination(Lanes{}, nx, packed + b, at.x, z), controls, of_u + b, at.z, z + nx));
    for (int l = 0; l < kLanes && b + l < nx; ++l)
      out[b + l] = part[l];
  }
  for (int j = 0; j < controls; ++j)
    out[nx + j] = product(nx, of_u + at.z * j, z) + product(nu, of_u + at.z * j + at.x, z + nx);
}

} // namespace
} // namespace sobo
