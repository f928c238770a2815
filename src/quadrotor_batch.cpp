#include <cmath>

#include "assemble.hpp"
#include "batch_rollout.hpp"
#include "errors.hpp"
#include "parallel.hpp"
#include "quadrotor_model.hpp"

namespace sobo {
namespace {

using State = QuadrotorModel::State;
using Control = QuadrotorModel::Control;

/// What all rollouts of a quadrotor share, with sizes known when compiling.
class QuadrotorBatch {
public:
  QuadrotorBatch(const QuadrotorSpec &spec, const VectorXd &x0, const VectorXd &target, const double *inputs,
                 const Reference &reference)
      : model_(spec), columns_(spec.columns), horizon_(spec.horizon), x0_(x0), target_(target), inputs_(inputs),
        reference_(reference), running_(spec.running), terminal_(spec.terminal) {
    if (spec.control) {
      lower_ = spec.control->lower;
      upper_ = spec.control->upper;
      scale_ = (0.5 * (upper_ - lower_)).cwiseMax(1e-9);
    }
    if (spec.height) {
      floor_ = spec.height->lower[0];
      ceiling_ = spec.height->upper[0];
    }
  }

  void run(Eigen::Index i, BatchCosts &out) const {
    const bool near = reference_.positions.size() > 0;
    State x = x0_;
    double cost = 0.0, excess = 0.0, away = 0.0;
    for (int t = 0; t < horizon_ && std::isfinite(cost); ++t) {
      const Control u = Eigen::Map<const Control>(inputs_ + (i * horizon_ + t) * QuadrotorModel::nu);
      cost += running_.of(x, target_) + running_.control.dot((u - running_.control_reference).cwiseAbs2());
      excess += (u - upper_).cwiseMax(lower_ - u).cwiseMax(0.0).cwiseQuotient(scale_).squaredNorm();
      x = model_.step(x, u);
      excess += depth(x);
      if (near)
        away += reference_.away(t, x.head<3>());
    }
    out.cost[i] = cost + terminal_.of(x, target_);
    out.excess[i] = excess;
    out.away[i] = away / horizon_;
    out.settle(i);
  }

private:
  struct Weights {
    explicit Weights(const ReachWeights &w)
        : position(w.position), state(w.state), state_reference(w.state_reference), control(w.control),
          control_reference(w.control_reference) {}

    double of(const State &x, const Vector3d &target) const {
      return position.dot((x.head<3>() - target).cwiseAbs2()) + state.dot((x - state_reference).cwiseAbs2());
    }

    Vector3d position;
    State state, state_reference;
    Control control, control_reference;
  };

  /// Squared depths in columns, floor and ceiling [m^2].
  double depth(const State &x) const {
    const auto squared = [](double depth) { return depth > 0.0 ? depth * depth : 0.0; };
    double sum = squared(floor_ - x[2]) + squared(x[2] - ceiling_);
    for (Eigen::Index c = 0; c < columns_.rows(); ++c) {
      const double dx = x[0] - columns_(c, 0), dy = x[1] - columns_(c, 1), radius = columns_(c, 2);
      const double distance = dx * dx + dy * dy;
      if (distance < radius * radius)
        sum += squared(radius - std::sqrt(distance));
    }
    return sum;
  }

  QuadrotorModel model_;
  decltype(QuadrotorSpec::columns) columns_;
  int horizon_;
  State x0_;
  Vector3d target_;
  const double *inputs_;
  const Reference &reference_;
  Weights running_, terminal_;
  Control lower_ = Control::Constant(-HUGE_VAL), upper_ = Control::Constant(HUGE_VAL), scale_ = Control::Ones();
  double floor_ = -HUGE_VAL, ceiling_ = HUGE_VAL;
};

} // namespace

BatchCosts quadrotor_batch(const QuadrotorSpec &spec, const VectorXd &x0, const VectorXd &target, const double *inputs,
                           Eigen::Index count, int threads, const Reference &reference) {
  if (x0.size() != QuadrotorModel::nx || target.size() != 3 || !x0.allFinite() || !target.allFinite())
    throw SolverError("a batch of flights needs 12 finite numbers for x0 and 3 for the target, got " +
                      std::to_string(x0.size()) + " and " + std::to_string(target.size()));
  if (spec.horizon < 1)
    throw SolverError("the horizon must be at least 1 step, got " + std::to_string(spec.horizon));
  check_weights(spec.running, QuadrotorModel::nx, QuadrotorModel::nu);
  check_weights(spec.terminal, QuadrotorModel::nx, QuadrotorModel::nu);
  check_box(spec.control, QuadrotorModel::nu, "control");
  check_box(spec.height, 1, "height");
  reference.check(spec.horizon);
  const QuadrotorBatch batch(spec, x0, target, inputs, reference);
  BatchCosts out(count);
  parallel_for(count, threads, [&] { return [&out, &batch](Eigen::Index i) { batch.run(i, out); }; });
  return out;
}

} // namespace sobo
