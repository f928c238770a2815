#include "cost_terms.hpp"

#include "assemble.hpp"
#include "cost.hpp"
#include "errors.hpp"
#include "robot_impl.hpp"

namespace sobo {

CostTerms reach_cost(const Robot &robot, const ReachWeights &weights, const VectorXd &target, const VectorXd &x) {
  const Eigen::Index nx = 2 * robot.nv(), nu = weights.control.size();
  check_weights(weights, nx, nu);
  if (x.size() != nx)
    throw SolverError("x has " + std::to_string(x.size()) + " entries, expected " + std::to_string(nx));
  Problem problem;
  problem.target = std::make_shared<Vector3d>();
  if (!weights.orientation.isZero(0.0))
    problem.rotation = std::make_shared<Eigen::Matrix3d>();
  problem.check_target(target);
  problem.set_target(target);
  const auto parts = std::make_shared<ReachParts>();
  parts->running = parts->terminal = weights;
  parts->self_distance = std::make_shared<SelfDistance>(robot, weights.self_margin, weights.object_margin);
  const ReachCost cost(robot.impl().model, robot.impl().tool, problem.target, problem.rotation, parts, false);
  const auto data = cost.createData();
  const VectorXd u = VectorXd::Zero(nu);
  cost.evaluate(x, u, *data);
  cost.computeGradients(x, u, *data);
  cost.computeHessians(x, u, *data);
  MatrixXd hessian = data->Lxx_;
  cost.add_curvature(*data, hessian);
  return {data->value_, data->Lx_, hessian};
}

} // namespace sobo
