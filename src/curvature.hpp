// Second derivatives of the Lagrangian that a Gauss-Newton Hessian leaves out.
#pragma once

#include <vector>

#include <aligator/solvers/proxddp/solver-proxddp.hpp>
#include <pinocchio/multibody.hpp>

#include "robot.hpp"

namespace sobo {

/// Curvature of forward kinematics, weighted by the gradient of the cost, and of the dynamics, weighted by the costate.
///
/// With it the sweep of the LQ subproblem is a Newton step, and its gains are the derivatives of the optimal controls.
/// Without it, gains of the UR5 differ from those derivatives by half of their norm or more.
class Curvature {
public:
  using Solver = aligator::SolverProxDDPTpl<double>;
  using Problem = aligator::TrajOptProblemTpl<double>;

  explicit Curvature(const Problem &problem);

  /// Whether nothing is known of the problem's costs and dynamics: linear ones have no curvature, RK2 is not implemented.
  bool empty() const { return blocks_.empty(); }
  /// At the solver's current trajectory and multipliers, whose first derivatives it must hold.
  void compute(const Solver &solver);
  /// Adds this share of it to the Hessians of the LQ subproblem.
  void add_to(aligator::gar::LqrProblemTpl<double> &lqr, double share) const;

private:
  void find_costates(const Solver &solver);
  void add_dynamics(const Solver &solver, std::size_t t);

  const Problem &problem_;
  std::vector<MatrixXd> blocks_; // a stage's, over [q, v, u]; the last over [q, v]
  std::vector<VectorXd> costates_;
  std::unique_ptr<pinocchio::Data> data_;
};

} // namespace sobo
