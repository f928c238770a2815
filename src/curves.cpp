#include "curves.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "errors.hpp"

namespace sobo {

RowMatrixXd splined(const VectorXd &knots, const RowMatrixXd &states, const VectorXd &times) {
  const Eigen::Index count = knots.size(), n = states.cols() / 2;
  if (count < 2 || states.rows() != count || states.cols() != 2 * n)
    throw RobotError("splines need two knots or more, and a state [q, v] at each");
  RowMatrixXd out(times.size(), 2 * n);
  const double *first = knots.data() + 1, *last = knots.data() + count - 1;
  for (Eigen::Index i = 0; i < times.size(); ++i) {
    const Eigen::Index k = std::upper_bound(first, last, times[i]) - first; // the interval from knot k on
    const double h = knots[k + 1] - knots[k], s = std::clamp((times[i] - knots[k]) / h, 0.0, 1.0);
    for (Eigen::Index j = 0; j < n; ++j) {
      const double p0 = states(k, j), change = states(k + 1, j) - p0, v0 = h * states(k, n + j), v1 = h * states(k + 1, n + j);
      const double square = 3.0 * change - 2.0 * v0 - v1, cube = v0 + v1 - 2.0 * change;
      out(i, j) = p0 + s * (v0 + s * (square + s * cube));
      out(i, n + j) = (v0 + s * (2.0 * square + 3.0 * s * cube)) / h;
    }
  }
  return out;
}

std::pair<VectorXd, RowMatrixXd> sampled(const VectorXd &times, const RowMatrixXd &Q, const RowMatrixXd &V, double step,
                                         int most_parts) {
  const Eigen::Index count = times.size(), n = Q.cols();
  if (count < 2 || Q.rows() != count || V.rows() != count || V.cols() != n)
    throw RobotError("samples need two points or more, with positions and velocities of the same size");
  std::vector<double> when;
  std::vector<Eigen::Index> interval;
  std::vector<double> share;
  VectorXd lengths(count - 1);
  for (Eigen::Index k = 0; k + 1 < count; ++k) {
    const double h = lengths[k] = std::nearbyint(1e9 * (times[k + 1] - times[k])) / 1e9;
    // The way in a share of the interval is at most that share of the largest of these (Bezier coefficients).
    const auto before = h * V.row(k).array(), after = h * V.row(k + 1).array();
    const auto change = Q.row(k + 1).array() - Q.row(k).array();
    const double way = before.abs().max(after.abs()).max((3.0 * change - before - after).abs()).maxCoeff();
    const int parts = static_cast<int>(std::clamp(std::ceil(way / step), 1.0, static_cast<double>(most_parts)));
    for (int i = 0; i < parts; ++i) {
      interval.push_back(k);
      share.push_back(static_cast<double>(i) / parts);
    }
  }
  const Eigen::Index samples = static_cast<Eigen::Index>(share.size());
  std::pair<VectorXd, RowMatrixXd> out(samples + 1, RowMatrixXd(samples + 1, n));
  for (Eigen::Index i = 0; i < samples; ++i) {
    const Eigen::Index k = interval[i];
    const double s = share[i], h = lengths[k];
    out.first[i] = times[k] + s * h;
    out.second.row(i) = Q.row(k) + s * s * (3.0 - 2.0 * s) * (Q.row(k + 1) - Q.row(k)) +
                        s * (1.0 - s) * h * ((1.0 - s) * V.row(k) - s * V.row(k + 1));
  }
  out.first[samples] = times[count - 1];
  out.second.row(samples) = Q.row(count - 1);
  return out;
}

// The extremes of one joint between two points, from its positions and velocities there; see sobo_planner/safety/curve.py.
bool JointBounds::kept_between(double h, Eigen::Index joint, const double (&state)[4]) const {
  const auto [p0, v0, p1, v1] = state;
  const double slope = (p1 - p0) / h;
  const double a0 = (6.0 * slope - 4.0 * v0 - 2.0 * v1) / h, a1 = (-6.0 * slope + 2.0 * v0 + 4.0 * v1) / h;
  const double most = acceleration[joint] + tolerance, jerk = (a1 - a0) / h;
  if (!(std::abs(a0) <= most && std::abs(a1) <= most))
    return false;
  const auto within = [h](double t) { return std::isfinite(t) ? std::clamp(t, 0.0, h) : 0.0; };
  const double fastest = within(-a0 / jerk);
  if (!(std::abs(v0 + fastest * (a0 + 0.5 * fastest * jerk)) <= velocity[joint] + tolerance))
    return false;
  const double root = std::sqrt(std::max(a0 * a0 - 2.0 * jerk * v0, 0.0)), large = -(a0 + (a0 >= 0.0 ? root : -root));
  for (const double turn : {within(large / jerk), within(2.0 * v0 / large)}) {
    const double p = p0 + turn * (v0 + turn * (0.5 * a0 + turn * jerk / 6.0));
    if (!(p >= lower[joint] - tolerance && p <= upper[joint] + tolerance))
      return false;
  }
  return true;
}

bool JointBounds::kept(const VectorXd &times, const RowMatrixXd &Q, const RowMatrixXd &V, const RowMatrixXd &U,
                       const double *gains, Eigen::Index gain_rows) const {
  const Eigen::Index n = lower.size(), count = times.size();
  if (Q.rows() != count || V.rows() != count || Q.cols() != n || V.cols() != n || U.cols() != n)
    throw RobotError("points of " + std::to_string(n) + " joints need as many positions, velocities and torques");
  for (Eigen::Index t = 0; t < count; ++t)
    for (Eigen::Index j = 0; j < n; ++j) {
      if (!(Q(t, j) >= lower[j] - tolerance && Q(t, j) <= upper[j] + tolerance && std::abs(V(t, j)) <= velocity[j] + tolerance))
        return false;
      if (t + 1 == count)
        continue;
      const double h = times[t + 1] - times[t];
      if (!(std::abs(Q(t + 1, j) - Q(t, j)) - h * velocity[j] <= tolerance))
        return false;
      if (curves && !kept_between(h, j, {Q(t, j), V(t, j), Q(t + 1, j), V(t + 1, j)}))
        return false;
    }
  for (Eigen::Index t = 0; t < U.rows(); ++t)
    if (!(U.row(t).transpose().array().abs() <= torque.array()).all())
      return false;
  for (Eigen::Index row = 0; row < gain_rows; ++row)
    for (Eigen::Index i = 0; i < 2 * n; ++i, ++gains)
      if (!(std::abs(*gains) <= gain[row % n]))
        return false;
  return true;
}

} // namespace sobo
