// Rollouts of arms, one in each lane. Accelerations by the joints' inertia matrix, which the composite-rigid-body algorithm
// finds (Featherstone, "Rigid Body Dynamics Algorithms", ch. 6), all about the origin of the world.
#pragma once

#include "arm_pass.hpp"
#include "lane_memory.hpp"
#include "rollout_lanes.hpp"

namespace sobo {
namespace {

class ArmRollout {
public:
  ArmRollout(const ArmRollouts &rollouts, Memory memory)
      : rollouts_(rollouts), arm_(rollouts.arm), n_(rollouts.arm.joints), x_(memory.take<Lanes>(2 * n_)),
        input_(memory.take<Lanes>(n_)), a_(memory.take<Lanes>(n_)), rest_(memory.take<Lanes>(n_)),
        mass_(memory.take<Lanes>(n_ * n_)), bodies_(memory.take<Body>(n_)), sums_(memory.take<Carried>(n_)) {}

  static std::size_t memory(std::size_t n) {
    return ((5 * n + n * n + 1) * sizeof(Lanes) + n * (sizeof(Body) + sizeof(Carried))) / sizeof(double);
  }

  void run(const RolloutSums &out) {
    const Rollouts &all = rollouts_;
    Lanes *q = x_, *v = x_ + n_, *u = rollouts_.motions ? rest_ : input_;
    for (int i = 0; i < 2 * n_; ++i)
      x_[i] = splat(all.x0[i]);
    Lanes cost{}, over{}, distance{};
    for (int t = 0; t < all.horizon; ++t) {
      read_inputs(all, t, n_, input_);
      if (rollouts_.motions)
        lead();
      else
        push();
      if (all.reference && t > 0)
        distance += away(all, t - 1, tool());
      cost += state_cost(all.running, false, cost) +
              weighted_square(n_, all.running.control, all.running.control_reference, u);
      over += excess(all.control, u) + excess(rollouts_.acceleration, a_, rollouts_.opened[t]);
      for (int i = 0; i < n_; ++i) {
        const Lanes before = v[i];
        v[i] += all.dt * a_[i];
        q[i] += rollouts_.semi_implicit ? all.dt * v[i] : (0.5 * all.dt) * (before + v[i]);
      }
      over += excess(rollouts_.velocity, v) + excess(rollouts_.position, q);
    }
    pass(a_); // for the places
    if (all.reference)
      distance += away(all, all.horizon - 1, tool());
    write_sums(all, cost + state_cost(all.terminal, true, cost), over, distance, out);
  }

private:
  /// Sums over a body and those that it carries.
  struct Carried {
    Inertia inertia;
    Spatial force;
  };

  void pass(const Lanes *a) { forward_pass<false>(arm_, {x_, x_ + n_, a}, bodies_); }
  Lanes &mass(int i, int j) { return mass_[n_ * i + j]; }

  /// The accelerations under the torques.
  void push() {
    for (int i = 0; i < n_; ++i)
      a_[i] = Lanes{};
    pass(a_);
    for (int i = 0; i < n_; ++i)
      sums_[i] = {bodies_[i].inertia, bodies_[i].force};
    for (int i = 0; i < n_ * n_; ++i)
      mass_[i] = Lanes{}; // joints that do not carry one another have no common entry
    for (int i = n_; i-- > 0;) {
      const ArmJoint &joint = arm_.joint[i];
      const Carried &sum = sums_[i];
      a_[i] = input_[i] - joint.damping * x_[n_ + i] - dot(bodies_[i].axis, sum.force);
      const Spatial momentum = sum.inertia * bodies_[i].axis;
      for (int j = i; j >= 0; j = arm_.joint[j].parent)
        mass(i, j) = dot(bodies_[j].axis, momentum);
      mass(i, i) += joint.armature;
      if (joint.parent < 0)
        continue;
      Carried &parent = sums_[joint.parent];
      parent.force = parent.force + sum.force;
      parent.inertia = parent.inertia + sum.inertia;
    }
    solve();
  }

  /// a = M^-1 a with M = L' D L, from the last joint on: a joint's row has entries only for those that carry it.
  void solve() {
    for (int k = n_; k-- > 0;) {
      const Lanes inverse = 1.0 / mass(k, k);
      for (int i = arm_.joint[k].parent; i >= 0; i = arm_.joint[i].parent) {
        const Lanes share = mass(k, i) * inverse;
        for (int j = i; j >= 0; j = arm_.joint[j].parent)
          mass(i, j) -= share * mass(k, j);
        a_[i] -= share * a_[k];
        mass(k, i) = share;
      }
      a_[k] *= inverse;
    }
    for (int k = 0; k < n_; ++k)
      for (int i = arm_.joint[k].parent; i >= 0; i = arm_.joint[i].parent)
        a_[k] -= mass(k, i) * a_[i];
  }

  /// The accelerations to the velocities, and the torques for them.
  void lead() {
    for (int i = 0; i < n_; ++i)
      a_[i] = (input_[i] - x_[n_ + i]) / rollouts_.dt;
    pass(a_);
    for (int i = 0; i < n_; ++i)
      sums_[i].force = bodies_[i].force;
    for (int i = n_; i-- > 0;) {
      const ArmJoint &joint = arm_.joint[i];
      rest_[i] = dot(bodies_[i].axis, sums_[i].force) + joint.armature * a_[i] + joint.damping * x_[n_ + i];
      if (joint.parent >= 0)
        sums_[joint.parent].force = sums_[joint.parent].force + sums_[i].force;
    }
  }

  Vec3 tool() const { return point(bodies_[arm_.tool_joint], arm_.tool_translation); }

  Lanes state_cost(const RolloutWeights &w, bool terminal, Lanes before) const {
    Lanes cost = weighted_square(2 * n_, w.state, w.state_reference, x_);
    if (rollouts_.positions)
      cost += position_cost(w.position, rollouts_.target, tool());
    return rollouts_.turn_cost ? cost + turn_cost(terminal, cost + before) : cost;
  }

  /// Of rollouts that have not diverged, whose cost is finite.
  Lanes turn_cost(bool terminal, Lanes finite) const {
    const Body &carrier = bodies_[arm_.tool_joint];
    Vec3 axes[3];
    turn(carrier.x, carrier.y, carrier.z, arm_.tool_rotation, axes);
    double entries[9][kLanes], known[kLanes], out[kLanes] = {};
    for (int j = 0; j < 3; ++j) {
      store(entries[3 * j], axes[j].x);
      store(entries[3 * j + 1], axes[j].y);
      store(entries[3 * j + 2], axes[j].z);
    }
    store(known, finite);
    for (int l = 0; l < rollouts_.count; ++l) {
      double rotation[9];
      for (int i = 0; i < 9; ++i)
        rotation[i] = entries[i][l];
      if (__builtin_isfinite(known[l]))
        out[l] = rollouts_.turn_cost(rollouts_.context, terminal, rotation);
    }
    return load(out);
  }

  const ArmRollouts &rollouts_;
  const ArmModel &arm_;
  int n_;
  Lanes *x_, *input_, *a_, *rest_; // rest: the torques of motions
  Lanes *mass_;
  Body *bodies_;
  Carried *sums_;
};

} // namespace
} // namespace sobo
