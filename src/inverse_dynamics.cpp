#include "inverse_dynamics.hpp"

#include <cstring>

#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/kinematics.hpp>
#include <pinocchio/algorithm/rnea-derivatives.hpp>
#include <pinocchio/algorithm/rnea.hpp>

#include "errors.hpp"
#include "torque_curvature.hpp"

namespace sobo {
namespace {

bool same(const VectorXd &a, const double *b) { return std::memcmp(a.data(), b, sizeof(double) * a.size()) == 0; }

} // namespace

InverseDynamics::InverseDynamics(std::shared_ptr<const pinocchio::Model> model, pinocchio::FrameIndex tool, const char *kernel)
    : model_(std::move(model)), tool_(tool), layout_(model_->nv), points_(1) {
  if (std::strcmp(kernel, "pinocchio") != 0) {
    kernel_ = find_arm_kernel(kernel);
    if (!kernel_)
      throw RobotError(std::string("this processor or build has no kernel '") + kernel + "'");
    memory_.resize(kernel_->memory(nv()));
  }
  forget();
}

void InverseDynamics::forget() {
  for (auto &point : points_)
    point.level = 0;
  tree_ = kernel_ ? ArmTree::of(*model_, tool_) : std::nullopt;
  if (!tree_ && !scratch_)
    scratch_.emplace(*model_);
}

void InverseDynamics::follow(const Vectors &xs, const Vectors &as) {
  trajectories_.push_back({&xs, &as});
  points_.resize(std::max(points_.size(), xs.size() + 1));
  forget(); // the last of them is for other points now
}

// The trajectory that has this vector, at stage_; null for none.
const InverseDynamics::Trajectory *InverseDynamics::find(const double *x) {
  for (const auto &each : trajectories_) {
    const Vectors &xs = *each.xs;
    for (const std::size_t t : {stage_, stage_ + 1, std::size_t{0}})
      if (t < xs.size() && xs[t].data() == x) {
        stage_ = t;
        return &each;
      }
  }
  for (const auto &each : trajectories_)
    for (std::size_t t = 0; t < each.xs->size(); ++t)
      if ((*each.xs)[t].data() == x) {
        stage_ = t;
        return &each;
      }
  return nullptr;
}

// What is asked for at a point, and with it at the next ones of its trajectory. The last state has no acceleration.
const double *InverseDynamics::at(const ConstVectorRef &x, const ConstVectorRef &a, bool derivatives) {
  const int level = derivatives ? 2 : 1;
  const Trajectory *trajectory = find(x.data());
  const bool last = trajectory && stage_ == trajectory->as->size();
  if (trajectory && !last && (*trajectory->as)[stage_].data() != a.data())
    trajectory = nullptr;
  Point &point = trajectory ? points_[stage_] : points_.back();
  if (point.level >= level && same(point.x, x.data()) && (last || same(point.a, a.data())))
    return point.numbers.data();
  std::size_t count = 1;
  if (trajectory) {
    count = std::min<std::size_t>(tree_ ? kernel_->lanes : 1, trajectory->xs->size() - stage_);
    for (std::size_t t = stage_; t < stage_ + count; ++t) {
      points_[t].x = (*trajectory->xs)[t];
      points_[t].a = t < trajectory->as->size() ? (*trajectory->as)[t] : VectorXd::Zero(nv());
    }
  } else {
    point.x = x;
    point.a = a;
  }
  compute(&point, static_cast<int>(count), derivatives);
  return point.numbers.data();
}

void InverseDynamics::compute(Point *points, int count, bool derivatives) {
  for (Point *point = points; point < points + count; ++point) {
    point->level = derivatives ? 2 : 1;
    point->numbers.resize(layout_.size());
    if (!tree_)
      compute_by_pinocchio(*point, derivatives);
  }
  if (!tree_)
    return;
  const double *x[64], *a[64]; // more than any kernel has lanes
  double *out[64];
  for (int i = 0; i < count; ++i) {
    x[i] = points[i].x.data();
    a[i] = points[i].a.data();
    out[i] = points[i].numbers.data();
  }
  kernel_->evaluate(tree_->model(), {count, x, a}, derivatives, out, memory_.data());
}

void InverseDynamics::compute_by_pinocchio(Point &point, bool derivatives) {
  const int n = nv();
  auto &data = *scratch_;
  double *numbers = point.numbers.data();
  // Pinocchio ships its algorithms compiled for this type; any other argument costs a minute of compilation.
  const ConstVectorRef q = point.x.head(n), v = point.x.tail(n), a = point.a;
  pinocchio::forwardKinematics(*model_, data, point.x.head(n));
  const auto &place = pinocchio::updateFramePlacement(*model_, data, tool_);
  Eigen::Map<Vector3d>{numbers + layout_.position()} = place.translation();
  Eigen::Map<Eigen::Matrix3d>{numbers + layout_.rotation()} = place.rotation();
  if (derivatives) {
    pinocchio::computeJointJacobians(*model_, data);
    pinocchio::Data::Matrix6x jacobian = pinocchio::Data::Matrix6x::Zero(6, n);
    pinocchio::getFrameJacobian(*model_, data, tool_, pinocchio::LOCAL_WORLD_ALIGNED, jacobian);
    Eigen::Map<MatrixXd>(numbers + layout_.tool_jacobian(), 6, n) = jacobian;
    pinocchio::computeRNEADerivatives(*model_, data, q, v, a);
    Eigen::Map<MatrixXd> torque(numbers + layout_.torque_jacobian(), n, 3 * n);
    torque.leftCols(n) = data.dtau_dq;
    torque.middleCols(n, n) = data.dtau_dv;
    torque.middleCols(n, n).diagonal() += model_->damping;
    torque.rightCols(n) = data.M.selfadjointView<Eigen::Upper>();
  } else {
    pinocchio::rnea(*model_, data, q, v, a);
  }
  Eigen::Map<VectorXd>(numbers, n) = data.tau + model_->damping.cwiseProduct(v);
}

InverseDynamics::ConstVector InverseDynamics::torque(const ConstVectorRef &x, const ConstVectorRef &a) {
  return {at(x, a, false) + layout_.torque(), nv()};
}

InverseDynamics::ConstMatrix InverseDynamics::jacobian(const ConstVectorRef &x, const ConstVectorRef &a) {
  return {at(x, a, true) + layout_.torque_jacobian(), nv(), 3 * nv()};
}

Eigen::Map<const Vector3d> InverseDynamics::position(const ConstVectorRef &x, const ConstVectorRef &a) {
  return Eigen::Map<const Vector3d>(at(x, a, false) + layout_.position());
}

Eigen::Map<const Eigen::Matrix3d> InverseDynamics::rotation(const ConstVectorRef &x, const ConstVectorRef &a) {
  return Eigen::Map<const Eigen::Matrix3d>(at(x, a, false) + layout_.rotation());
}

InverseDynamics::ConstMatrix InverseDynamics::tool_jacobian(const ConstVectorRef &x, const ConstVectorRef &a) {
  return {at(x, a, true) + layout_.tool_jacobian(), 6, nv()};
}

void InverseDynamics::square(const double *jacobian, const VectorXd &weights, Eigen::Ref<MatrixXd> out) const {
  if (kernel_ && out.outerStride() == out.rows()) {
    kernel_->square(static_cast<int>(weights.size()), static_cast<int>(out.cols()), jacobian, weights.data(), out.data());
    return;
  }
  const Eigen::Map<const MatrixXd> J(jacobian, weights.size(), out.cols());
  out.noalias() = J.transpose() * weights.asDiagonal() * J;
}

void InverseDynamics::add_curvature(const VectorXd &x, const VectorXd &a, const ConstVectorRef &weights, MatrixXd &block) {
  if (waiting_ > 0 && curved_[waiting_ - 1].block == &block) { // the same point
    curved_[waiting_ - 1].weights += weights;
    return;
  }
  if (waiting_ == curved_.size())
    curved_.emplace_back();
  auto &next = curved_[waiting_++];
  next.x = &x;
  next.a = &a;
  next.weights = weights;
  next.block = &block;
}

void InverseDynamics::flush() {
  const Eigen::Index n = nv(), size = 4 * n * n;
  const int count = static_cast<int>(std::exchange(waiting_, 0));
  second_.resize(count * size);
  std::vector<const double *> x, a, weights;
  std::vector<double *> out;
  for (int i = 0; i < count; ++i) {
    const auto &each = curved_[i];
    out.push_back(second_.data() + i * size);
    x.push_back(each.x->data());
    a.push_back(each.a->data());
    weights.push_back(each.weights.data());
    if (tree_)
      continue;
    const auto [qq, vv, qv, qa] =
        contracted_second_derivatives(*model_, *scratch_, each.x->head(n), each.x->tail(n), *each.a, each.weights);
    Eigen::Map<MatrixXd>(out.back(), n, 4 * n) << qq, qv, vv, qa;
  }
  if (tree_ && count > 0)
    kernel_->curvature(tree_->model(), {count, x.data(), a.data()}, weights.data(), out.data(), memory_.data());
  for (int i = 0; i < count; ++i) {
    MatrixXd &block = *curved_[i].block;
    const Eigen::Map<const MatrixXd> qq(out[i], n, n), qv(out[i] + n * n, n, n), vv(out[i] + 2 * n * n, n, n),
        qa(out[i] + 3 * n * n, n, n);
    block.topLeftCorner(n, n) += qq;
    block.block(n, n, n, n) += vv;
    block.block(0, n, n, n) += qv;
    block.block(n, 0, n, n) += qv.transpose();
    block.block(0, 2 * n, n, n) += qa;
    block.block(2 * n, 0, n, n) += qa.transpose();
  }
}

} // namespace sobo
