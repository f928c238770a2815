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

struct Given {
  int nx, nu;
  const RowMatrixXd &hessians;
  const VectorXd &weights;
  const RowMatrixXd &rows;
  const std::vector<int> &stages;
  const VectorXd &gradient;
};

int steps_of(const Given &given) {
  const Eigen::Index steps = given.hessians.rows() - 1, width = given.nx + given.nu, variables = width * steps + given.nx;
  if (steps < 1 || given.hessians.cols() != width * width || given.weights.size() != variables + given.rows.rows() ||
      given.rows.cols() != width || given.gradient.size() != variables ||
      static_cast<Eigen::Index>(given.stages.size()) != given.rows.rows())
    throw SolverError("an LQ problem needs arrays of other sizes");
  return static_cast<int>(steps);
}

/// With what kernels read or write beyond the last number.
VectorXd extended(const VectorXd &numbers) {
  VectorXd out = VectorXd::Zero(numbers.size() + kLqUnit);
  out.head(numbers.size()) = numbers;
  return out;
}

template <typename Kernel, typename Problem, typename Factor>
std::pair<VectorXd, VectorXd> minimum(const Kernel &kernel, const Problem &lq, const VectorXd &weights,
                                      const VectorXd &gradient, Eigen::Index states, const Factor &factor) {
  const VectorXd all = extended(weights), slope = extended(gradient);
  if (!factor(all))
    return {};
  VectorXd z(slope.size()), costates(states);
  kernel.solve(lq, slope.data(), z.data(), nullptr);
  kernel.costates(lq, all.data(), slope.data(), z.data(), costates.data());
  return {z.head(gradient.size()), costates};
}

} // namespace

std::pair<VectorXd, VectorXd> integrator_minimum(int joints, double h, double c, const RowMatrixXd &hessians,
                                                 const VectorXd &weights, const RowMatrixXd &rows,
                                                 const std::vector<int> &stages, const VectorXd &gradient,
                                                 const std::string &kernel) {
  const LqKernel *found = find_lq_kernel(kernel.c_str());
  if (!found || joints < 1 || joints > found->most_joints)
    throw SolverError("integrator_minimum: no such kernel");
  const int steps = steps_of({2 * joints, joints, hessians, weights, rows, stages, gradient});
  Memory packed, factors;
  const std::size_t unit = found->packed(joints);
  double *to = aligned(packed, unit * (steps + 1)), *work = aligned(factors, found->factored(joints) * steps);
  for (int t = 0; t <= steps; ++t) // symmetric: by rows or by columns is the same
    found->pack(StageHessian::of(2 * joints, joints, t == steps, hessians.row(t).data(), 3 * joints), to + unit * t);
  const GeneralRows general{static_cast<int>(stages.size()), stages.data(), rows.data()};
  const DoubleIntegrator lq{joints, steps, h, c, to, work, general};
  const auto factor = [&](const VectorXd &all) { return found->factor(lq, all.data()); };
  return minimum(*found, lq, weights, gradient, 2 * joints * (steps + 1), factor);
}

std::pair<VectorXd, VectorXd> linear_minimum(const MatrixXd &A, const MatrixXd &B, const RowMatrixXd &hessians,
                                             const VectorXd &weights, const RowMatrixXd &rows,
                                             const std::vector<int> &stages, const VectorXd &gradient,
                                             const std::string &kernel, int last) {
  const LqKernel *found = find_lq_kernel(kernel.c_str());
  const int nx = static_cast<int>(A.rows()), nu = static_cast<int>(B.cols());
  if (!found || A.cols() != nx || B.rows() != nx || nx < 1 || nu < 1)
    throw SolverError("linear_minimum: no such kernel, or matrices of other sizes");
  const int steps = steps_of({nx, nu, hessians, weights, rows, stages, gradient});
  const DenseKernel &dense = found->dense;
  Memory packed, factors, scratch, values;
  const std::size_t unit = dense.packed(nx, nu);
  double *to = aligned(packed, unit * (steps + 1)), *of_steps = aligned(factors, dense.factored(nx, nu) * steps);
  for (int t = 0; t <= steps; ++t)
    dense.pack(StageHessian::of(nx, nu, t == steps, hessians.row(t).data(), nx + nu), A.data(), B.data(), to + unit * t);
  const GeneralRows general{static_cast<int>(stages.size()), stages.data(), rows.data()};
  const DenseProblem lq{nx, nu, steps, to, of_steps, aligned(scratch, dense.work(nx, nu)),
                        aligned(values, dense.value(nx, nu) * (steps / dense.kept + 1)), general};
  const auto factor = [&](const VectorXd &all) {
    if (last < 0 || last >= steps)
      return dense.factor(lq, all.data(), steps);
    VectorXd later = all;
    later.head((nx + nu) * (last + 1)).setZero();
    for (std::size_t i = 0; i < stages.size() && stages[i] <= last; ++i)
      later[gradient.size() + static_cast<Eigen::Index>(i)] = 0.0;
    return dense.factor(lq, later.data(), steps) && dense.factor(lq, all.data(), last);
  };
  return minimum(dense, lq, weights, gradient, nx * (steps + 1), factor);
}

} // namespace sobo
