// Compiled once for every processor and, with SOBO_AVX2_KERNEL or SOBO_AVX512_KERNEL, for those with AVX2 or AVX-512. Everything but the table at
// the end has internal linkage, and no other header with inline functions is used: of two copies of such a function the
// linker keeps one, which might be the one with AVX2.
#include "unet_kernel.hpp"

#include <cstdint>

#include "unet_vectors.hpp"

namespace sobo {
namespace {

#ifdef __aarch64__
constexpr int kAccumulators = 24; // of 32 registers
#else
constexpr int kAccumulators = 12; // of 16 registers
#endif
constexpr int kFewRows = 8; // of a lane: a fifth of what a convolution would multiply is padding
constexpr float kEpsilon = 1e-5f; // of the normalisation, as in training

// The first row of a lane.
template <typename Number> inline Number *begin(const Layout<Number> &rows, std::ptrdiff_t lanes, int lane) {
  return rows.data + (rows.first * lanes + lane) * rows.step;
}

// Rows of a convolution at equal distances: between two of them, and from what a tap reads to what the next one reads.
struct Series {
  const float *in;
  std::ptrdiff_t in_step, tap_step;
  float *out;
  std::ptrdiff_t out_step;
  int rows;
  int first_tap, taps; // of the convolution's
  bool begins;         // with the bias, or adds to what is there
};

// `Rows` rows of one panel: all sums stay in registers.
template <int Rows, int Units>
void tile(const Conv &c, const Series &s, int row, const float *w, int column) {
  constexpr int N = Units * kVectors;
  w += static_cast<std::size_t>(s.first_tap) * c.inputs * Units * kUnit;
  const float *x = s.in + s.first_tap * s.tap_step + row * s.in_step;
  float *y = s.out + row * s.out_step + column;
  const float *start = s.begins ? c.bias + column : y;
  const std::ptrdiff_t start_step = s.begins ? 0 : s.out_step;
  Vec sum[Rows][N];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n)
      sum[r][n] = load(start + r * start_step + n * kLanes);
  const std::ptrdiff_t step = s.in_step;
  for (int k = 0; k < s.taps; ++k, x += s.tap_step)
    for (int j = 0; j < c.inputs; ++j, w += Units * kUnit) {
      Vec weight[N];
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n)
        weight[n] = load(w + n * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const Vec value = splat(x[r * step + j]);
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n)
          sum[r][n] += value * weight[n];
      }
    }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n)
      store(y + r * s.out_step + n * kLanes, sum[r][n]);
}

using Tile = void (*)(const Conv &, const Series &, int, const float *, int);

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

// Calls compute(row, rows) for tiles of at most `most` rows. They are of about equal height: one with few rows at the end
// would be limited by the latency of its additions.
template <typename Compute> void each_tile(const Series &s, int most, const Compute &compute) {
  const int blocks = (s.rows + most - 1) / most;
  for (int i = 0; i < blocks; ++i) {
    const auto first = [&](int block) { return static_cast<int>(static_cast<std::int64_t>(s.rows) * block / blocks); };
    compute(first(i), first(i + 1) - first(i));
  }
}

template <int Units> void panel(const Conv &c, const Series &s, const float *weight, int column) {
  each_tile(s, most_rows(Units),
            [&](int row, int rows) { choose<Units>(rows)(c, s, row, weight, column); });
}

#ifdef __AVX512F__

// Panels of 16 columns, one vector each. Several are computed at once: where there are few rows, as at the bottom of the
// network, the sums of one panel alone would wait for each other.
constexpr int kWideAccumulators = 24; // of 32 registers

template <int Rows, int Panels>
void wide_tile(const Conv &c, const Series &s, int row, const float *w, int column) {
  const std::size_t distance = static_cast<std::size_t>(c.taps) * c.inputs * kWide; // from one panel's weights to the next
  w += static_cast<std::size_t>(s.first_tap) * c.inputs * kWide;
  const float *x = s.in + s.first_tap * s.tap_step + row * s.in_step;
  float *y = s.out + row * s.out_step + column;
  const float *start = s.begins ? c.bias + column : y;
  const std::ptrdiff_t start_step = s.begins ? 0 : s.out_step;
  WideVec sum[Rows][Panels];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p)
      sum[r][p] = load_as<WideVec>(start + r * start_step + p * kWide);
  const std::ptrdiff_t step = s.in_step;
  for (int k = 0; k < s.taps; ++k, x += s.tap_step)
    for (int j = 0; j < c.inputs; ++j, w += kWide) {
      WideVec weight[Panels];
#pragma GCC unroll 16
      for (int p = 0; p < Panels; ++p)
        weight[p] = load_as<WideVec>(w + p * distance);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const WideVec value = x[r * step + j] - WideVec{};
#pragma GCC unroll 16
        for (int p = 0; p < Panels; ++p)
          sum[r][p] += value * weight[p];
      }
    }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p)
      store(y + r * s.out_step + p * kWide, sum[r][p]);
}

constexpr int most_wide_rows(int panels) { return panels == 1 ? 12 : kWideAccumulators / panels; }

template <int Panels, int Rows = most_wide_rows(Panels)> Tile choose_wide(int rows) {
  if constexpr (Rows > 1)
    return rows == Rows ? wide_tile<Rows, Panels> : choose_wide<Panels, Rows - 1>(rows);
  else
    return wide_tile<1, Panels>;
}

template <int Panels> void wide_panels(const Conv &c, const Series &s, const float *weight, int column) {
  each_tile(s, most_wide_rows(Panels),
            [&](int row, int rows) { choose_wide<Panels>(rows)(c, s, row, weight, column); });
}

// Columns from one on, all in panels of 16: four of them where all rows fit into a tile, as weights are then read once.
void wide(const Conv &c, const Series &s, const float *weight, int column) {
  const std::size_t distance = static_cast<std::size_t>(c.taps) * c.inputs * kWide;
  for (int panels; column < c.outputs; column += panels * kWide, weight += panels * distance) {
    const int left = (c.outputs - column) / kWide;
    panels = left >= 4 && s.rows <= most_wide_rows(4) ? 4 : (left >= 2 ? 2 : 1);
    (panels == 4 ? wide_panels<4> : panels == 2 ? wide_panels<2> : wide_panels<1>)(c, s, weight, column);
  }
}

#endif

void convolve(const Conv &c, const Series &s) {
  const float *weight = c.weight;
  for (int column = 0; column < c.outputs;) {
    const int columns = panel_columns(c.outputs - column);
#ifdef __AVX512F__
    if (columns == kWide) { // and so are all that follow
      wide(c, s, weight, column);
      return;
    }
#endif
    (columns == kUnit ? panel<1> : columns == 2 * kUnit ? panel<2> : panel<3>)(c, s, weight, column);
    weight += static_cast<std::size_t>(c.taps) * c.inputs * columns;
    column += columns;
  }
}

// A convolution of few rows, tap by tap, each for the rows for which it reads a row of the input.
void convolve_inside(const Conv &c, Series s, int lanes) {
  const int before = -c.in.first;
  const Series all = s;
  s.taps = 1;
  for (int i = 0; i < c.taps; ++i) { // the tap in the middle first: it has all rows
    const int k = i == 0 ? before : (i <= before ? i - 1 : i);
    const int first = before > k ? before - k : 0, rows = c.rows - (before > k ? before - k : k - before);
    if (rows <= 0)
      continue;
    s.in = all.in + first * lanes * s.in_step;
    s.out = all.out + first * lanes * s.out_step;
    s.rows = rows * lanes;
    s.first_tap = k;
    s.begins = i == 0;
    convolve(c, s);
  }
}

void conv(const Conv &c, int lanes) {
  const std::ptrdiff_t in = static_cast<std::ptrdiff_t>(lanes) * c.in.step, out = static_cast<std::ptrdiff_t>(lanes) * c.out.step;
  if (c.in.stride == 1 && c.out.stride == 1) { // the rows of all lanes follow each other
    const Series all{begin(c.in, lanes, 0), c.in.step, in, begin(c.out, lanes, 0), c.out.step, c.rows * lanes, 0, c.taps, true};
    if (c.same && c.rows <= kFewRows)
      convolve_inside(c, all, lanes);
    else
      convolve(c, all);
    return;
  }
  for (int lane = 0; lane < lanes; ++lane)
    convolve(c, {begin(c.in, lanes, lane), c.in.stride * in, in, begin(c.out, lanes, lane), c.out.stride * out, c.rows, 0,
                 c.taps, true});
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
template <typename V, typename Term> inline V sum_rows(int rows, Term term) {
  V s0{}, s1{}, s2{}, s3{};
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

// Group normalisation as a factor and an offset of each channel, left in `work`; rows are `step` apart.
void normalisation(const Activation &a, const float *in, std::ptrdiff_t step) {
  float *mean = a.work, *variance = a.work + a.columns;
  each_vector(a.columns, [=, &a](std::size_t c, auto kind) {
    using V = decltype(kind);
    store(mean + c, sum_rows<V>(a.rows, [=](int t) { return load_as<V>(in + t * step + c); }));
  });
  share(a, mean);
  each_vector(a.columns, [=, &a](std::size_t c, auto kind) {
    using V = decltype(kind);
    const V centre = load_as<V>(mean + c);
    store(variance + c, sum_rows<V>(a.rows, [=](int t) {
            const V d = load_as<V>(in + t * step + c) - centre;
            return d * d;
          }));
  });
  share(a, variance);
  for (int c = 0; c < a.columns; ++c) {
    const float factor = a.gain[c] / __builtin_sqrtf(variance[c] + kEpsilon);
    const float offset = a.offset[c] - mean[c] * factor;
    mean[c] = factor;
    variance[c] = offset;
  }
}

template <bool Film, bool Residual> void sweep(const Activation &a, int lanes, int lane, const float *film) {
  const float *in = begin(a.in, lanes, lane), *residual = Residual ? begin(a.residual, lanes, lane) : nullptr;
  float *out = begin(a.out, lanes, lane);
  for (int t = 0; t < a.rows; ++t, in += lanes * a.in.step, out += lanes * a.out.step) {
    each_vector(a.columns, [=, &a](std::size_t c, auto kind) {
      using V = decltype(kind);
      V y = mish<V>(load_as<V>(in + c) * load_as<V>(a.work + c) + load_as<V>(a.work + a.columns + c));
      if constexpr (Film)
        y = y * load_as<V>(film + c) + load_as<V>(film + a.columns + c);
      if constexpr (Residual)
        y += load_as<V>(residual + c);
      store(out + c, y);
    });
    if constexpr (Residual)
      residual += lanes * a.residual.step;
  }
}

void activate(const Activation &a, int lanes, int lane, const float *film) {
  normalisation(a, begin(a.in, lanes, lane), static_cast<std::ptrdiff_t>(lanes) * a.in.step);
  if (a.residual.data)
    (film ? sweep<true, true> : sweep<false, true>)(a, lanes, lane, film);
  else
    (film ? sweep<true, false> : sweep<false, false>)(a, lanes, lane, film);
}

void mish_array(float *x, std::size_t size) {
  each_vector(size, [=](std::size_t i, auto kind) {
    using V = decltype(kind);
    store(x + i, mish<V>(load_as<V>(x + i)));
  });
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
