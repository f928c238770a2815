// The bounds of an optimal control problem: values of their rows at an iterate and after a step, and which are active.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <aligator/core/stage-data.hpp>
#include <aligator/core/traj-opt-problem.hpp>
#include <aligator/solvers/proxddp/solver-proxddp.hpp>

#include "interior_point.hpp"
#include "robot.hpp"

namespace sobo {

/// A bound is active if its row, shifted by the multipliers, exceeds it: where the augmented Lagrangian has a slope.
class BoundRows {
public:
  using Solver = aligator::SolverProxDDPTpl<double>;
  using Problem = aligator::TrajOptProblemTpl<double>;
  using Vectors = std::vector<VectorXd>;
  using Sides = std::vector<Eigen::VectorXi>; // 1 = upper, -1 = lower, 0 = none

  /// Refers to both. Throws SolverError where a constraint of the problem is no SharedBox.
  BoundRows(const Solver &solver, const Problem &problem);

  /// Takes bounds that have changed.
  void read_bounds();

  /// Takes the values of the rows at the iterate that the solver has evaluated, where they stay without a step.
  void read();
  /// The rows after a step.
  void predict(const Vectors &dxs, const Vectors &dus);
  /// Adds what values of a stage's multipliers contribute to the slopes by its state and control: the transposed Jacobian
  /// times these; without `by_control` at the end.
  void pull(std::size_t t, const VectorXd &multipliers, VectorXd &by_state, VectorXd *by_control) const;
  /// Marks what is active at the iterate. Current multipliers count as well, so that the marks of a solution are its own.
  void mark_by_multipliers(double mu);
  /// Marks what is active at the iterate, without the current multipliers.
  void mark_by_values(double mu);
  /// Marks what is active after the step; whether the marks were the same before.
  bool mark_by_step(double mu);
  const Sides &sides() const { return sides_; }
  /// What the step changes about the multipliers.
  void estimate_multipliers(double mu, Vectors &dvs) const;
  /// Of a stage's marked rows, for controls du = gains dx + constant: what the step changes about the multipliers.
  void find_multipliers(std::size_t t, double mu, const RowMatrixXd &gains, const VectorXd &constant,
                        Eigen::Ref<RowMatrixXd, 0, Eigen::OuterStride<>> by_state, Eigen::Ref<VectorXd> others) const;
  /// Has the marked rows held at zero, by a penalty of weight / 2; the last stage that has any, -1 for none.
  int hold(InteriorPoint &interior, double weight) const;
  /// Makes the solver's LQ subproblem one in which the marked bounds are equalities and the others absent.
  void write(Solver &solver, const Problem &problem, double mu) const;

  /// Which rows are given to the interior-point method: the marked ones; those near their bounds at the first step after
  /// `read` for which they were given; all. Bounds on single variables always are.
  enum class Given { Marked, Near, All };
  void give(InteriorPoint &interior, Given which);
  /// Whether a row that was not given leaves its bounds.
  bool others_leave() const;
  /// Sides of the given rows according to some marks.
  std::vector<int> given_marks(const Sides &sides) const;
  /// Marks what the interior-point method found active, and what its step changes about the multipliers.
  void take_from(const InteriorPoint &interior, Vectors &dvs);

private:
  /// What a constraint bounds.
  enum class Kind { State, Control, General };
  struct Constraint {
    Kind kind;
    Eigen::Index first, size; // rows
  };

  template <typename F> void for_rows(std::size_t t, const F &f) const;
  void mark(const Vectors &rows, double mu, double reach);
  void find_near();

  const Solver &solver_;
  const Problem &problem_;
  Eigen::Index nx_;
  Vectors lower_, upper_;         // a vector a stage and one for the end, as all below
  Vectors value_, row_;           // at the iterate, after the step
  Sides sides_;
  std::size_t marked_ = 0; // stages up to the last one that has marks
  std::vector<std::vector<Constraint>> constraints_;
  std::vector<std::vector<char>> near_; // whether rows are near their bounds
  bool near_known_ = false;
  std::vector<std::pair<std::size_t, Eigen::Index>> given_; // to the interior-point method: stage and row
};

} // namespace sobo
