// Shared by the functions that build problems: checks of numbers, and stages from costs, dynamics and bounds.
#pragma once

#include <optional>
#include <vector>

#include <aligator/core/cost-abstract.hpp>
#include <aligator/core/explicit-dynamics.hpp>
#include <aligator/core/function-abstract.hpp>

#include "problem.hpp"

namespace sobo {

/// Throws SolverError on bounds of another size or with lower > upper; `what` names them.
void check_box(const std::optional<Box> &box, Eigen::Index size, const char *what);
/// Throws SolverError on weights of another size, negative or not finite.
void check_weights(const ReachWeights &weights, Eigen::Index ndx, Eigen::Index nu);

/// A bound on the state, which holds at every stage but the first, whose state is given, and at the end; or on state and
/// control, which holds at every stage.
struct StageBound {
  xyz::polymorphic<aligator::StageFunctionTpl<double>> function;
  std::shared_ptr<const Box> box;
  bool on_control = false;
};

/// The same bounds at every stage, null for none.
inline ControlBounds everywhere(const std::shared_ptr<const Box> &box, int horizon) {
  return box ? ControlBounds(std::max(horizon, 0), box) : ControlBounds{};
}

/// The same stage `horizon` times, but for the bounds on controls. Throws SolverError on a horizon below 1.
Problem assemble(const xyz::polymorphic<aligator::ExplicitDynamicsModelTpl<double>> &dynamics,
                 const xyz::polymorphic<aligator::CostAbstractTpl<double>> &running,
                 const xyz::polymorphic<aligator::CostAbstractTpl<double>> &terminal, int nx, int nu, int horizon,
                 const ControlBounds &controls, const std::vector<StageBound> &bounds);

} // namespace sobo
