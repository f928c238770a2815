#include "path_speed.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "errors.hpp"

namespace sobo {
namespace {

constexpr double least_square = 1e-9;
constexpr double least_slope = 1e-9;

/// The changes u of the square x of the speed at a point that the accelerations allow: |u + tilt x| <= room in each joint.
class Point {
public:
  Point(const RowMatrixXd &slope, const RowMatrixXd &bend, const VectorXd &acceleration, Eigen::Index i) {
    for (Eigen::Index j = 0; j < slope.cols(); ++j) {
      const double size = std::max(std::abs(slope(i, j)), least_slope);
      const double sign = slope(i, j) > 0.0 ? 1.0 : slope(i, j) < 0.0 ? -1.0 : 0.0;
      joints_.push_back({acceleration[j] / size, sign * bend(i, j) / size});
    }
  }

  /// The largest square from which the next point can be passed at `following` at most.
  double controllable(double following, double step) const {
    double least = std::numeric_limits<double>::infinity();
    for (const auto &low : joints_) {
      // Where an upper bound of u meets this lower one.
      least = std::min(least, meeting(low.room + 0.5 * following / step, 0.5 / step - low.tilt));
      for (const auto &high : joints_)
        least = std::min(least, meeting(low.room + high.room, high.tilt - low.tilt));
    }
    return least;
  }

  double largest_change(double square) const {
    double least = std::numeric_limits<double>::infinity();
    for (const auto &joint : joints_)
      least = std::min(least, joint.room - joint.tilt * square);
    return least;
  }

private:
  struct Joint {
    double room, tilt;
  };

  static double meeting(double room, double closing) {
    return closing > 1e-12 ? room / closing : std::numeric_limits<double>::infinity();
  }

  std::vector<Joint> joints_;
};

} // namespace

VectorXd fastest_squares(const RowMatrixXd &slope, const RowMatrixXd &bend, const VectorXd &most,
                         const VectorXd &acceleration, double step) {
  const Eigen::Index count = slope.rows();
  if (count < 2 || bend.rows() != count || bend.cols() != slope.cols() || most.size() != count ||
      acceleration.size() != slope.cols() || !(step > 0.0))
    throw RobotError("a path needs two points or more, and slopes, bends and bounds of the same sizes");
  std::vector<Point> points;
  for (Eigen::Index i = 0; i < count; ++i)
    points.emplace_back(slope, bend, acceleration, i);
  VectorXd bound = most;
  bound[0] = bound[count - 1] = 0.0;
  for (Eigen::Index i = count - 2; i > 0; --i)
    bound[i] = std::min(bound[i], points[i].controllable(bound[i + 1], step));
  VectorXd square = VectorXd::Zero(count);
  for (Eigen::Index i = 0; i + 2 < count; ++i) {
    const double fastest = square[i] + 2.0 * step * points[i].largest_change(square[i]);
    square[i + 1] = std::clamp(fastest, least_square, std::max(bound[i + 1], least_square));
  }
  return square;
}

} // namespace sobo
