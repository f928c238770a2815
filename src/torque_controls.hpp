// Between problems whose controls are accelerations and callers, whose controls are torques.
#pragma once

#include <memory>
#include <vector>

#include "inverse_dynamics.hpp"
#include "reach_parts.hpp"

namespace sobo {

struct Result;

/// Accelerations a for torques u = tau(q, v, a).
class TorqueControls {
public:
  using Vectors = std::vector<VectorXd>;

  /// `bounds` are those on the accelerations, stage by stage.
  TorqueControls(std::shared_ptr<InverseDynamics> dynamics, std::shared_ptr<const ReachParts> parts,
                 ControlBounds bounds)
      : dynamics_(std::move(dynamics)), parts_(std::move(parts)), bounds_(std::move(bounds)) {}

  /// The accelerations within the bounds that lead through the velocities of `xs`, as far as these allow; writes the states
  /// that they lead to. A guess then has no gaps between its steps.
  void close(Vectors &xs, Vectors &as) const;
  /// The accelerations between the velocities of `xs`, which stay.
  void differentiate(const Vectors &xs, Vectors &as) const;
  /// From a result in accelerations, with the trajectory (xs, as), to one in torques: U, k, K = d tau/dx + M d a/dx, and A, B
  /// of the dynamics x' = f(x, u).
  void to_torques(const Vectors &xs, const Vectors &as, Result &result) const;
  /// From slopes of a loss by states and torques to those by states and accelerations, along (xs, as); those of a stage lie
  /// one after the other, stage by stage.
  void pull(const Vectors &xs, const Vectors &as, double *slopes) const;
  /// From a step in [states, accelerations], stage by stage, to one in torques, along (xs, as).
  void push(const Vectors &xs, const Vectors &as, const double *step, double *torques) const;
  InverseDynamics::ConstVector torque(const VectorXd &x, const VectorXd &a) const { return dynamics_->torque(x, a); }
  /// The solver's trajectories: what is computed for one of their stages is computed for the next ones, too.
  void follow(const Vectors &xs, const Vectors &as) const { dynamics_->follow(xs, as); }

private:
  std::shared_ptr<InverseDynamics> dynamics_;
  std::shared_ptr<const ReachParts> parts_;
  ControlBounds bounds_;
};

} // namespace sobo
