// Vectors of the processor for unet_kernel.cpp, which includes this once for each set of instructions: all of it has internal
// linkage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "unet_kernel.hpp"

namespace sobo {
namespace {

#ifdef __AVX2__
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kVectors = kUnit / kLanes; // in a unit
typedef float Vec __attribute__((vector_size(4 * kLanes)));

inline Vec load(const float *p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline Vec splat(float x) { return x - Vec{}; }

// 1 / x within 2 ulp.
inline Vec reciprocal(Vec x) { return 1.0f / x; }

#ifdef __AVX512F__
constexpr int kWide = 16;
typedef float WideVec __attribute__((vector_size(4 * kWide)));

// A Newton step after 14 bits takes a quarter of the time of a division.
inline WideVec reciprocal(WideVec x) {
  const WideVec r = __builtin_ia32_rcp14ps512_mask(x, x, 0xffff);
  return r * (2.0f - x * r);
}
#endif

template <typename V> struct Integers {
  typedef std::int32_t type __attribute__((vector_size(sizeof(V))));
};

template <typename V> inline V load_as(const float *p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <typename V> inline void store(float *p, V v) { __builtin_memcpy(p, &v, sizeof v); }

// Calls f(c, V{}) for every vector of columns, of the widest kind V that fits.
template <typename F> inline void each_vector(std::size_t columns, const F &f) {
  std::size_t c = 0;
#ifdef __AVX512F__
  for (; c + kWide <= columns; c += kWide)
    f(c, WideVec{});
#endif
  for (; c < columns; c += kLanes)
    f(c, Vec{});
}

// exp for x <= 20 to 2 ulp: 2^n times a polynomial on half a unit around 0 (Cody-Waite reduction, Cephes coefficients).
template <typename V> inline V exponential(V x) {
  const V low = -87.0f - V{};
  x = x > low ? x : low;
  // Adding 1.5 * 2^23 rounds to an integer, which is then found in the low bits.
  const V shifted = x * 1.44269504f + 12582912.0f;
  const V n = shifted - 12582912.0f;
  const V f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  V p = f * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * (f * f) + f + 1.0f;
  typename Integers<V>::type bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + (127 - 0x4b400000)) << 23;
  V power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return p * power;
}

// x tanh(softplus(x)) with a single exponential; above 20 the factor is 1 in float32.
template <typename V> inline V mish(V x) {
  const V high = 20.0f - V{};
  const V e = exponential<V>(x < high ? x : high);
  const V n = e * (e + 2.0f);
  return x * (n * reciprocal(n + 2.0f));
}

} // namespace
} // namespace sobo
