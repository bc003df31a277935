// Kernels are compiled for several instruction sets and the best is chosen when
// they first run. Here every one that this machine has is made to run, down to
// the baseline that a machine without AVX2 would use.

#include <gtest/gtest.h>

#include <functional>

#include "hwy/highway.h"
#include "ops/activation.h"
#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/optimizer.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/xielu.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::targets_test {
namespace {

using test::Empty;
using test::IsOk;
using test::Normal;
using test::TheStream;
using test::Value;

class ScopedTarget {
 public:
  explicit ScopedTarget(int64_t target) { Choose(target); }
  ~ScopedTarget() { Choose(0); }

 private:
  static void Choose(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

std::vector<int64_t> Targets() {
  std::vector<int64_t> targets = {HWY_ENABLED_BASELINE};
  const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  for (int bit = 0; bit < 62; ++bit) {
    const int64_t target = int64_t{1} << bit;
    if ((supported & target) != 0) targets.push_back(target);
  }
  return targets;
}

// `op` on every target is close to the chosen target's result. The tolerance
// is for sums in another order, and for fused multiply-adds.
void ExpectSameOnAllTargets(const std::function<std::vector<Tensor>()>& op,
                            bool bitwise = false) {
  const std::vector<Tensor> expected = op();
  for (int64_t target : Targets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    const ScopedTarget scope(target);
    const std::vector<Tensor> got = op();
    for (size_t i = 0; i < got.size(); ++i) {
      if (bitwise) {
        EXPECT_EQ(test::ToBytes(got[i]), test::ToBytes(expected[i]));
      } else {
        const double tolerance = 2 * test::Tolerance(got[i].dtype());
        test::ExpectClose(got[i], test::ToDoubles(expected[i]), tolerance, 4);
      }
    }
  }
}

TEST(Targets, MultiplyFewRowsAlike) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (int64_t rows : {1, 5, 8}) {
      const Tensor x = Normal({rows, 77}, dtype, 1, 0.1);
      const Tensor w = Normal({69, 77}, dtype, 2);
      ExpectSameOnAllTargets([&] {
        return std::vector<Tensor>{
            Value(ops::LinearForward(x, w, nullptr, TheStream()))};
      });
    }
  }
}

TEST(Targets, ConvertAlike) {
  const Tensor x = Normal({5000}, DType::kF32, 1, 1e-5);
  const Tensor bf16 = Normal({5001}, DType::kBF16, 2, 1e3);
  const Tensor f16 = Normal({5002}, DType::kF16, 3, 1e-5);
  ExpectSameOnAllTargets(
      [&] {
        return std::vector<Tensor>{
            Value(ops::Cast(x, DType::kBF16, TheStream())),
            Value(ops::Cast(x, DType::kF16, TheStream())),
            Value(ops::Cast(bf16, DType::kF16, TheStream())),
            Value(ops::Cast(f16, DType::kF32, TheStream()))};
      },
      /*bitwise=*/true);
}

TEST(Targets, DropTheSameElements) {
  const Tensor x = Normal({2, 3, 77}, DType::kBF16, 1);
  const ops::DropoutSource source = {
      .seed = 5,
      .layer = 6,
      .step = test::FromValues({1}, DType::kI64, {9}),
      .sample_index = test::FromValues({2}, DType::kI64, {3, 1}),
      .first_feature = 3};
  ExpectSameOnAllTargets(
      [&] {
        return std::vector<Tensor>{
            Value(ops::Dropout(x, 0.4f, source, TheStream()))};
      },
      /*bitwise=*/true);
}

TEST(Targets, ComputeAlike) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor x = Normal({70, 46}, dtype, 1),
                 dy = Normal({70, 46}, dtype, 2);
    const Tensor half = Normal({70, 23}, dtype, 3);
    const Tensor weight = Normal({46}, dtype, 4);
    const Tensor targets = test::Indices({70}, DType::kI32, 46, 5);
    ExpectSameOnAllTargets([&] {
      Stream& stream = TheStream();
      const Tensor dweight = Empty({46}, DType::kF32);
      const Tensor dbias = Empty({46}, DType::kF32);
      const Tensor sums = Empty({46}, DType::kF32);
      const auto norm = Value(ops::NormForward(ops::NormKind::kLayer, 1e-5f, x,
                                               &dy, weight, &weight, stream));
      const Tensor dx = Value(ops::NormBackward(
          ops::NormKind::kLayer, dy, nullptr, norm.sum, weight, &norm.mean,
          norm.rstd, false, dweight, &dbias, stream));
      EXPECT_THAT(ops::ColumnSum(x, false, sums, stream), IsOk());
      const Tensor stats =
          Value(ops::CrossEntropyStats(x, targets, 0, 46, stream));
      const auto loss = Value(ops::CrossEntropyCombine(
          Value(stats.View({1, 70, 3})), targets, 46, stream));
      const Tensor dlogits = test::Clone(x);
      EXPECT_THAT(ops::CrossEntropyBackward(dlogits, targets, loss.lse, 0, 46,
                                            1.0f, stream),
                  IsOk());
      const Tensor p = Value(ops::SoftmaxForward(x, stream));
      const Tensor alpha = test::FromValues({1}, dtype, {0.5});
      const Tensor dp = Empty({1}, DType::kF32), dn = Empty({1}, DType::kF32);
      const Tensor dxielu =
          Value(ops::XieluBackward(dy, x, alpha, alpha, false, dp, dn, stream));
      return std::vector<Tensor>{
          Value(ops::XieluForward(x, alpha, alpha, stream)),
          dxielu,
          dp,
          dn,
          Value(ops::SwigluForward(x, stream, ops::Gate::kGelu)),
          Value(ops::SwigluBackward(half, x, stream, ops::Gate::kGelu)),
          norm.y,
          dx,
          dweight,
          dbias,
          sums,
          loss.loss,
          dlogits,
          p,
          Value(ops::SoftmaxBackward(dy, p, stream)),
          Value(ops::GeluForward(x, stream)),
          Value(ops::GeluBackward(dy, x, stream)),
          Value(ops::SwigluForward(x, stream)),
          Value(ops::SwigluBackward(half, x, stream)),
          Value(ops::Add(x, dy, stream))};
    });
  }
}

TEST(Targets, UpdateAlike) {
  const Tensor grad = Normal({101}, DType::kF32, 1);
  const Tensor state = test::FromValues({ops::kStepStateSize}, DType::kF32,
                                        {0.01, 0.5, 1, 0.1, 0.05, 0, 0, 0});
  ExpectSameOnAllTargets([&] {
    const Tensor master = Normal({101}, DType::kF32, 2);
    const Tensor m = Normal({101}, DType::kF32, 3);
    const Tensor v =
        test::FromValues({101}, DType::kF32, std::vector<double>(101, 0.5));
    const Tensor data = Empty({101}, DType::kBF16);
    EXPECT_THAT(ops::AdamW({.master = master,
                            .grad = grad,
                            .m = m,
                            .v = v,
                            .data = data,
                            .step_state = state,
                            .beta1 = 0.9f,
                            .beta2 = 0.95f,
                            .eps = 1e-8f,
                            .weight_decay = 0.1f},
                           TheStream()),
                IsOk());
    EXPECT_THAT(ops::Sgd({.master = master,
                          .grad = grad,
                          .m = &m,
                          .data = master,
                          .step_state = state,
                          .momentum = 0.9f,
                          .weight_decay = 0.1f},
                         TheStream()),
                IsOk());
    const Tensor squares = Empty({1}, DType::kF64);
    EXPECT_THAT(ops::SumOfSquares(grad, false, squares, TheStream()), IsOk());
    const Tensor count = Empty({1}, DType::kI64);
    EXPECT_THAT(ops::CountNonFinite(grad, count, TheStream()), IsOk());
    return std::vector<Tensor>{master, m, v, data, count};
  });
}

}  // namespace
}  // namespace eisbach::targets_test
