// The clock of all time limits.
#pragma once

#include <chrono>

namespace sobo {

/// Seconds of the steady clock.
inline double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace sobo
