// Parts of a problem whose second derivatives the solver's Gauss-Newton Hessian leaves out; each adds its own to a block
// over [x, u] (over x at the end). Parts with none of these interfaces are taken to have an exact Hessian already.
#pragma once

#include <Eigen/Core>

#include <aligator/core/cost-abstract.hpp>
#include <aligator/core/explicit-dynamics.hpp>
#include <aligator/core/function-abstract.hpp>

namespace sobo {

struct CurvedDynamics {
  virtual ~CurvedDynamics() = default;
  /// Second derivatives of costate' x' at the point where `data` holds the first ones.
  virtual void add_curvature(const aligator::ExplicitDynamicsDataTpl<double> &data, const Eigen::VectorXd &costate,
                             Eigen::MatrixXd &block) const = 0;
};

struct CurvedCost {
  virtual ~CurvedCost() = default;
  /// What is missing from the Hessian at the point where `data` holds the gradient.
  virtual void add_curvature(const aligator::CostDataAbstractTpl<double> &data, Eigen::MatrixXd &block) const = 0;
  /// The part of it that is too small to make a difference to the solver's first steps: it counts in the last ones, and for
  /// the gains.
  virtual void add_fine_curvature(const aligator::CostDataAbstractTpl<double> &, Eigen::MatrixXd &) const {}
  /// Adds what costs and constraints of all stages have put off to compute it together.
  virtual void flush_curvature() const {}
};

struct CurvedFunction {
  virtual ~CurvedFunction() = default;
  /// Second derivatives of multipliers' f(x, u) at the point where `data` holds the first ones.
  virtual void add_curvature(const aligator::StageFunctionDataTpl<double> &data,
                             const Eigen::Ref<const Eigen::VectorXd> &multipliers, Eigen::MatrixXd &block) const = 0;
  /// Whether all of it is as small as that, see CurvedCost.
  virtual bool is_fine() const { return false; }
};

} // namespace sobo
