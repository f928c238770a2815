#include "rollout_batch.hpp"

#include <array>
#include <cmath>

#include "errors.hpp"
#include "parallel.hpp"
#include "processor.hpp"

namespace sobo {

extern const RolloutKernel rollout_kernel_baseline;
#ifdef SOBO_X86_KERNELS
extern const RolloutKernel rollout_kernel_avx2, rollout_kernel_avx512;
#endif

const RolloutKernel *find_rollout_kernel(const char *name) {
  return choose<RolloutKernel>({
#ifdef SOBO_X86_KERNELS
                                   {Instructions::Avx512, &rollout_kernel_avx512},
                                   {Instructions::Avx2, &rollout_kernel_avx2},
#endif
                                   {Instructions::Baseline, &rollout_kernel_baseline}},
                               name);
}

const RolloutKernel &rollout_kernel(const std::string &name) {
  const RolloutKernel *found = find_rollout_kernel(name.c_str());
  if (!found)
    throw SolverError("this processor or build has no kernel '" + name + "'");
  return *found;
}

Bounds::Bounds(const std::optional<Box> &box) {
  if (!box)
    return;
  lower_ = box->lower;
  upper_ = box->upper;
  scale_ = 0.5 * (upper_ - lower_);
  for (double &each : scale_)
    if (!std::isfinite(each) || each <= 0.0)
      each = 1.0;
}

RolloutBounds Bounds::view() const {
  return {static_cast<int>(lower_.size()), lower_.data(), upper_.data(), scale_.data()};
}

RolloutWeights view(const ReachWeights &weights) {
  return {weights.position.data(), weights.state.data(), weights.state_reference.data(), weights.control.data(),
          weights.control_reference.data()};
}

void BatchCosts::settle(Eigen::Index i) {
  if (!std::isfinite(cost[i]) || !std::isfinite(excess[i]) || !std::isfinite(away[i]))
    cost[i] = excess[i] = away[i] = std::numeric_limits<double>::infinity();
}

void Reference::check(int horizon) const {
  if (positions.size() > 0 && (positions.rows() != horizon || positions.cols() != 3 || !positions.allFinite()))
    throw SolverError("a reference needs " + std::to_string(horizon) + " finite positions, got " +
                      std::to_string(positions.rows()) + " rows of " + std::to_string(positions.cols()));
  if (!(reach > 0.0))
    throw SolverError("the reach of a reference must be positive, got " + std::to_string(reach));
}

BatchCosts run_batch(const RolloutKernel &kernel, const double *inputs, Eigen::Index count, Eigen::Index size, int threads,
                     std::size_t memory, const RunRollouts &run) {
  BatchCosts out(count);
  const Eigen::Index lanes = kernel.lanes;
  parallel_for((count + lanes - 1) / lanes, threads, 2, [&] {
    return [&, scratch = std::vector<double>(memory)](Eigen::Index group) mutable {
      const Eigen::Index first = group * lanes, some = std::min(lanes, count - first);
      std::array<const double *, most_rollout_lanes> rows{};
      for (Eigen::Index i = 0; i < some; ++i)
        rows[i] = inputs + (first + i) * size;
      run(rows.data(), static_cast<int>(some), {&out.cost[first], &out.excess[first], &out.away[first]}, scratch.data());
      for (Eigen::Index i = first; i < first + some; ++i)
        out.settle(i);
    };
  });
  return out;
}

} // namespace sobo
