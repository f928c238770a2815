// Costs of a stage with a quadratic term.
#pragma once

#include "acceleration_stage.hpp"
#include "second_order.hpp"
#include "stage_terms.hpp"

namespace sobo {

struct CostWithTermsData : CostData {
  CostWithTermsData(int ndx, int nu, std::shared_ptr<CostData> data)
      : CostData(ndx, nu), inner(std::move(data)), z(ndx + nu) {}

  std::shared_ptr<CostData> inner;
  Eigen::VectorXd z, slope; // the point, over [x, u] or x, and the term's slope there
};

/// Any cost, and a term over the state and the control that the cost has.
struct CostWithTerms : CostAbstract, CurvedCost, WeightedCost {
  using VectorRef = Eigen::Ref<const Eigen::VectorXd>;

  CostWithTerms(const xyz::polymorphic<CostAbstract> &cost, std::shared_ptr<const TermsSlot> slot, std::size_t stage)
      : CostAbstract(cost->space, cost->nu), cost_(cost), slot_(std::move(slot)), stage_(stage) {}

  void evaluate(const VectorRef &x, const VectorRef &u, CostData &base) const override {
    auto &data = static_cast<CostWithTermsData &>(base);
    cost_->evaluate(x, u, *data.inner);
    data.value_ = data.inner->value_;
    if (const auto *term = slot_->term(stage_)) {
      find_slope(*term, x, u, data);
      data.value_ += 0.5 * data.z.head(term->g.size()).dot(data.slope + term->g) + term->c;
    }
  }

  void computeGradients(const VectorRef &x, const VectorRef &u, CostData &base) const override {
    auto &data = static_cast<CostWithTermsData &>(base);
    cost_->computeGradients(x, u, *data.inner);
    data.grad_ = data.inner->grad_;
    if (const auto *term = slot_->term(stage_)) {
      find_slope(*term, x, u, data);
      data.grad_.head(term->g.size()) += data.slope;
    }
  }

  void computeHessians(const VectorRef &x, const VectorRef &u, CostData &base) const override {
    auto &data = static_cast<CostWithTermsData &>(base);
    cost_->computeHessians(x, u, *data.inner);
    data.hess_ = data.inner->hess_;
    if (const auto *term = slot_->term(stage_))
      data.hess_.topLeftCorner(term->g.size(), term->g.size()) += term->H;
  }

  void add_curvature(const CostData &data, Eigen::MatrixXd &block) const override {
    if (const auto *curved = dynamic_cast<const CurvedCost *>(&*cost_))
      curved->add_curvature(*static_cast<const CostWithTermsData &>(data).inner, block);
  }
  void add_fine_curvature(const CostData &data, Eigen::MatrixXd &block) const override {
    if (const auto *curved = dynamic_cast<const CurvedCost *>(&*cost_))
      curved->add_fine_curvature(*static_cast<const CostWithTermsData &>(data).inner, block);
  }
  void flush_curvature() const override {
    if (const auto *curved = dynamic_cast<const CurvedCost *>(&*cost_))
      curved->flush_curvature();
  }
  void add_sensitivity(const CostData &data, const AdjointStage &stage, Eigen::Ref<VectorXd> by_weights,
                       Eigen::Ref<VectorXd> by_target) const override {
    dynamic_cast<const WeightedCost &>(*cost_).add_sensitivity(*static_cast<const CostWithTermsData &>(data).inner, stage,
                                                               by_weights, by_target);
  }

  std::shared_ptr<CostData> createData() const override {
    return std::make_shared<CostWithTermsData>(ndx(), nu, cost_->createData());
  }

  xyz::polymorphic<CostAbstract> cost_;
  std::shared_ptr<const TermsSlot> slot_;
  std::size_t stage_;

private:
  static void find_slope(const QuadraticTerm &term, const VectorRef &x, const VectorRef &u, CostWithTermsData &data) {
    data.z << x, u;
    data.slope = term.g;
    data.slope.noalias() += term.H * data.z.head(term.g.size());
  }
};

struct TorqueTermsData : TorqueCostData {
  using TorqueCostData::TorqueCostData;
  Eigen::VectorXd z, by_z;    // the point [x, tau], the term's slope there
  Eigen::MatrixXd from_torque; // of the term's Hessian: what the torques contribute
};

/// TorqueCost and a term over state and torque.
struct TorqueCostWithTerms : TorqueCost {
  TorqueCostWithTerms(const TorqueCost &cost, std::shared_ptr<const TermsSlot> slot, std::size_t stage)
      : TorqueCost(cost), slot_(std::move(slot)), stage_(stage) {}

  void evaluate(const VectorRef &x, const VectorRef &a, CostData &base) const override {
    TorqueCost::evaluate(x, a, base);
    if (const auto *term = slot_->term(stage_)) {
      auto &data = static_cast<TorqueTermsData &>(base);
      find_slope(*term, x, a, data);
      data.value_ += 0.5 * data.z.dot(data.by_z + term->g) + term->c;
    }
  }

  void computeGradients(const VectorRef &x, const VectorRef &a, CostData &base) const override {
    TorqueCost::computeGradients(x, a, base);
    if (const auto *term = slot_->term(stage_)) {
      auto &data = static_cast<TorqueTermsData &>(base);
      const int n = model_->nv;
      find_slope(*term, x, a, data);
      const auto by_torque = data.by_z.tail(n);
      data.slope += by_torque; // what weighs the curvature of the torques
      data.grad_.noalias() += data.jacobian.transpose() * by_torque;
      data.Lx_ += data.by_z.head(2 * n);
    }
  }

  // With J = d tau / d [x, a]: [Hxx 0; 0 0] + [Hxu; 0] J + J' [Hux 0] + J' Huu J.
  void computeHessians(const VectorRef &x, const VectorRef &a, CostData &base) const override {
    TorqueCost::computeHessians(x, a, base);
    if (const auto *term = slot_->term(stage_)) {
      auto &data = static_cast<TorqueTermsData &>(base);
      const int n = model_->nv;
      data.Lxx_ += term->H.topLeftCorner(2 * n, 2 * n);
      data.from_torque.noalias() = 0.5 * data.jacobian.transpose() * term->H.bottomRightCorner(n, n);
      data.from_torque.topRows(2 * n) += term->H.topRightCorner(2 * n, n);
      data.hess_.noalias() += data.from_torque * data.jacobian;
      data.hess_.noalias() += data.jacobian.transpose() * data.from_torque.transpose();
    }
  }

  std::shared_ptr<CostData> createData() const override {
    return std::make_shared<TorqueTermsData>(ndx(), nu, *model_);
  }

  std::shared_ptr<const TermsSlot> slot_;
  std::size_t stage_;

private:
  void find_slope(const QuadraticTerm &term, const VectorRef &x, const VectorRef &a, TorqueTermsData &data) const {
    data.z.resize(3 * model_->nv);
    data.z << x, arm_->torque(x, a);
    data.by_z = term.g;
    data.by_z.noalias() += term.H * data.z;
  }
};

} // namespace sobo
