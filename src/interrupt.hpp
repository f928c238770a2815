// The request to end a computation.
#pragma once

#include <atomic>

namespace sobo {

/// Ends solves from another thread, after the iteration that they are at, and searches for ways.
class Interrupt {
public:
  void set() { set_ = true; }
  void clear() { set_ = false; }
  bool is_set() const { return set_; }

private:
  std::atomic<bool> set_{false};
};

} // namespace sobo
