// Gaps of an iterate: differences between its states and the dynamics under its controls.
#pragma once

#include <aligator/gar/riccati-base.hpp>
#include <aligator/solvers/proxddp/solver-proxddp.hpp>

namespace sobo {

/// Rolls the controls of the solver's iterate out with the feedback gains of its last sweep, and puts this trajectory in
/// the iterate's place if its cost differs by no more than `cost_tolerance` (relative) and no box constraint is exceeded
/// by more than `excess_tolerance`. Returns whether it did. Dynamics must be explicit, constraints boxes.
bool close_gaps(aligator::SolverProxDDPTpl<double> &solver, const aligator::TrajOptProblemTpl<double> &problem,
                aligator::gar::RiccatiSolverBase<double> &sweep, double cost_tolerance, double excess_tolerance);

} // namespace sobo
