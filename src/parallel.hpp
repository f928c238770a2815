// Independent pieces of work on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include <Eigen/Core>

namespace sobo {

/// Calls `make()` once for each of up to `threads` threads, before any starts, and what it returns with every number below
/// `count`. The numbers are taken in chunks; which thread takes one must not matter. Calls must not throw.
template <class Make> void parallel_for(Eigen::Index count, int threads, Eigen::Index chunk, const Make &make) {
  const Eigen::Index needed = std::min<Eigen::Index>(std::max(threads, 1), (count + chunk - 1) / chunk);
  std::vector<decltype(make())> workers;
  for (Eigen::Index k = 0; k < needed; ++k)
    workers.push_back(make());
  std::atomic<Eigen::Index> next{0};
  const auto work = [&](auto &worker) {
    for (Eigen::Index first; (first = next.fetch_add(chunk)) < count;)
      for (Eigen::Index i = first; i < std::min(count, first + chunk); ++i)
        worker(i);
  };
  std::vector<std::thread> others;
  others.reserve(workers.size());
  try {
    for (Eigen::Index k = 1; k < needed; ++k)
      others.emplace_back([&work, &worker = workers[k]] { work(worker); });
  } catch (const std::system_error &) { // no thread is left: those that run do its share
  }
  if (needed > 0)
    work(workers[0]);
  for (auto &other : others)
    other.join();
}

} // namespace sobo
