// Riccati recursions, as arrays, for tests and for those who extend it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "robot.hpp"

namespace sobo {

/// The minimum z = [q, v, u], ..., [q, v] of sum 1/2 z'Hz + 1/2 sum w_i z_i^2 + 1/2 sum w_r (c_r z)^2 + g'z along steps q' =
/// q + h v + c u, v' = v + h u from q, v = 0, by the kernel of this name. `hessians`: a stage's in a row, over [q, v, u],
/// the last one's [q, v] alone counting; `weights`: of all variables, then of `rows` over [q, v, u], which belong to
/// `stages` in ascending order. With it the costates of all stages. Both are empty where the problem is not convex.
std::pair<VectorXd, VectorXd> integrator_minimum(int joints, double h, double c, const RowMatrixXd &hessians,
                                                 const VectorXd &weights, const RowMatrixXd &rows,
                                                 const std::vector<int> &stages, const VectorXd &gradient,
                                                 const std::string &kernel);

/// The same of x' = A x + B u with z = [x, u], ..., [x], and the costates of all stages. From `last` >= 0 on: factored without
/// the weights of stages up to that one first, then with them, as far as the factors change.
std::pair<VectorXd, VectorXd> linear_minimum(const MatrixXd &A, const MatrixXd &B, const RowMatrixXd &hessians,
                                             const VectorXd &weights, const RowMatrixXd &rows,
                                             const std::vector<int> &stages, const VectorXd &gradient,
                                             const std::string &kernel, int last);

} // namespace sobo
