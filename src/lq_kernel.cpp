// See lq_kernel.hpp. Compiled once for each set of instructions, which SOBO_KERNEL names; everything but the table at the end
// has internal linkage, see lanes.hpp.
#include "barrier_lanes.hpp"
#include "dense_recursion_lanes.hpp"
#include "integrator_lanes.hpp"

namespace sobo {
namespace {

bool factor(const DoubleIntegrator &lq, const double *weights) {
  switch (lq.joints) {
  case 5:
    return factor_for<5, true>(lq, weights);
  case 6:
    return factor_for<6, true>(lq, weights);
  case 7:
    return factor_for<7, true>(lq, weights);
  default:
    return factor_for<kMostJoints, false>(lq, weights);
  }
}

void solve(const DoubleIntegrator &lq, const double *gradient, double *z, double *slope_at_start) {
  switch (lq.joints) {
  case 5:
    return solve_for<5, true>(lq, gradient, z, slope_at_start);
  case 6:
    return solve_for<6, true>(lq, gradient, z, slope_at_start);
  case 7:
    return solve_for<7, true>(lq, gradient, z, slope_at_start);
  default:
    return solve_for<kMostJoints, false>(lq, gradient, z, slope_at_start);
  }
}

} // namespace

#define SOBO_TEXT(x) #x
#define SOBO_NAME(x) SOBO_TEXT(x)
#define SOBO_JOIN(a, b) a##b
#define SOBO_TABLE(name) SOBO_JOIN(lq_kernel_, name)
extern const LqKernel SOBO_TABLE(SOBO_KERNEL);
const LqKernel SOBO_TABLE(SOBO_KERNEL) = {
    SOBO_NAME(SOBO_KERNEL), weigh, aim, step, advance, kMostJoints, packed, factored, pack, multiply, factor, solve, costates,
    gains,
    {dense_packed, dense_factored, dense_work, dense_value, kKept, dense_pack, dense_multiply, dense_factor, dense_solve,
     dense_costates, dense_gains}};

} // namespace sobo
