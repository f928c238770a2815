#include "lq_terms.hpp"

#include <memory>

#include "errors.hpp"
#include "lq_kernel.hpp"

namespace sobo {
namespace {

using Memory = std::vector<double>;

double *aligned(Memory &memory, std::size_t size) {
  memory.assign(size + kLqUnit, 0.0);
  void *at = memory.data();
  std::size_t space = memory.size() * sizeof(double);
  return static_cast<double *>(std::align(64, size * sizeof(double), at, space));
}

} // namespace

VectorXd integrator_minimum(int joints, double h, const RowMatrixXd &hessians, const VectorXd &weights,
                            const RowMatrixXd &rows, const std::vector<int> &stages, const VectorXd &gradient,
                            const std::string &kernel) {
  const LqKernel *found = find_lq_kernel(kernel.c_str());
  const Eigen::Index steps = hessians.rows() - 1, width = 3 * joints, variables = width * steps + 2 * joints;
  if (!found || joints < 1 || joints > found->most_joints || steps < 1 || hessians.cols() != width * width ||
      weights.size() != variables + rows.rows() || rows.cols() != width || gradient.size() != variables ||
      static_cast<Eigen::Index>(stages.size()) != rows.rows())
    throw SolverError("integrator_minimum: no such kernel, or arrays of other sizes");
  Memory packed, factors, slope(variables + kLqUnit, 0.0), z(variables + kLqUnit);
  const std::size_t unit = found->packed(joints);
  double *to = aligned(packed, unit * (steps + 1)), *work = aligned(factors, found->factored(joints) * steps);
  for (Eigen::Index t = 0; t <= steps; ++t) // symmetric: by rows or by columns is the same
    found->pack({joints, t == steps, hessians.row(t).data(), nullptr, static_cast<int>(width), 0, 0.0, 0.0}, to + unit * t);
  std::copy_n(gradient.data(), variables, slope.data());
  const GeneralRows general{static_cast<int>(stages.size()), stages.data(), rows.data()};
  const DoubleIntegrator lq{joints, static_cast<int>(steps), h, to, work, general};
  if (!found->factor(lq, weights.data()))
    return {};
  found->solve(lq, slope.data(), z.data());
  return Eigen::Map<const VectorXd>(z.data(), variables);
}

} // namespace sobo
