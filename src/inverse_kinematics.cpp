#include "inverse_kinematics.hpp"

#include <algorithm>

#include <Eigen/Cholesky>
#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/spatial/explog.hpp>

#include "errors.hpp"
#include "robot_impl.hpp"

namespace sobo {

std::pair<VectorXd, bool> approach(const Robot &robot, const VectorXd &q, const VectorXd &target, int steps, const Approach &how) {
  const RobotImpl &impl = robot.impl();
  const Eigen::Index n = impl.model->nv, rows = target.size() == 3 ? 3 : 6;
  if (q.size() != n || how.lower.size() != n || how.upper.size() != n || (target.size() != 3 && target.size() != 7))
    throw RobotError("inverse kinematics needs " + std::to_string(n) + " joints with limits, and a target of 3 or 7 numbers");
  const auto scratch = impl.borrow();
  pinocchio::Data::Matrix6x whole = pinocchio::Data::Matrix6x::Zero(6, n);
  VectorXd at = q, error(rows);
  for (int i = 0; i < steps; ++i) {
    pinocchio::computeJointJacobians(*impl.model, scratch->data, at);
    const auto &place = pinocchio::updateFramePlacement(*impl.model, scratch->data, impl.tool);
    error.head<3>() = target.head<3>() - place.translation();
    if (rows == 6) {
      const Eigen::Matrix3d offset = rotation_of(target) * place.rotation().transpose();
      error.tail<3>() = how.lever * pinocchio::log3(offset);
    }
    const double distance = error.norm();
    if (distance <= how.tolerance)
      return {at, true};
    pinocchio::getFrameJacobian(*impl.model, scratch->data, impl.tool, pinocchio::LOCAL_WORLD_ALIGNED, whole);
    MatrixXd J = whole.topRows(rows);
    J.bottomRows(rows - 3) *= how.lever;
    MatrixXd square = J * J.transpose();
    square.diagonal().array() += 1e-4 + 1e-2 * std::min(distance, 0.1);
    VectorXd step = J.transpose() * square.ldlt().solve(error);
    step *= std::min(1.0, how.max_step / std::max(step.cwiseAbs().maxCoeff(), 1e-12));
    at = (at + step).cwiseMax(how.lower).cwiseMin(how.upper);
  }
  return {at, false};
}

} // namespace sobo
