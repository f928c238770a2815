#include "sweep.hpp"

#include <algorithm>

#include <pinocchio/algorithm/kinematics.hpp>

#include "errors.hpp"
#include "robot_impl.hpp"

namespace sobo {
namespace {

/// The Bezier points of a cubic in all joints, nq x 4.
using Cubic = Eigen::Matrix<double, Eigen::Dynamic, 4>;

/// Both halves of a cubic (de Casteljau).
std::pair<Cubic, Cubic> halves(const Cubic &whole) {
  Cubic left(whole.rows(), 4), right(whole.rows(), 4);
  const VectorXd middle = 0.5 * (whole.col(1) + whole.col(2));
  left.col(0) = whole.col(0);
  left.col(1) = 0.5 * (whole.col(0) + whole.col(1));
  left.col(2) = 0.5 * (left.col(1) + middle);
  right.col(3) = whole.col(3);
  right.col(2) = 0.5 * (whole.col(2) + whole.col(3));
  right.col(1) = 0.5 * (middle + right.col(2));
  left.col(3) = right.col(0) = 0.5 * (left.col(2) + right.col(1));
  return {left, right};
}

class Sweep {
public:
  explicit Sweep(const RobotImpl &robot) : robot_(robot), bodies_(*robot.bodies), scratch_(robot.borrow()) {
    for (std::size_t k = 0; k < bodies_.pairs(); ++k)
      kept_.push_back(bodies_.kept(k));
  }

  /// Lets pairs that touch at q do so, on the way out alone. Returns the others.
  std::vector<std::size_t> leave(const VectorXd &q) {
    place(q);
    std::vector<std::size_t> others;
    for (std::size_t k = 0; k < bodies_.pairs(); ++k) {
      const double least = kept_[k] + contact_tolerance;
      const double distance =
          bodies_.apart(k, scratch_->places, std::max(least, 0.0)) ? least + 1.0 : bodies_.distance(k, scratch_->places).min_distance;
      if (distance <= least)
        leaving_.push_back({k, distance});
      else
        others.push_back(k);
    }
    return others;
  }

  /// The first of the pairs that touched at the beginning which comes nearer again.
  std::optional<Contact> deeper(const Cubic &cubic, double begin, double end) {
    std::optional<Contact> first;
    for (Leaving &pair : leaving_)
      if (const auto found = deeper(pair, cubic, begin, end); found && (!first || found->time < first->time))
        first = found;
    return first;
  }

  std::optional<Contact> within(const Cubic &cubic, double begin, double end, const std::vector<std::size_t> &pairs) {
    const auto [left, right] = halves(cubic);
    const VectorXd middle = right.col(0);
    const VectorXd moved = (cubic.colwise() - middle).cwiseAbs().rowwise().maxCoeff();
    place(middle);
    std::vector<std::size_t> doubtful;
    std::optional<Contact> found;
    for (const std::size_t k : pairs) {
      const double change = bodies_.change(k, moved);
      if (bodies_.apart(k, scratch_->places, std::max(kept_[k] + change, 0.0)))
        continue;
      const double distance = bodies_.distance(k, scratch_->places).min_distance;
      if (distance > kept_[k] + change)
        continue;
      doubtful.push_back(k);
      if (!found && (distance <= kept_[k] || change < contact_tolerance))
        found = contact(k, 0.5 * (begin + end), distance);
    }
    if (doubtful.empty() || (found && moved.maxCoeff() < 1e-4))
      return found;
    if (const auto earlier = within(left, begin, 0.5 * (begin + end), doubtful))
      return earlier;
    return found ? found : within(right, 0.5 * (begin + end), end, doubtful);
  }

private:
  /// A pair that touched at the beginning, and how far apart it has been since at most.
  struct Leaving {
    std::size_t pair;
    double best;
  };

  std::optional<Contact> deeper(Leaving &leaving, const Cubic &cubic, double begin, double end) {
    const auto [left, right] = halves(cubic);
    const VectorXd middle = right.col(0);
    const double time = 0.5 * (begin + end), kept = kept_[leaving.pair];
    const double change = bodies_.change(leaving.pair, (cubic.colwise() - middle).cwiseAbs().rowwise().maxCoeff());
    place(middle);
    if (bodies_.apart(leaving.pair, scratch_->places, std::max(kept + change, 0.0))) {
      leaving.best = std::max(leaving.best, kept + change);
      return std::nullopt;
    }
    const double distance = bodies_.distance(leaving.pair, scratch_->places).min_distance;
    if (distance <= kept + change && change > contact_tolerance) {
      if (const auto found = deeper(leaving, left, begin, time))
        return found;
      return deeper(leaving, right, time, end);
    }
    if (distance < (leaving.best < kept ? leaving.best - leaving_tolerance : kept)) // what is apart stays apart
      return contact(leaving.pair, time, distance);
    leaving.best = std::max(leaving.best, distance);
    return std::nullopt;
  }

  void place(const VectorXd &q) {
    pinocchio::forwardKinematics(*robot_.model, scratch_->data, q);
    bodies_.place(scratch_->data, scratch_->places);
  }

  Contact contact(std::size_t k, double time, double distance) const {
    const auto &pair = bodies_.pair(k);
    return {time, bodies_.name(pair.first), bodies_.name(pair.second), distance, bodies_.with_object(k)};
  }

  const RobotImpl &robot_;
  const Bodies &bodies_;
  std::shared_ptr<Scratch> scratch_;
  std::vector<double> kept_;
  std::vector<Leaving> leaving_;
};

} // namespace

std::optional<Contact> first_contact(const RobotImpl &robot, const VectorXd &times, const RowMatrixXd &Q,
                                     const RowMatrixXd &V, bool leaving) {
  const Eigen::Index N = times.size(), n = robot.model->nq;
  if (N < 2 || Q.rows() != N || V.rows() != N || Q.cols() != n || V.cols() != n)
    throw RobotError("a motion needs two times or more, and as many rows of " + std::to_string(n) +
                     " positions and velocities");
  if (!times.allFinite() || !Q.allFinite() || !V.allFinite())
    throw RobotError("a motion holds a NaN or an infinity");
  Sweep sweep(robot);
  std::vector<std::size_t> pairs(robot.bodies->pairs());
  for (std::size_t k = 0; k < pairs.size(); ++k)
    pairs[k] = k;
  if (leaving)
    pairs = sweep.leave(Q.row(0).transpose());
  for (Eigen::Index t = 0; t + 1 < N; ++t) {
    const double third = (times[t + 1] - times[t]) / 3.0;
    Cubic cubic(n, 4);
    cubic.col(0) = Q.row(t).transpose();
    cubic.col(1) = (Q.row(t) + third * V.row(t)).transpose();
    cubic.col(2) = (Q.row(t + 1) - third * V.row(t + 1)).transpose();
    cubic.col(3) = Q.row(t + 1).transpose();
    const auto found = sweep.within(cubic, times[t], times[t + 1], pairs);
    const auto again = sweep.deeper(cubic, times[t], times[t + 1]);
    if (found || again)
      return !found || (again && again->time < found->time) ? again : found;
  }
  return std::nullopt;
}

struct FreeLines::Impl {
  Impl(const RobotImpl &robot, double beyond)
      : robot(robot), bodies(*robot.bodies), scratch(robot.borrow()), tolerance(std::max(0.1 * beyond, contact_tolerance)) {
    for (std::size_t k = 0; k < bodies.pairs(); ++k) {
      all.push_back(k);
      kept.push_back(bodies.kept(k) + (bodies.with_obstacle(k) ? beyond : 0.0));
    }
  }

  void place(const VectorXd &q) {
    pinocchio::forwardKinematics(*robot.model, scratch->data, q);
    bodies.place(scratch->data, scratch->places);
  }

  /// A line within `half` of its middle in each joint, as far as some pairs are concerned.
  bool free(const VectorXd &middle, const VectorXd &half, const std::vector<std::size_t> &pairs) {
    place(middle);
    const VectorXd moved = half.cwiseAbs();
    std::vector<std::size_t> doubtful;
    for (const std::size_t k : pairs) {
      const double change = bodies.change(k, moved);
      if (bodies.apart(k, scratch->places, kept[k] + change))
        continue;
      const double distance = bodies.distance(k, scratch->places).min_distance;
      if (distance <= kept[k] || (distance <= kept[k] + change && change < tolerance)) {
        touched = k;
        return false;
      }
      if (distance <= kept[k] + change)
        doubtful.push_back(k);
    }
    return doubtful.empty() || (free(middle - 0.5 * half, 0.5 * half, doubtful) &&
                                free(middle + 0.5 * half, 0.5 * half, doubtful));
  }

  /// The same for all pairs. A pair that touches is looked at first the next time: consecutive lines often touch the same.
  bool free(const VectorXd &middle, const VectorXd &half) {
    if (free(middle, half, all))
      return true;
    const auto found = std::find(all.begin(), all.end(), touched);
    std::rotate(all.begin(), found, found + 1);
    return false;
  }

  const RobotImpl &robot;
  const Bodies &bodies;
  std::shared_ptr<Scratch> scratch;
  std::vector<std::size_t> all; // those found to touch, the latest first, then the others
  std::size_t touched = 0;
  std::vector<double> kept;
  double tolerance;
};

FreeLines::FreeLines(const RobotImpl &robot, double beyond) : impl_(std::make_unique<Impl>(robot, beyond)) {}
FreeLines::~FreeLines() = default;

bool FreeLines::free(const VectorXd &q) { return impl_->free(q, VectorXd::Zero(q.size())); }

bool FreeLines::free(const VectorXd &from, const VectorXd &to) {
  return impl_->free(0.5 * (from + to), 0.5 * (to - from));
}

} // namespace sobo
