// Bounds that all stages of a problem share, so that they change in place.
#pragma once

#include <memory>

#include <aligator/core/constraint-set.hpp>

#include "spec.hpp"

namespace sobo {

/// Lower and upper bounds of a constraint's rows. Copies share the box; Aligator copies sets.
struct SharedBox : aligator::ConstraintSetTpl<double> {
  using Base = aligator::ConstraintSetTpl<double>;
  using ConstVectorRef = Eigen::Ref<const Eigen::VectorXd>;
  using VectorRef = Eigen::Ref<Eigen::VectorXd>;

  explicit SharedBox(std::shared_ptr<const Box> bounds) : box(std::move(bounds)) {
    setProxParameter(1.0); // a projection does not depend on it, but copies would read it uninitialised
  }

  void projection(const ConstVectorRef &z, VectorRef out) const override {
    out = z.cwiseMin(box->upper).cwiseMax(box->lower);
  }
  void normalConeProjection(const ConstVectorRef &z, VectorRef out) const override {
    out = z - z.cwiseMin(box->upper).cwiseMax(box->lower);
  }
  void computeActiveSet(const ConstVectorRef &z, Eigen::Ref<ActiveType> out) const override {
    out.array() = z.array() > box->upper.array() || z.array() < box->lower.array();
  }

  std::shared_ptr<const Box> box;
};

/// Null for no bounds.
inline std::shared_ptr<const Box> shared(const std::optional<Box> &box) {
  return box ? std::make_shared<const Box>(*box) : nullptr;
}

} // namespace sobo
