#include "weighted_riccati.hpp"

#include <new>

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

/// Doubles at an address that suits vectors.
class Memory {
public:
  explicit Memory(std::size_t size)
      : at_(new (::operator new[](size * sizeof(double), std::align_val_t(64))) double[size]()) {}
  double *data() const { return at_.get(); }

private:
  struct Free {
    void operator()(double *p) const { ::operator delete[](p, std::align_val_t(64)); }
  };
  std::unique_ptr<double[], Free> at_;
};

/// Vectors that a state does not fill cost memory and save nothing.
const DenseKernel &kernel_for(Eigen::Index nx) {
  const LqKernel *narrow = nx <= 4 ? find_lq_kernel("avx2") : nullptr;
  return (narrow ? narrow : find_lq_kernel())->dense;
}

/// Of dynamics of any form, by a kernel for the processor at hand.
class DenseRecursion final : public WeightedRiccati {
public:
  explicit DenseRecursion(const Problem &problem)
      : kernel_(kernel_for(problem.stages[0].nx)), problem_(problem), nx_(static_cast<int>(problem.stages[0].nx)), nu_(static_cast<int>(problem.stages[0].nu)),
        unit_(kernel_.packed(nx_, nu_)), factored_(kernel_.factored(nx_, nu_)), stages_(unit_ * problem.stages.size()),
        factors_(factored_ * problem.stages.size()), work_(kernel_.work(nx_, nu_)),
        values_(kernel_.value(nx_, nu_) * (problem.stages.size() / kernel_.kept + 1)),
        lq_{nx_, nu_, static_cast<int>(problem.stages.size()) - 1, stages_.data(), factors_.data(), work_.data(),
            values_.data(), {}} {}

  void load(std::size_t t, const StageHessian &hessian) override {
    const auto &knot = problem_.stages[t];
    kernel_.pack(hessian, knot.A.data(), knot.B.data(), stages_.data() + unit_ * t);
  }
  void multiply(std::size_t t, const double *z, double *out) const override {
    kernel_.multiply(nx_, nu_, t + 1 == problem_.stages.size(), stages_.data() + unit_ * t, z, out);
  }
  bool factor(const GeneralRows &rows, const double *weights, int last) override {
    lq_.rows = rows;
    return kernel_.factor(lq_, weights, last);
  }
  void solve(const double *gradient, double *z, double *slope_at_start) override {
    kernel_.solve(lq_, gradient, z, slope_at_start);
  }
  void costates(const double *weights, const double *gradient, const double *z, double *out) const override {
    kernel_.costates(lq_, weights, gradient, z, out);
  }
  void gains(std::size_t t, Eigen::Ref<RowMatrixXd> by_state, Eigen::Ref<VectorXd> constant) const override {
    const int stride = static_cast<int>(by_state.outerStride());
    kernel_.gains(nx_, nu_, factors_.data() + factored_ * t, by_state.data(), stride, constant.data());
  }

private:
  const DenseKernel &kernel_;
  const Problem &problem_;
  int nx_, nu_;
  std::size_t unit_, factored_;
  Memory stages_, factors_, work_, values_;
  DenseProblem lq_;
};

/// Whether x = [q, v], q' = q + h v + c u, v' = v + h u.
bool is_double_integrator(const Knot &knot) {
  const Eigen::Index n = knot.nu;
  if (n == 0 || knot.nx != 2 * n)
    return false;
  const double h = knot.B(n, 0);
  MatrixXd A = MatrixXd::Identity(2 * n, 2 * n), B = MatrixXd::Zero(2 * n, n);
  A.topRightCorner(n, n).diagonal().setConstant(h);
  B.topRows(n).diagonal().setConstant(knot.B(0, 0));
  B.bottomRows(n).diagonal().setConstant(h);
  return knot.A == A && knot.B.isApprox(B, 1e-14);
}

/// Of double integrators, likewise.
class IntegratorRecursion final : public WeightedRiccati {
public:
  explicit IntegratorRecursion(const Problem &problem)
      : problem_(problem), n_(problem.stages[0].nu), unit_(kernel_.packed(n_)), factored_(kernel_.factored(n_)),
        hessians_(unit_ * problem.stages.size()), factors_(factored_ * problem.stages.size()) {}

  void load(std::size_t t, const StageHessian &hessian) override { kernel_.pack(hessian, hessians_.data() + unit_ * t); }
  void multiply(std::size_t t, const double *z, double *out) const override {
    kernel_.multiply(n_, t + 1 == problem_.stages.size(), hessians_.data() + unit_ * t, z, out);
  }
  bool factor(const GeneralRows &rows, const double *weights, int) override {
    const int steps = static_cast<int>(problem_.stages.size()) - 1;
    const auto &B = problem_.stages[0].B;
    lq_ = {n_, steps, B(n_, 0), B(0, 0), hessians_.data(), factors_.data(), rows};
    return kernel_.factor(lq_, weights);
  }
  void solve(const double *gradient, double *z, double *slope_at_start) override {
    kernel_.solve(lq_, gradient, z, slope_at_start);
  }
  void costates(const double *weights, const double *gradient, const double *z, double *out) const override {
    kernel_.costates(lq_, weights, gradient, z, out);
  }
  void gains(std::size_t t, Eigen::Ref<RowMatrixXd> by_state, Eigen::Ref<VectorXd> constant) const override {
    const int stride = static_cast<int>(by_state.outerStride());
    kernel_.gains(n_, factors_.data() + factored_ * t, by_state.data(), stride, constant.data());
  }

private:
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
  return std::make_unique<DenseRecursion>(problem);
}

} // namespace sobo
