// Second derivatives of the Lagrangian that a Gauss-Newton Hessian leaves out.
#pragma once

#include <vector>

#include <aligator/solvers/proxddp/solver-proxddp.hpp>

#include "robot.hpp"
#include "second_order.hpp"

namespace sobo {

/// Curvature of costs, of the dynamics, weighted by the costate, and of constraints, weighted by their multipliers.
///
/// With it the sweep of the LQ subproblem is a Newton step, and its gains are the derivatives of the optimal controls.
/// Without it, gains of the UR5 differ from those derivatives by half of their norm or more.
class Curvature {
public:
  using Solver = aligator::SolverProxDDPTpl<double>;
  using Problem = aligator::TrajOptProblemTpl<double>;

  explicit Curvature(const Problem &problem);

  /// Whether no curvature of the dynamics is available: linear ones have none, that of RK2 is not implemented.
  bool empty() const { return blocks_.empty(); }
  /// At the solver's current trajectory and multipliers, whose first derivatives it must hold; `fine` parts cost time and
  /// matter for the last steps and for gains alone.
  void compute(const Solver &solver, bool fine);
  /// Takes from each stage the directions in which its Hessian would be negative.
  void make_convex(const Solver &solver);
  /// Of a stage, over [x, u]; of the end, over x.
  const MatrixXd &block(std::size_t t) const { return blocks_[t]; }
  /// Adds this share of it to the Hessians of the LQ subproblem.
  void add_to(aligator::gar::LqrProblemTpl<double> &lqr, double share) const;

private:
  /// The parts of a stage that have curvature; null or left out where they have none.
  struct Parts {
    const CurvedDynamics *dynamics = nullptr;
    const CurvedCost *cost = nullptr;
    struct Function {
      const CurvedFunction *function;
      std::size_t index;  // among the stage's constraints
      Eigen::Index first; // of its multipliers
    };
    std::vector<Function> functions;
  };

  void find_costates(const Solver &solver);

  const Problem &problem_;
  std::vector<Parts> parts_;     // a stage's; the last has a cost alone
  std::vector<MatrixXd> blocks_; // a stage's, over [x, u]; the last over x
  std::vector<VectorXd> costates_;
};

} // namespace sobo
