#include "weighted_riccati.hpp"

#include <new>

#include <Eigen/Cholesky>
#include <Eigen/StdVector>

#include "processor.hpp"

namespace sobo {

extern const LqKernel lq_kernel_baseline;
#ifdef SOBO_X86_KERNELS
extern const LqKernel lq_kernel_avx2, lq_kernel_avx512;
#endif

const LqKernel *find_lq_kernel(const char *name) {
  return choose<LqKernel>({
#ifdef SOBO_X86_KERNELS
                              {Instructions::Avx512, &lq_kernel_avx512},
                              {Instructions::Avx2, &lq_kernel_avx2},
#endif
                              {Instructions::Baseline, &lq_kernel_baseline}},
                          name);
}

namespace {

using Knot = aligator::gar::LqrKnotTpl<double>;
constexpr int dynamic = Eigen::Dynamic;

/// Of dynamics of any form.
template <int NX, int NU> class Recursion final : public WeightedRiccati {
  using Square = Eigen::Matrix<double, NX, NX>;
  using Tall = Eigen::Matrix<double, NX, NU>;
  using Small = Eigen::Matrix<double, NU, NU>;
  using Wide = Eigen::Matrix<double, NU, NX>;
  using State = Eigen::Matrix<double, NX, 1>;
  using Control = Eigen::Matrix<double, NU, 1>;
  template <typename M> using In = Eigen::Map<const M, Eigen::Aligned16>;
  template <typename M> using Part = Eigen::Map<const M>;

public:
  explicit Recursion(const Problem &problem)
      : problem_(problem), last_(problem.stages.size() - 1), nx_(problem.stages[0].nx), nu_(problem.stages[0].nu),
        cholesky_(last_), gains_(last_), steps_(last_) {}

  bool factor(const GeneralRows &rows, const double *weights) override {
    const double *of_rows = weights + (nx_ + nu_) * last_ + nx_;
    int row = rows.count;
    Small none = Small::Zero(nu_, nu_);
    Tall nothing = Tall::Zero(nx_, nu_);
    Square V = In<Square>(problem_.stages[last_].Q.data(), nx_, nx_);
    V.diagonal() += Part<State>(weights + (nx_ + nu_) * last_, nx_);
    row = add(rows, row, last_, of_rows, V, nothing, none);
    for (std::size_t t = last_; t-- > 0;) {
      const auto &knot = problem_.stages[t];
      const In<Square> A(knot.A.data(), nx_, nx_);
      const In<Tall> B(knot.B.data(), nx_, nu_);
      const Square VA = V.lazyProduct(A);
      const Tall VB = V.lazyProduct(B);
      Square Q = In<Square>(knot.Q.data(), nx_, nx_) + A.transpose().lazyProduct(VA);
      Tall S = In<Tall>(knot.S.data(), nx_, nu_) + A.transpose().lazyProduct(VB);
      Small R = In<Small>(knot.R.data(), nu_, nu_) + B.transpose().lazyProduct(VB);
      Q.diagonal() += Part<State>(weights + (nx_ + nu_) * t, nx_);
      R.diagonal() += Part<Control>(weights + (nx_ + nu_) * t + nx_, nu_);
      row = add(rows, row, t, of_rows, Q, S, R);
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

  void solve(const double *gradient, double *z) override {
    State p = Part<State>(gradient + (nx_ + nu_) * last_, nx_);
    for (std::size_t t = last_; t-- > 0;) {
      const auto &knot = problem_.stages[t];
      const double *g = gradient + (nx_ + nu_) * t;
      Control r = Part<Control>(g + nx_, nu_);
      r += In<Tall>(knot.B.data(), nx_, nu_).transpose().lazyProduct(p);
      steps_[t] = -r;
      cholesky_[t].solveInPlace(steps_[t]);
      p = (In<Square>(knot.A.data(), nx_, nx_).transpose().lazyProduct(p) + Part<State>(g, nx_)).eval();
      p += gains_[t].transpose().lazyProduct(r);
    }
    State x = State::Zero(nx_);
    for (std::size_t t = 0; t < last_; ++t, z += nx_ + nu_) {
      const auto &knot = problem_.stages[t];
      const Control u = steps_[t] + gains_[t].lazyProduct(x);
      Eigen::Map<State>(z, nx_) = x;
      Eigen::Map<Control>(z + nx_, nu_) = u;
      x = (In<Square>(knot.A.data(), nx_, nx_).lazyProduct(x) + In<Tall>(knot.B.data(), nx_, nu_).lazyProduct(u)).eval();
    }
    Eigen::Map<State>(z, nx_) = x;
  }

  void multiply(std::size_t t, const double *z, double *out) const override {
    const auto &knot = problem_.stages[t];
    const Part<State> x(z, nx_);
    Eigen::Map<State> by_x(out, nx_);
    by_x.noalias() = knot.Q * x;
    if (t == last_)
      return;
    const Part<Control> u(z + nx_, nu_);
    by_x.noalias() += knot.S * u;
    Eigen::Map<Control>(out + nx_, nu_).noalias() = knot.R * u + knot.S.transpose() * x;
  }

  void gains(std::size_t t, Eigen::Ref<RowMatrixXd> by_state, Eigen::Ref<VectorXd> constant) const override {
    by_state = gains_[t];
    constant = steps_[t];
  }

private:
  /// Of the rows before `row` those of this stage, which come last; the number of those that are left.
  int add(const GeneralRows &rows, int row, std::size_t t, const double *weights, Square &Q, Tall &S, Small &R) const {
    for (; row > 0 && rows.stage[row - 1] == static_cast<int>(t); --row) {
      const double *coefficients = rows.coefficients + (nx_ + nu_) * (row - 1);
      const State c = Part<State>(coefficients, nx_);
      const Control d = Part<Control>(coefficients + nx_, nu_);
      const State weighted = weights[row - 1] * c;
      Q += c * weighted.transpose();
      S += weighted * d.transpose();
      R += d * (weights[row - 1] * d).transpose();
    }
    return row;
  }

  const Problem &problem_;
  std::size_t last_;
  Eigen::Index nx_, nu_;
  std::vector<Eigen::LLT<Small>, Eigen::aligned_allocator<Eigen::LLT<Small>>> cholesky_;
  std::vector<Wide, Eigen::aligned_allocator<Wide>> gains_;
  std::vector<Control, Eigen::aligned_allocator<Control>> steps_;
};

/// Whether x = [q, v], q' = q + h v + h^2/2 u, v' = v + h u.
bool is_double_integrator(const Knot &knot) {
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

/// By a kernel for the processor at hand.
class IntegratorRecursion final : public WeightedRiccati {
public:
  explicit IntegratorRecursion(const Problem &problem)
      : problem_(problem), n_(problem.stages[0].nu), unit_(kernel_.packed(n_)), factored_(kernel_.factored(n_)),
        hessians_(allocate(unit_ * problem.stages.size())), factors_(allocate(factored_ * problem.stages.size())) {}

  bool packs() const override { return true; }
  void load(std::size_t t, const StageHessian &hessian) override { kernel_.pack(hessian, hessians_.get() + unit_ * t); }
  void multiply(std::size_t t, const double *z, double *out) const override {
    kernel_.multiply(n_, t + 1 == problem_.stages.size(), hessians_.get() + unit_ * t, z, out);
  }
  bool factor(const GeneralRows &rows, const double *weights) override {
    const int steps = static_cast<int>(problem_.stages.size()) - 1;
    lq_ = {n_, steps, problem_.stages[0].B(n_, 0), hessians_.get(), factors_.get(), rows};
    return kernel_.factor(lq_, weights);
  }
  void solve(const double *gradient, double *z) override { kernel_.solve(lq_, gradient, z); }

  void gains(std::size_t t, Eigen::Ref<RowMatrixXd> by_state, Eigen::Ref<VectorXd> constant) const override {
    const int stride = static_cast<int>(by_state.outerStride());
    kernel_.gains(n_, factors_.get() + factored_ * t, by_state.data(), stride, constant.data());
  }

private:
  struct Free {
    void operator()(double *p) const { ::operator delete[](p, std::align_val_t(64)); }
  };
  using Memory = std::unique_ptr<double[], Free>;
  static Memory allocate(std::size_t size) {
    return Memory(new (::operator new[](size * sizeof(double), std::align_val_t(64))) double[size]());
  }

  const LqKernel &kernel_ = *find_lq_kernel();
  const Problem &problem_;
  int n_;
  std::size_t unit_, factored_;
  Memory hessians_, factors_;
  DoubleIntegrator lq_{};
};

} // namespace

std::unique_ptr<WeightedRiccati> make_weighted_riccati(const WeightedRiccati::Problem &problem) {
  const auto &knot = problem.stages.front();
  const bool fits = static_cast<int>(knot.nu) <= find_lq_kernel()->most_joints;
  if (fits && std::all_of(problem.stages.begin(), problem.stages.end() - 1, is_double_integrator))
    return std::make_unique<IntegratorRecursion>(problem);
  if (knot.nx == 12 && knot.nu == 4)
    return std::make_unique<Recursion<12, 4>>(problem);
  if (knot.nx == 12 && knot.nu == 6)
    return std::make_unique<Recursion<12, 6>>(problem);
  if (knot.nx == 14 && knot.nu == 7)
    return std::make_unique<Recursion<14, 7>>(problem);
  return std::make_unique<Recursion<dynamic, dynamic>>(problem);
}

} // namespace sobo
