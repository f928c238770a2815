#include "arm_terms.hpp"

#include "errors.hpp"
#include "inverse_dynamics.hpp"
#include "robot_impl.hpp"

namespace sobo {

std::tuple<RowMatrixXd, RowMatrixXd, RowMatrixXd, RowMatrixXd, RowMatrixXd>
arm_terms(const Robot &robot, const RowMatrixXd &X, const RowMatrixXd &A, const RowMatrixXd &W, const std::string &kernel) {
  const int n = robot.nv();
  const Eigen::Index rows = X.rows();
  if (X.cols() != 2 * n || A.cols() != n || W.cols() != n || A.rows() != rows || W.rows() != rows)
    throw RobotError("arm_terms needs as many rows of " + std::to_string(2 * n) + ", " + std::to_string(n) + " and " +
                     std::to_string(n) + " numbers");
  std::vector<VectorXd> xs, as;
  for (Eigen::Index t = 0; t < rows; ++t) {
    xs.emplace_back(X.row(t));
    as.emplace_back(A.row(t));
  }
  InverseDynamics arm(robot.impl().model, robot.impl().tool, kernel.c_str());
  arm.follow(xs, as);
  RowMatrixXd torques(rows, n), jacobians(rows, 3 * n * n), places(rows, 12), tools(rows, 6 * n), curvatures(rows, 9 * n * n);
  std::vector<MatrixXd> blocks(rows, MatrixXd::Zero(3 * n, 3 * n));
  for (Eigen::Index t = 0; t < rows; ++t) {
    torques.row(t) = arm.torque(xs[t], as[t]);
    places.row(t) << arm.position(xs[t], as[t]).transpose(), arm.rotation(xs[t], as[t]).reshaped().transpose();
    Eigen::Map<RowMatrixXd>(jacobians.row(t).data(), n, 3 * n) = arm.jacobian(xs[t], as[t]);
    Eigen::Map<RowMatrixXd>(tools.row(t).data(), 6, n) = arm.tool_jacobian(xs[t], as[t]);
    arm.add_curvature(xs[t], as[t], W.row(t).transpose(), blocks[t]);
  }
  arm.flush();
  for (Eigen::Index t = 0; t < rows; ++t)
    Eigen::Map<RowMatrixXd>(curvatures.row(t).data(), 3 * n, 3 * n) = blocks[t];
  return {torques, jacobians, places, tools, curvatures};
}

std::vector<std::string> arm_kernels() {
  std::vector<std::string> out;
  for (const char *name : {"avx512", "avx2", "baseline"})
    if (find_arm_kernel(name))
      out.emplace_back(name);
  out.emplace_back("pinocchio");
  return out;
}

} // namespace sobo
