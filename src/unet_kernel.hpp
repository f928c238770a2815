// Arithmetic of the policy network, one layer at a time. unet_kernel.cpp is compiled once for every processor and once
// for those with AVX2 or AVX-512; unet.cpp chooses at run time.
#pragma once

#include <cstddef>

namespace sobo {

// Channels are stored in units of 8, zeros in what is left of the last one, so that no loop has a remainder.
constexpr int kUnit = 8;

constexpr int padded(int channels) { return (channels + kUnit - 1) / kUnit * kUnit; }

// Columns of one panel of a packed weight, of the `left` (padded) columns that remain: 24 channels make one panel of 3
// units, 32 two of 2. What a panel holds of a few rows fits into 16 vector registers.
constexpr int panel_columns(int left) {
  const int units = left / kUnit;
  return kUnit * (units % 2 == 0 ? 2 : (units < 3 ? 1 : 3));
}

// Rows of channels as they lie in memory: those of all lanes side by side, then the next row. A lane is a sample of the
// batch. Row r of a lane is at data + ((first + stride * r) * lanes + lane) * step; distances are in floats.
template <typename Number> struct Layout {
  Number *data;
  int step;
  int first = 0, stride = 1;
};

// out[r] = bias + sum over taps k and channels j of in[r + k / stride, j] weight[k, j]: a convolution over time, or a
// matrix product when there is one tap.
struct Conv {
  const float *weight; // by panels, each [taps, inputs, columns of the panel]
  const float *bias;   // [outputs]
  int taps, inputs, outputs;
  Layout<const float> in;
  Layout<float> out;
  int rows;
  bool same; // as many rows as the input has, and zeros around it
};

// out = scale * mish(group norm of in) + shift + residual; the latter three only where they are not null.
struct Activation {
  const float *gain, *offset; // [columns], zero in the padding
  int channels, columns, groups, rows;
  Layout<const float> in, residual; // without a residual its data are null
  Layout<float> out;
  float *work; // [2, columns]
};

struct Kernel {
  const char *name;
  void (*conv)(const Conv &conv, int lanes);
  // `film` is scale, then shift, [2, columns], or null.
  void (*activate)(const Activation &activation, int lanes, int lane, const float *film);
  void (*mish)(float *x, std::size_t size); // in place; size is a multiple of kUnit
};

extern const Kernel kBaselineKernel;
#ifdef SOBO_X86_KERNELS
extern const Kernel kAvx2Kernel, kAvx512Kernel;
#endif

} // namespace sobo
