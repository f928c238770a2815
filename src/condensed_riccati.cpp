#include "condensed_riccati.hpp"

#include <Eigen/Cholesky>

namespace sobo {
namespace {

using Knot = aligator::gar::LqrKnotTpl<double>;
using Factor = aligator::gar::StageFactor<double>;
using Kernel = aligator::gar::ProximalRiccatiKernel<double>;
constexpr int dynamic = Eigen::Dynamic;

/// One stage, for the sizes of the state and of the control (`dynamic` for any).
template <int NX, int NU> struct Stage {
  using Square = Eigen::Matrix<double, NX, NX>;
  using Tall = Eigen::Matrix<double, NX, NU>;
  using Small = Eigen::Matrix<double, NU, NU>;
  using State = Eigen::Matrix<double, NX, 1>;
  using Control = Eigen::Matrix<double, NU, 1>;
  template <typename M> using In = Eigen::Map<const M, Eigen::Aligned16>;

  static bool solve(const Knot &knot, const Factor &next, Factor &factor, double mu) {
    const Eigen::Index nx = knot.nx, nu = knot.nu, nc = knot.nc;
    const In<Square> A(knot.A.data(), nx, nx), V(next.vm.Vxx.data(), nx, nx);
    const In<Tall> B(knot.B.data(), nx, nu);
    const Square VA = V.lazyProduct(A);
    const Tall VB = V.lazyProduct(B);
    State v = next.vm.vx;
    v += V.lazyProduct(knot.f);
    Square Q = knot.Q;
    Q += A.transpose().lazyProduct(VA);
    Tall S = knot.S;
    S += A.transpose().lazyProduct(VB);
    Small R = knot.R;
    R += B.transpose().lazyProduct(VB);
    State q = knot.q;
    q += A.transpose().lazyProduct(v);
    Control r = knot.r;
    r += B.transpose().lazyProduct(v);
    for (Eigen::Index i = 0; i < nc; ++i) {
      const bool in_state = (knot.C.row(i).array() != 0.0).any(), in_control = (knot.D.row(i).array() != 0.0).any();
      if (!in_state && !in_control) // a bound that is not active
        continue;
      const State c = knot.C.row(i).transpose();
      const Control d = knot.D.row(i).transpose();
      if (in_state) {
        Q += c * (c / mu).transpose();
        q += c * (knot.d[i] / mu);
      }
      if (in_control) {
        R += d * (d / mu).transpose();
        r += d * (knot.d[i] / mu);
      }
      if (in_state && in_control)
        S += c * (d / mu).transpose();
    }
    const Eigen::LLT<Small> cholesky(R);
    if (cholesky.info() != Eigen::Success)
      return false;
    const Eigen::Matrix<double, NU, NX> K = -cholesky.solve(S.transpose());
    const Control k = -cholesky.solve(r);
    if (!k.allFinite()) // NaN passes the factorisation
      return false;
    factor.fb.blockRow(0) = K;
    auto multipliers = factor.fb.blockRow(1);
    for (Eigen::Index i = 0; i < nc; ++i)
      multipliers.row(i) = (knot.C.row(i) + knot.D.row(i).lazyProduct(K)) / mu;
    factor.fb.blockRow(2) = A + B.lazyProduct(K);
    factor.ff.blockSegment(0) = k;
    factor.ff.blockSegment(1) = (knot.D * k + knot.d) / mu;
    factor.ff.blockSegment(2) = knot.f + B.lazyProduct(k);
    Q += S.lazyProduct(K);
    factor.vm.Vxx = 0.5 * (Q + Q.transpose());
    factor.vm.vx = q + S.lazyProduct(k);
    return true;
  }
};

using Solve = bool (*)(const Knot &, const Factor &, Factor &, double);

/// With sizes known to the compiler for quadrotors and for arms of six and of seven joints.
Solve stage_of(const Knot &knot) {
  if (knot.nx == 12 && knot.nu == 4)
    return Stage<12, 4>::solve;
  if (knot.nx == 12 && knot.nu == 6)
    return Stage<12, 6>::solve;
  if (knot.nx == 14 && knot.nu == 7)
    return Stage<14, 7>::solve;
  return Stage<dynamic, dynamic>::solve;
}

} // namespace

bool CondensedRiccati::backward(double mu) {
  const auto &stages = problem_->stages;
  const std::size_t last = stages.size() - 1;
  Kernel::terminalSolve(stages[last], mu, datas[last]);
  for (std::size_t t = last; t-- > 0;) {
    const auto &knot = stages[t];
    if (!stage_of(knot)(knot, datas[t + 1], datas[t], mu))
      return false;
  }
  kkt0.mat(0, 0) = datas[0].vm.Vxx;
  kkt0.mat(1, 0) = problem_->G0;
  kkt0.mat(0, 1) = problem_->G0.transpose();
  kkt0.mat(1, 1).setZero();
  kkt0.chol.compute(kkt0.mat.matrix());
  kkt0.ff.blockSegment(0) = -datas[0].vm.vx;
  kkt0.ff.blockSegment(1) = -problem_->g0;
  kkt0.chol.solveInPlace(kkt0.ff.matrix());
  return true;
}

} // namespace sobo
