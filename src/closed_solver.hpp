// ProxDDP's iterations where BoundedRiccati finds the steps by itself.
#pragma once

#include "bounded_riccati.hpp"

namespace sobo {

/// ProxDDP with a second run() for problems without gaps, whose steps do not need Aligator's LQ subproblem: its projected
/// Jacobians, its Hessians, and the copies of its gains take as long as everything else in an iteration.
struct ClosedSolver final : aligator::SolverProxDDPTpl<double> {
  using Vectors = std::vector<VectorXd>;

  /// The same iterates as run(problem, xs, us), with linear rollouts. `steps` must be the linear solver.
  bool run_closed(const Problem &problem, const Vectors &xs, const Vectors &us, BoundedRiccati &steps);
  /// The problem or its memory has changed: the next run takes the length of the time steps from it.
  void renew() { fresh_ = true; }

private:
  bool reduce(const Problem &problem, BoundedRiccati &steps);
  double find_step(BoundedRiccati &steps);
  bool take_step(const Problem &problem, double slope);
  void tighten();

  int short_steps_ = 0; // in a row
  bool fresh_ = true; // whether the dynamics of the LQ subproblem are to be taken from the problem
};

} // namespace sobo
