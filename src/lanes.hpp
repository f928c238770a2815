// Vectors of doubles as wide as the processor has them, for units that are compiled once for each set of instructions.
// Everything here and in such units has internal linkage: of two copies of an inline function the linker keeps one, which
// might be the one with wider vectors.
#pragma once

namespace sobo {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 8;
#elif defined(__AVX2__)
constexpr int kLanes = 4;
#else
constexpr int kLanes = 2;
#endif

typedef double Lanes __attribute__((vector_size(8 * kLanes)));
typedef long long LaneBits __attribute__((vector_size(8 * kLanes)));

inline Lanes splat(double x) { return x - Lanes{}; }

inline Lanes load(const double *p) {
  Lanes v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store(double *p, Lanes v) { __builtin_memcpy(p, &v, sizeof v); }

/// Sine and cosine to 2 ulp for |x| < 1e8: Cody-Waite reduction to an eighth of a turn, Cephes' polynomials.
inline void sine_cosine(Lanes x, Lanes &sine, Lanes &cosine) {
  const double rounding = 6755399441055744.0; // 1.5 * 2^52: adding it rounds to an integer, found in the low bits
  const Lanes shifted = x * 0.63661977236758134308 + rounding;
  const Lanes turns = shifted - rounding; // in quarters
  LaneBits quarter;
  __builtin_memcpy(&quarter, &shifted, sizeof quarter);
  const Lanes r =
      ((x - turns * 1.57079625129699707031) - turns * 7.54978941586159635335e-8) - turns * 5.39030285815811905290e-15;
  const Lanes z = r * r;
  Lanes s = z * 1.58962301576546568060e-10 - 2.50507477628578072866e-8;
  s = s * z + 2.75573136213857245213e-6;
  s = s * z - 1.98412698295895385996e-4;
  s = s * z + 8.33333333332211858878e-3;
  s = s * z - 1.66666666666666307295e-1;
  s = s * (z * r) + r;
  Lanes c = 2.08757008419747316778e-9 - z * 1.13585365213876817300e-11;
  c = c * z - 2.75573141792967388112e-7;
  c = c * z + 2.48015872888517045348e-5;
  c = c * z - 1.38888888888730564116e-3;
  c = c * z + 4.16666666666665929218e-2;
  c = c * (z * z) + (1.0 - 0.5 * z);
  const LaneBits odd = (quarter & 1) != 0;
  const Lanes first = odd ? c : s, second = odd ? s : c;
  sine = (quarter & 2) != 0 ? -first : first;
  cosine = ((quarter + 1) & 2) != 0 ? -second : second;
}

} // namespace
} // namespace sobo
