#include "weighted_riccati.hpp"

#include <Eigen/Cholesky>
#include <Eigen/StdVector>

namespace sobo {
namespace {

using Knot = aligator::gar::LqrKnotTpl<double>;
constexpr int dynamic = Eigen::Dynamic;

/// Dynamics of any form.
template <int NX, int NU> struct AnyDynamics {
  using Square = Eigen::Matrix<double, NX, NX>;
  using Tall = Eigen::Matrix<double, NX, NU>;
  using State = Eigen::Matrix<double, NX, 1>;
  using Control = Eigen::Matrix<double, NU, 1>;
  template <typename M> using In = Eigen::Map<const M, Eigen::Aligned16>;

  explicit AnyDynamics(const Knot &knot) : A(knot.A.data(), knot.nx, knot.nx), B(knot.B.data(), knot.nx, knot.nu) {}

  /// Q += A'VA, S += A'VB, R += B'VB.
  template <typename Q_, typename S_, typename R_> void pull_back(const Square &V, Q_ &Q, S_ &S, R_ &R) const {
    const Square VA = V.lazyProduct(A);
    const Tall VB = V.lazyProduct(B);
    Q += A.transpose().lazyProduct(VA);
    S += A.transpose().lazyProduct(VB);
    R += B.transpose().lazyProduct(VB);
  }
  /// p <- A'p, and returns B'p.
  Control pull_back(State &p) const {
    const Control b = B.transpose().lazyProduct(p);
    p = A.transpose().lazyProduct(p).eval();
    return b;
  }
  State next(const State &x, const Control &u) const { return A.lazyProduct(x) + B.lazyProduct(u); }

  In<Square> A;
  In<Tall> B;
};

/// x = [q, v], q' = q + h v + h^2/2 u, v' = v + h u.
template <int NX, int NU> struct DoubleIntegrator {
  using Square = Eigen::Matrix<double, NX, NX>;
  using State = Eigen::Matrix<double, NX, 1>;
  using Control = Eigen::Matrix<double, NU, 1>;
  using Half = Eigen::Matrix<double, NU, NU>;

  explicit DoubleIntegrator(const Knot &knot) : n(knot.nu), h(knot.B(knot.nu, 0)) {}

  static bool matches(const Knot &knot) {
    const Eigen::Index n = knot.nu;
    if (n == 0 || knot.nx != 2 * n)
      return false;
    const double h = knot.B(n, 0);
    MatrixXd A = MatrixXd::Identity(2 * n, 2 * n), B = MatrixXd::Zero(2 * n, n);
    A.topRightCorner(n, n).diagonal().setConstant(h);
    B.topRows(n).diagonal().setConstant(0.5 * h * h);
    B.bottomRows(n).diagonal().setConstant(h);
    return knot.A == A && knot.B.isApprox(B, 1e-14);
  }

  template <typename Q_, typename S_, typename R_> void pull_back(const Square &V, Q_ &Q, S_ &S, R_ &R) const {
    const double c = 0.5 * h * h;
    const Half qq = V.topLeftCorner(n, n), qv = V.topRightCorner(n, n), vv = V.bottomRightCorner(n, n);
    const Half q = h * qq + qv.transpose();         // lower left of A'V
    const Half v = h * qv + vv;                     // lower right of A'V
    Q.topLeftCorner(n, n) += qq;
    Q.topRightCorner(n, n) += q.transpose();
    Q.bottomLeftCorner(n, n) += q;
    Q.bottomRightCorner(n, n) += h * q + v;
    S.topRows(n) += c * qq + h * qv;
    S.bottomRows(n) += c * q + h * v;
    R += c * (c * qq + h * qv) + h * (c * qv.transpose() + h * vv);
  }
  Control pull_back(State &p) const {
    const Control b = 0.5 * h * h * p.head(n) + h * p.tail(n);
    p.tail(n) += h * p.head(n);
    return b;
  }
  State next(const State &x, const Control &u) const {
    State out = x;
    out.head(n) += h * x.tail(n) + 0.5 * h * h * u;
    out.tail(n) += h * u;
    return out;
  }

  Eigen::Index n;
  double h;
};

template <int NX, int NU, template <int, int> class Dynamics> class Recursion final : public WeightedRiccati {
  using Square = Eigen::Matrix<double, NX, NX>;
  using Tall = Eigen::Matrix<double, NX, NU>;
  using Small = Eigen::Matrix<double, NU, NU>;
  using Wide = Eigen::Matrix<double, NU, NX>;
  using State = Eigen::Matrix<double, NX, 1>;
  using Control = Eigen::Matrix<double, NU, 1>;
  template <typename M> using In = Eigen::Map<const M, Eigen::Aligned16>;

public:
  explicit Recursion(const Problem &problem)
      : problem_(problem), cholesky_(problem.stages.size() - 1), gains_(problem.stages.size() - 1),
        steps_(problem.stages.size() - 1) {}

  bool factor(const std::vector<StageRows> &rows, const Eigen::ArrayXd &weights) override {
    const std::size_t last = problem_.stages.size() - 1;
    const auto &end = problem_.stages[last];
    Square V = In<Square>(end.Q.data(), end.nx, end.nx);
    add(rows[last], weights, V);
    for (std::size_t t = last; t-- > 0;) {
      const auto &knot = problem_.stages[t];
      Square Q = In<Square>(knot.Q.data(), knot.nx, knot.nx);
      Tall S = In<Tall>(knot.S.data(), knot.nx, knot.nu);
      Small R = In<Small>(knot.R.data(), knot.nu, knot.nu);
      Dynamics<NX, NU>(knot).pull_back(V, Q, S, R);
      add(rows[t], weights, Q, S, R);
      cholesky_[t].compute(R);
      if (cholesky_[t].info() != Eigen::Success)
        return false;
      Wide Y = S.transpose();
      cholesky_[t].matrixL().solveInPlace(Y);
      Q -= Y.transpose().lazyProduct(Y);
      cholesky_[t].matrixU().solveInPlace(Y);
      gains_[t] = -Y;
      V = 0.5 * (Q + Q.transpose());
    }
    return V.allFinite(); // NaN passes the factorisation
  }

  void solve(const std::vector<StageRows> &rows, const Eigen::ArrayXd &linear, const Vectors &gx, const Vectors &gu,
             Vectors &xs, Vectors &us) override {
    const std::size_t last = problem_.stages.size() - 1;
    State p = gx[last];
    Control none = Control::Zero(problem_.stages[0].nu);
    add(rows[last], linear, p, none);
    for (std::size_t t = last; t-- > 0;) {
      State q = gx[t];
      Control r = gu[t];
      add(rows[t], linear, q, r);
      r += Dynamics<NX, NU>(problem_.stages[t]).pull_back(p);
      steps_[t] = -r;
      cholesky_[t].solveInPlace(steps_[t]);
      p += q + gains_[t].transpose().lazyProduct(r);
    }
    State x = State::Zero(problem_.stages[0].nx);
    xs[0] = x;
    for (std::size_t t = 0; t < last; ++t) {
      const Control u = steps_[t] + gains_[t].lazyProduct(x);
      us[t] = u;
      x = Dynamics<NX, NU>(problem_.stages[t]).next(x, u);
      xs[t + 1] = x;
    }
  }

private:
  static void add(const StageRows &rows, const Eigen::ArrayXd &weights, Square &Q) {
    Eigen::Index k = rows.first;
    for (const auto &[variable, coefficient] : rows.singles)
      Q(variable, variable) += weights[k++] * coefficient * coefficient;
    for (Eigen::Index i = 0; i < rows.general.rows(); ++i) {
      const State c = rows.general.row(i).transpose();
      Q += c * (weights[k++] * c).transpose();
    }
  }

  static void add(const StageRows &rows, const Eigen::ArrayXd &weights, Square &Q, Tall &S, Small &R) {
    const Eigen::Index nx = Q.rows();
    Eigen::Index k = rows.first;
    for (const auto &[variable, coefficient] : rows.singles) {
      const double weight = weights[k++] * coefficient * coefficient;
      if (variable < nx)
        Q(variable, variable) += weight;
      else
        R(variable - nx, variable - nx) += weight;
    }
    for (Eigen::Index i = 0; i < rows.general.rows(); ++i) {
      const State c = rows.general.row(i).head(nx).transpose();
      const Control d = rows.general.row(i).tail(R.rows()).transpose();
      const State weighted = weights[k] * c;
      Q += c * weighted.transpose();
      S += weighted * d.transpose();
      R += d * (weights[k++] * d).transpose();
    }
  }

  static void add(const StageRows &rows, const Eigen::ArrayXd &linear, State &q, Control &r) {
    const Eigen::Index nx = q.size();
    Eigen::Index k = rows.first;
    for (const auto &[variable, coefficient] : rows.singles) {
      const double value = linear[k++] * coefficient;
      if (variable < nx)
        q[variable] += value;
      else
        r[variable - nx] += value;
    }
    for (Eigen::Index i = 0; i < rows.general.rows(); ++i, ++k) {
      q += linear[k] * rows.general.row(i).head(nx).transpose();
      if (rows.general.cols() > nx)
        r += linear[k] * rows.general.row(i).tail(r.size()).transpose();
    }
  }

  const Problem &problem_;
  std::vector<Eigen::LLT<Small>, Eigen::aligned_allocator<Eigen::LLT<Small>>> cholesky_;
  std::vector<Wide, Eigen::aligned_allocator<Wide>> gains_;
  std::vector<Control, Eigen::aligned_allocator<Control>> steps_;
};

template <int NX, int NU> std::unique_ptr<WeightedRiccati> make(const WeightedRiccati::Problem &problem) {
  for (std::size_t t = 0; t + 1 < problem.stages.size(); ++t)
    if (!DoubleIntegrator<NX, NU>::matches(problem.stages[t]))
      return std::make_unique<Recursion<NX, NU, AnyDynamics>>(problem);
  return std::make_unique<Recursion<NX, NU, DoubleIntegrator>>(problem);
}

} // namespace

std::unique_ptr<WeightedRiccati> make_weighted_riccati(const WeightedRiccati::Problem &problem) {
  const auto &knot = problem.stages.front();
  if (knot.nx == 12 && knot.nu == 4)
    return std::make_unique<Recursion<12, 4, AnyDynamics>>(problem);
  if (knot.nx == 12 && knot.nu == 6)
    return make<12, 6>(problem);
  if (knot.nx == 14 && knot.nu == 7)
    return make<14, 7>(problem);
  return make<dynamic, dynamic>(problem);
}

} // namespace sobo
