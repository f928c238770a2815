// The kernels' sets of instructions that this processor has, widest first.
#pragma once

#include <cstring>
#include <initializer_list>
#include <utility>

namespace sobo {

enum class Instructions { Baseline, Avx2, Avx512 };

inline bool has(Instructions which) {
#if defined(SOBO_X86_KERNELS)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (which == Instructions::Avx512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  if (which == Instructions::Avx2)
    return avx2;
#endif
  return which == Instructions::Baseline;
}

/// Of kernels, each with the instructions that it needs, widest first: the first that this processor has, or the one of that
/// name if it has that; else null.
template <typename Kernel>
const Kernel *choose(std::initializer_list<std::pair<Instructions, const Kernel *>> kernels, const char *name) {
  for (const auto &[needs, kernel] : kernels)
    if (has(needs) && (*name == '\0' || std::strcmp(name, kernel->name) == 0))
      return kernel;
  return nullptr;
}

} // namespace sobo
