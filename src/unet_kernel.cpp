// Compiled once for every processor and, with SOBO_AVX2_KERNEL or SOBO_AVX512_KERNEL, for those with AVX2 or AVX-512. Everything but the table at
// the end has internal linkage, and no header with inline functions is used: of two copies of such a function the
// linker keeps one, which might be the one with AVX2.
#include "unet_kernel.hpp"

#include <cstdint>

namespace sobo {
namespace {

#ifdef __AVX2__
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kVectors = kUnit / kLanes; // in a unit
#ifdef __aarch64__
constexpr int kAccumulators = 24; // of 32 registers
#else
constexpr int kAccumulators = 12; // of 16 registers
#endif
constexpr float kEpsilon = 1e-5f; // of the normalisation, as in training

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t IntVec __attribute__((vector_size(4 * kLanes)));

inline Vec load(const float *p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float *p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }

inline Vec splat(float x) { return x - Vec{}; }

// exp for x <= 20 to 2 ulp: 2^n times a polynomial on half a unit around 0 (Cody-Waite reduction, Cephes coefficients).
inline Vec exponential(Vec x) {
  const Vec low = splat(-87.0f);
  x = x > low ? x : low;
  // Adding 1.5 * 2^23 rounds to an integer, which is then found in the low bits.
  const Vec shifted = x * 1.44269504f + 12582912.0f;
  const Vec n = shifted - 12582912.0f;
  const Vec f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = f * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * (f * f) + f + 1.0f;
  IntVec bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + (127 - 0x4b400000)) << 23;
  Vec power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return p * power;
}

// x tanh(softplus(x)) with a single exponential; above 20 the factor is 1 in float32.
inline Vec mish(Vec x) {
  const Vec high = splat(20.0f);
  const Vec e = exponential(x < high ? x : high);
  const Vec n = e * (e + 2.0f);
  return x * (n / (n + 2.0f));
}

// `Rows` rows of one panel: all sums stay in registers.
template <int Rows, int Units> void tile(const Conv &c, const float *x, const float *w, const float *bias, float *y) {
  constexpr int N = Units * kVectors;
  Vec sum[Rows][N];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n)
      sum[r][n] = load(bias + n * kLanes);
  for (int k = 0; k < c.taps; ++k, x += c.in_row)
    for (int j = 0; j < c.inputs; ++j, w += Units * kUnit) {
      Vec weight[N];
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n)
        weight[n] = load(w + n * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const Vec value = splat(x[r * c.in_step + j]);
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n)
          sum[r][n] += value * weight[n];
      }
    }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n)
      store(y + r * c.out_step + n * kLanes, sum[r][n]);
}

using Tile = void (*)(const Conv &, const float *, const float *, const float *, float *);

constexpr int most_rows(int units) {
  const int rows = kAccumulators / (units * kVectors);
  return rows > 8 ? 8 : rows;
}

// Tile of `rows` rows, at most most_rows(Units).
template <int Units, int Rows = most_rows(Units)> Tile choose(int rows) {
  if constexpr (Rows > 1)
    return rows == Rows ? tile<Rows, Units> : choose<Units, Rows - 1>(rows);
  else
    return tile<1, Units>;
}

// Calls compute(rows, x, y) for tiles of at most `most` rows, from one column on. They are of about equal height: one with
// few rows at the end would be limited by the latency of its additions.
template <typename Compute> void each_tile(const Conv &c, int lanes, int most, int column, const Compute &compute) {
  const int blocks = (c.rows + most - 1) / most;
  for (int lane = 0; lane < lanes; ++lane)
    for (int i = 0; i < blocks; ++i) {
      const auto first = [&](int block) { return static_cast<int>(static_cast<std::int64_t>(c.rows) * block / blocks); };
      const int row = first(i), rows = first(i + 1) - row;
      const float *x = c.in + lane * c.in_lane + static_cast<std::ptrdiff_t>(row) * c.in_step;
      float *y = c.out + lane * c.out_lane + static_cast<std::ptrdiff_t>(row) * c.out_step + column;
      compute(rows, x, y);
    }
}

template <int Units> void panel(const Conv &c, int lanes, const float *weight, int column) {
  each_tile(c, lanes, most_rows(Units), column, [&](int rows, const float *x, float *y) {
    choose<Units>(rows)(c, x, weight, c.bias + column, y);
  });
}

#ifdef __AVX512F__

// Panels of 16 columns, one vector each. Several are computed at once: where there are few rows, as at the bottom of the
// network, the sums of one panel alone would wait for each other.
constexpr int kWide = 16;
constexpr int kWideAccumulators = 24; // of 32 registers
typedef float WideVec __attribute__((vector_size(4 * kWide)));

inline WideVec load_wide(const float *p) {
  WideVec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <int Rows, int Panels> void wide_tile(const Conv &c, const float *x, const float *w, const float *bias, float *y) {
  const std::size_t distance = static_cast<std::size_t>(c.taps) * c.inputs * kWide; // from one panel's weights to the next
  WideVec sum[Rows][Panels];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p)
      sum[r][p] = load_wide(bias + p * kWide);
  for (int k = 0; k < c.taps; ++k, x += c.in_row)
    for (int j = 0; j < c.inputs; ++j, w += kWide) {
      WideVec weight[Panels];
#pragma GCC unroll 16
      for (int p = 0; p < Panels; ++p)
        weight[p] = load_wide(w + p * distance);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const WideVec value = x[r * c.in_step + j] - WideVec{};
#pragma GCC unroll 16
        for (int p = 0; p < Panels; ++p)
          sum[r][p] += value * weight[p];
      }
    }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p)
      __builtin_memcpy(y + r * c.out_step + p * kWide, &sum[r][p], sizeof sum[r][p]);
}

constexpr int most_wide_rows(int panels) { return panels == 1 ? 12 : kWideAccumulators / panels; }

template <int Panels, int Rows = most_wide_rows(Panels)> Tile choose_wide(int rows) {
  if constexpr (Rows > 1)
    return rows == Rows ? wide_tile<Rows, Panels> : choose_wide<Panels, Rows - 1>(rows);
  else
    return wide_tile<1, Panels>;
}

template <int Panels> void wide_panels(const Conv &c, int lanes, const float *weight, int column) {
  each_tile(c, lanes, most_wide_rows(Panels), column, [&](int rows, const float *x, float *y) {
    choose_wide<Panels>(rows)(c, x, weight, c.bias + column, y);
  });
}

// Columns from one on, all in panels of 16.
void wide(const Conv &c, int lanes, const float *weight, int column) {
  const std::size_t distance = static_cast<std::size_t>(c.taps) * c.inputs * kWide;
  for (int panels; column < c.outputs; column += panels * kWide, weight += panels * distance) {
    const int left = (c.outputs - column) / kWide;
    panels = left >= 4 ? 4 : (left >= 2 ? 2 : 1);
    (panels == 4 ? wide_panels<4> : panels == 2 ? wide_panels<2> : wide_panels<1>)(c, lanes, weight, column);
  }
}

#endif

void conv(const Conv &c, int lanes) {
  const float *weight = c.weight;
  for (int column = 0; column < c.outputs;) {
    const int columns = panel_columns(c.outputs - column);
#ifdef __AVX512F__
    if (columns == kWide) { // and so are all that follow
      wide(c, lanes, weight, column);
      return;
    }
#endif
    switch (columns / kUnit) {
    case 1:
      panel<1>(c, lanes, weight, column);
      break;
    case 2:
      panel<2>(c, lanes, weight, column);
      break;
    default:
      panel<3>(c, lanes, weight, column);
    }
    weight += static_cast<std::size_t>(c.taps) * c.inputs * columns;
    column += columns;
  }
}

// Replaces every channel's sum by the mean over its group.
void share(const Activation &a, float *sums) {
  const int width = a.channels / a.groups;
  const float weight = 1.0f / (static_cast<float>(width) * static_cast<float>(a.rows));
  for (int first = 0; first < a.channels; first += width) {
    float sum = 0;
    for (int c = first; c < first + width; ++c)
      sum += sums[c];
    for (int c = first; c < first + width; ++c)
      sums[c] = sum * weight;
  }
}

// Sum of term(row) over all rows. Four partial sums, as each addition waits for the one before it.
template <typename Term> Vec sum_rows(int rows, Term term) {
  Vec s0{}, s1{}, s2{}, s3{};
  int t = 0;
  for (; t + 4 <= rows; t += 4) {
    s0 += term(t);
    s1 += term(t + 1);
    s2 += term(t + 2);
    s3 += term(t + 3);
  }
  for (; t < rows; ++t)
    s0 += term(t);
  return (s0 + s1) + (s2 + s3);
}

// Group normalisation as a factor and an offset of each channel, left in `work`.
void normalisation(const Activation &a, const float *in) {
  float *mean = a.work, *variance = a.work + a.columns;
  for (int c = 0; c < a.columns; c += kLanes)
    store(mean + c, sum_rows(a.rows, [=, &a](int t) { return load(in + t * a.columns + c); }));
  share(a, mean);
  for (int c = 0; c < a.columns; c += kLanes) {
    const Vec centre = load(mean + c);
    const auto square = [=, &a](int t) {
      const Vec d = load(in + t * a.columns + c) - centre;
      return d * d;
    };
    store(variance + c, sum_rows(a.rows, square));
  }
  share(a, variance);
  for (int c = 0; c < a.columns; ++c) {
    const float factor = a.gain[c] / __builtin_sqrtf(variance[c] + kEpsilon);
    const float offset = a.offset[c] - mean[c] * factor;
    mean[c] = factor;
    variance[c] = offset;
  }
}

template <bool Film, bool Residual> void sweep(const Activation &a, int lane, const float *film) {
  const float *in = a.in + lane * a.in_lane, *residual = Residual ? a.residual + lane * a.residual_lane : nullptr;
  float *out = a.out + lane * a.out_lane;
  for (int t = 0; t < a.rows; ++t, in += a.columns, out += a.out_step) {
    for (int c = 0; c < a.columns; c += kLanes) {
      Vec y = mish(load(in + c) * load(a.work + c) + load(a.work + a.columns + c));
      if constexpr (Film)
        y = y * load(film + c) + load(film + a.columns + c);
      if constexpr (Residual)
        y += load(residual + c);
      store(out + c, y);
    }
    if constexpr (Residual)
      residual += a.residual_step;
  }
}

void activate(const Activation &a, int lane, const float *film) {
  normalisation(a, a.in + lane * a.in_lane);
  if (a.residual)
    film ? sweep<true, true>(a, lane, film) : sweep<false, true>(a, lane, film);
  else
    film ? sweep<true, false>(a, lane, film) : sweep<false, false>(a, lane, film);
}

void mish_array(float *x, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes)
    store(x + i, mish(load(x + i)));
}

} // namespace

#if defined(SOBO_AVX512_KERNEL)
extern const Kernel kAvx512Kernel = {"avx512", conv, activate, mish_array};
#elif defined(SOBO_AVX2_KERNEL)
extern const Kernel kAvx2Kernel = {"avx2", conv, activate, mish_array};
#else
extern const Kernel kBaselineKernel = {"baseline", conv, activate, mish_array};
#endif

} // namespace sobo
