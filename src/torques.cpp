#include "torques.hpp"

#include <algorithm>
#include <array>

#include <pinocchio/algorithm/rnea.hpp>

#include "robot_impl.hpp"

namespace sobo {
namespace {

constexpr int most_lanes = 64; // more than any kernel has

const ArmKernel &best_kernel() {
  static const ArmKernel &kernel = *find_arm_kernel();
  return kernel;
}

} // namespace

Torques::Torques(const RobotImpl &robot) : robot_(robot), tree_(ArmTree::of(*robot.model, robot.tool)) {
  if (!tree_)
    scratch_ = robot.borrow();
}

int Torques::lanes() const { return tree_ ? std::min(best_kernel().lanes, most_lanes) : 1; }

void Torques::find(const double *x, const double *a, Eigen::Index count, double *torques) const {
  const int n = robot_.model->nv;
  if (!tree_) {
    for (Eigen::Index i = 0; i < count; ++i) {
      const Eigen::Map<const VectorXd> q(x + 2 * n * i, n), v(x + 2 * n * i + n, n), acceleration(a + n * i, n);
      const VectorXd tau = pinocchio::rnea(*robot_.model, scratch_->data, VectorXd(q), VectorXd(v), VectorXd(acceleration));
      Eigen::Map<VectorXd>(torques + n * i, n) = tau + robot_.model->damping.cwiseProduct(v);
    }
    return;
  }
  const ArmKernel &kernel = best_kernel();
  const int size = ArmLayout(n).values();
  const std::size_t memory = kernel.memory(n);
  memory_.resize(memory + static_cast<std::size_t>(kernel.lanes) * size);
  double *values = memory_.data() + memory;
  std::array<const double *, most_lanes> xs{}, as{};
  std::array<double *, most_lanes> out{};
  for (Eigen::Index first = 0; first < count; first += lanes()) {
    const int some = static_cast<int>(std::min<Eigen::Index>(lanes(), count - first));
    for (int i = 0; i < some; ++i) {
      xs[i] = x + 2 * n * (first + i);
      as[i] = a + n * (first + i);
      out[i] = values + i * size;
    }
    kernel.evaluate(tree_->model(), {some, xs.data(), as.data()}, false, out.data(), memory_.data());
    for (int i = 0; i < some; ++i)
      std::copy_n(out[i], n, torques + n * (first + i));
  }
}

} // namespace sobo
