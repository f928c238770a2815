// What the solver computes of an arm, as arrays, for tests and for those who extend it.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "robot.hpp"

namespace sobo {

/// At rows of X = [q, v] and A, by the kernel of this name, see InverseDynamics: torques, their Jacobians by [q, v, a]
/// (n x 3 n, row by row), the tool's place (position, then the columns of its rotation), its Jacobian (6 x n, row by row),
/// and the second derivatives of W's rows times the torques (3 n x 3 n).
std::tuple<RowMatrixXd, RowMatrixXd, RowMatrixXd, RowMatrixXd, RowMatrixXd>
arm_terms(const Robot &robot, const RowMatrixXd &X, const RowMatrixXd &A, const RowMatrixXd &W, const std::string &kernel);
/// Those that this processor has, and "pinocchio".
std::vector<std::string> arm_kernels();

} // namespace sobo
