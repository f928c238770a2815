#include "assemble.hpp"

#include <cmath>
#include <string>

#include <aligator/core/vector-space.hpp>
#include <aligator/modelling/state-error.hpp>

#include "errors.hpp"
#include "shared_box.hpp"

namespace sobo {

void check_box(const std::optional<Box> &box, Eigen::Index size, const char *what) {
  if (!box)
    return;
  if (box->lower.size() != size || box->upper.size() != size)
    throw SolverError(std::string("the ") + what + " bounds have " + std::to_string(box->lower.size()) + " and " +
                      std::to_string(box->upper.size()) + " entries, expected " + std::to_string(size));
  for (Eigen::Index i = 0; i < size; ++i)
    if (!(box->lower[i] <= box->upper[i]))
      throw SolverError(std::string("the ") + what + " bounds are infeasible: entry " + std::to_string(i) +
                        " has lower " + std::to_string(box->lower[i]) + " > upper " +
                        std::to_string(box->upper[i]));
}

void check_weights(const ReachWeights &weights, Eigen::Index ndx, Eigen::Index nu) {
  const bool sizes = weights.state.size() == ndx && weights.state_reference.size() == ndx &&
                     weights.control.size() == nu && weights.control_reference.size() == nu;
  if (!sizes)
    throw SolverError("cost weights must have " + std::to_string(ndx) + " state and " + std::to_string(nu) +
                      " control entries");
  for (const VectorXd &values : {VectorXd(weights.position), VectorXd(weights.orientation), weights.state, weights.control})
    for (const double value : values)
      if (!(value >= 0.0) || !std::isfinite(value))
        throw SolverError("cost weights must be non-negative numbers, got " + std::to_string(value));
  for (const double value : {weights.self_distance, weights.self_margin, weights.object_margin})
    if (!(value >= 0.0) || !std::isfinite(value))
      throw SolverError("weight and margin of the self-distance must be non-negative numbers, got " + std::to_string(value));
  if (!weights.state_reference.allFinite() || !weights.control_reference.allFinite())
    throw SolverError("the references of the cost hold a NaN or an infinity");
}

Problem assemble(const xyz::polymorphic<aligator::ExplicitDynamicsModelTpl<double>> &dynamics,
                 const xyz::polymorphic<aligator::CostAbstractTpl<double>> &running,
                 const xyz::polymorphic<aligator::CostAbstractTpl<double>> &terminal, int nx, int nu, int horizon,
                 const ControlBounds &controls, const std::vector<StageBound> &bounds) {
  if (horizon < 1)
    throw SolverError("the horizon must be at least 1 step, got " + std::to_string(horizon));
  // The configuration spaces that reach here are vector spaces (nq = nv), whatever the dynamics call them.
  const aligator::VectorSpaceTpl<double, Eigen::Dynamic> space(nx);
  Problem problem{std::make_unique<TrajOptProblem>(VectorXd::Zero(nx), nu, space, terminal), nullptr, nx, nu, horizon};
  for (int t = 0; t < horizon; ++t) {
    aligator::StageModelTpl<double> stage(running, dynamics);
    if (!controls.empty())
      stage.addConstraint(aligator::ControlErrorResidualTpl<double>(nx, nu), SharedBox(controls[t]));
    for (const auto &[function, box, on_control] : bounds)
      if (on_control || t > 0)
        stage.addConstraint(function, SharedBox(box));
    problem.ocp->addStage(stage);
  }
  for (const auto &[function, box, on_control] : bounds)
    if (!on_control)
      problem.ocp->addTerminalConstraint(function, SharedBox(box));
  return problem;
}

} // namespace sobo
