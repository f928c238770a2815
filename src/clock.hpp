// The clock of all time limits, and that of measurements.
#pragma once

#include <chrono>
#include <ctime>

namespace sobo {

/// Seconds of the steady clock.
inline double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// CPU time of the calling thread [s]: unlike wall time, other processes do not make it longer.
inline double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

} // namespace sobo
