// Work of different lengths on several threads.
#pragma once

#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace sobo {

/// Calls f(thread, i) for all i below `count`; throws what the first thread that failed has thrown.
template <typename F> void share_out(std::size_t count, std::size_t most_threads, const F &f) {
  std::vector<std::exception_ptr> errors(most_threads);
  std::atomic<std::size_t> next{0};
  const auto work = [&](std::size_t w) {
    try {
      for (std::size_t i = next++; i < count; i = next++)
        f(w, i);
    } catch (...) {
      errors[w] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(most_threads);
  try {
    for (std::size_t w = 1; w < most_threads; ++w)
      threads.emplace_back(work, w);
  } catch (const std::system_error &) { // the system starts no more: those that run solve all
  }
  work(0);
  for (auto &thread : threads)
    thread.join();
  for (const auto &error : errors)
    if (error)
      std::rethrow_exception(error);
}

} // namespace sobo
