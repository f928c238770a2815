#include "global_path.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "clock.hpp"
#include "errors.hpp"
#include "sweep.hpp"

namespace sobo {
namespace {

using Way = std::vector<VectorXd>;

/// Uniform numbers that are the same with every standard library.
class Random {
public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1.0p-53; }
  VectorXd between(const VectorXd &lower, const VectorXd &upper) {
    VectorXd out(lower.size());
    for (Eigen::Index i = 0; i < out.size(); ++i)
      out[i] = lower[i] + uniform() * (upper[i] - lower[i]);
    return out;
  }

private:
  std::mt19937_64 bits_;
};

/// Configurations that are joined to a root by free lines.
class Tree {
public:
  void add(const VectorXd &q, int parent) {
    nodes_.push_back(q);
    parents_.push_back(parent);
  }
  bool empty() const { return nodes_.empty(); }
  std::size_t size() const { return nodes_.size(); }

  /// Grows from the nearest node towards q, by one line: whether it got as far as q, or as it may at once, or not at all.
  enum class Growth { Reached, Advanced, Trapped };
  Growth grow(const VectorXd &q, double range, FreeLines &lines) {
    const int nearest = this->nearest(q);
    const VectorXd way = q - nodes_[nearest];
    const double length = way.norm();
    const bool whole = length <= range;
    const VectorXd next = whole ? q : VectorXd(nodes_[nearest] + (range / length) * way);
    if (!lines.free(next) || !lines.free(nodes_[nearest], next))
      return Growth::Trapped;
    add(next, nearest);
    return whole ? Growth::Reached : Growth::Advanced;
  }

  const VectorXd &last() const { return nodes_.back(); }
  /// From the last node to its root.
  Way way() const {
    Way out;
    for (int i = static_cast<int>(nodes_.size()) - 1; i >= 0; i = parents_[i])
      out.push_back(nodes_[i]);
    return out;
  }

private:
  int nearest(const VectorXd &q) const {
    int best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const double distance = (nodes_[i] - q).squaredNorm();
      if (distance < least) {
        least = distance;
        best = static_cast<int>(i);
      }
    }
    return best;
  }

  std::vector<VectorXd> nodes_;
  std::vector<int> parents_;
};

/// The place at a share of a way's length, and after which of its corners it comes.
std::pair<VectorXd, std::size_t> place_on(const Way &way, double share) {
  double length = 0.0;
  for (std::size_t i = 0; i + 1 < way.size(); ++i)
    length += (way[i + 1] - way[i]).norm();
  double left = share * length;
  for (std::size_t i = 0; i + 1 < way.size(); ++i) {
    const double part = (way[i + 1] - way[i]).norm();
    if (left <= part && part > 0.0)
      return {way[i] + (left / part) * (way[i + 1] - way[i]), i};
    left -= part;
  }
  return {way.back(), way.size() - 2};
}

/// Replaces what lies between two random places by a straight line where that is free.
void shorten(Way &way, int tries, Random &random, FreeLines &lines, const std::function<bool()> &over) {
  for (int k = 0; k < tries && way.size() > 2 && !over(); ++k) {
    double first = random.uniform(), second = random.uniform();
    if (k == 0)
      first = 0.0, second = 1.0;
    const auto [from, before] = place_on(way, std::min(first, second));
    const auto [to, after] = place_on(way, std::max(first, second));
    if (before == after || !lines.free(from, to))
      continue;
    Way shorter(way.begin(), way.begin() + before + 1);
    shorter.push_back(from);
    shorter.push_back(to);
    shorter.insert(shorter.end(), way.begin() + after + 1, way.end());
    way.clear();
    for (const auto &q : shorter)
      if (way.empty() || (q - way.back()).norm() > 1e-9)
        way.push_back(q);
  }
}

} // namespace

std::optional<RowMatrixXd> global_path(const RobotImpl &robot, const VectorXd &start, const RowMatrixXd &goals,
                                       const VectorXd &lower, const VectorXd &upper, const GlobalPathOptions &options) {
  const Eigen::Index n = start.size();
  if (goals.cols() != n || lower.size() != n || upper.size() != n || goals.rows() == 0)
    throw RobotError("a way needs goals and bounds of " + std::to_string(n) + " joints");
  if (!start.allFinite() || !goals.allFinite() || !lower.allFinite() || !upper.allFinite() || !(options.range > 0.0))
    throw RobotError("a way needs finite ends and bounds, and a positive range");
  const double end = wall_seconds() + options.time_limit;
  const auto over = [&] {
    return (options.time_limit > 0.0 && wall_seconds() > end) || (options.interrupt && options.interrupt->is_set());
  };
  FreeLines lines(robot, options.beyond);
  Random random(options.seed);
  Tree trees[2];
  trees[0].add(start, -1);
  for (Eigen::Index i = 0; i < goals.rows(); ++i)
    if (lines.free(goals.row(i).transpose()))
      trees[1].add(goals.row(i).transpose(), -1);
  if (trees[1].empty() || !lines.free(start))
    return std::nullopt;
  // The smaller tree grows: where one end is confined, its tree needs most of the samples, and the tree of the other end,
  // which grows easily, would take the time.
  int from = 0;
  for (int k = 0; k < options.max_samples && !over(); ++k) {
    if (trees[1 - from].size() <= trees[from].size())
      from = 1 - from;
    const VectorXd sample = k == 0 ? VectorXd(goals.row(0).transpose()) : random.between(lower, upper);
    if (trees[from].grow(sample, options.range, lines) == Tree::Growth::Trapped)
      continue;
    const VectorXd meeting = trees[from].last();
    auto growth = Tree::Growth::Advanced;
    while (growth == Tree::Growth::Advanced && !over())
      growth = trees[1 - from].grow(meeting, options.range, lines);
    if (growth != Tree::Growth::Reached)
      continue;
    Way way = trees[0].way();
    std::reverse(way.begin(), way.end());
    const Way rest = trees[1].way();
    way.insert(way.end(), rest.begin() + 1, rest.end());
    shorten(way, options.shortcuts, random, lines, over);
    RowMatrixXd out(static_cast<Eigen::Index>(way.size()), n);
    for (std::size_t i = 0; i < way.size(); ++i)
      out.row(static_cast<Eigen::Index>(i)) = way[i].transpose();
    return out;
  }
  return std::nullopt;
}

} // namespace sobo
