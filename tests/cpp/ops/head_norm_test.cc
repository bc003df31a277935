#include "ops/head_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::ops::head_norm_test {
namespace {

using test::StatusIs;
using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr float kEps = 1e-5f;

// Heads [start, start + count) of width `dim` in a packed tensor.
struct Case {
  int64_t batch, length, heads, start, count, dim;
  DType dtype;

  Tensor Packed(int seed) const {
    return test::Normal({batch, length, heads * dim}, dtype, seed);
  }
  Tensor Part(const Tensor& packed) const {
    return Value(packed.Narrow(2, start * dim, count * dim));
  }
};

struct Reference {
  std::vector<double> y, rstd, dx, dweight;
};

// Of values in logical order: head by head of each token.
Reference Compute(const std::vector<double>& x,
                  const std::vector<double>& weight,
                  const std::vector<double>& dy) {
  const size_t dim = weight.size();
  Reference r;
  r.dweight.assign(dim, 0);
  for (size_t row = 0; row < x.size(); row += dim) {
    double spread = 0, projection = 0;
    for (size_t i = 0; i < dim; ++i) {
      spread += x[row + i] * x[row + i] / static_cast<double>(dim);
    }
    const double rstd = 1 / std::sqrt(spread + kEps);
    for (size_t i = 0; i < dim; ++i) {
      const double h = x[row + i] * rstd;
      r.y.push_back(h * weight[i]);
      r.dweight[i] += dy[row + i] * h;
      projection += dy[row + i] * weight[i] * h / static_cast<double>(dim);
    }
    for (size_t i = 0; i < dim; ++i) {
      r.dx.push_back(
          rstd * (dy[row + i] * weight[i] - x[row + i] * rstd * projection));
    }
    r.rstd.push_back(rstd);
  }
  return r;
}

TEST(HeadNorm, MatchesTheFormulaAndLeavesOthersAlone) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Case& c :
         {Case{2, 5, 6, 0, 4, 8, dtype}, Case{2, 5, 6, 4, 1, 8, dtype},
          Case{1, 3, 5, 2, 2, 5, dtype}, Case{3, 1, 1, 0, 1, 3, dtype},
          Case{1, 70, 4, 1, 3, 64, dtype}, Case{2, 33, 3, 0, 2, 129, dtype},
          Case{0, 4, 3, 0, 2, 16, dtype}}) {
      const Tensor x = c.Packed(1), dy = c.Packed(2), y = c.Packed(3),
                   dx = c.Packed(4);
      const Tensor weight = test::Normal({c.dim}, dtype, 5);
      const Tensor dweight = test::Normal({c.dim}, DType::kF32, 6);
      const std::vector<double> y_before = ToDoubles(y),
                                dx_before = ToDoubles(dx);
      const Tensor rstd = Value(
          HeadNormForward(kEps, c.Part(x), weight, c.Part(y), TheStream()));
      const Reference r = Compute(ToDoubles(c.Part(x)), ToDoubles(weight),
                                  ToDoubles(c.Part(dy)));
      SCOPED_TRACE(c.Part(x).ToString());
      test::ExpectClose(c.Part(y), r.y, test::Tolerance(dtype), 4);
      test::ExpectClose(rstd, r.rstd, 3e-6);

      const auto backward = [&](bool accumulate) {
        EISBACH_EXPECT_OK(HeadNormBackward(c.Part(dy), c.Part(x), weight, rstd,
                                           accumulate, dweight, c.Part(dx),
                                           TheStream()));
      };
      backward(false);
      double largest = 4;
      for (double v : r.dx) largest = std::max(largest, std::abs(v));
      test::ExpectClose(c.Part(dx), r.dx, test::Tolerance(dtype), largest);
      const double rows = static_cast<double>(r.rstd.size());
      test::ExpectClose(dweight, r.dweight, 2e-6, 2 + rows);
      backward(true);
      std::vector<double> twice = r.dweight;
      for (double& v : twice) v *= 2;
      test::ExpectClose(dweight, twice, 2e-6, 2 + rows);

      // What belongs to other heads is as it was.
      const std::vector<double> y_after = ToDoubles(y),
                                dx_after = ToDoubles(dx);
      for (size_t i = 0; i < y_after.size(); ++i) {
        const int64_t head =
            static_cast<int64_t>(i) % (c.heads * c.dim) / c.dim;
        if (head >= c.start && head < c.start + c.count) continue;
        ASSERT_EQ(y_after[i], y_before[i]) << i;
        ASSERT_EQ(dx_after[i], dx_before[i]) << i;
      }
    }
  }
}

TEST(HeadNorm, BackwardIsTheGradient) {
  const Case c{2, 3, 4, 1, 2, 6, DType::kF32};
  const Tensor x = c.Packed(1), dy = c.Packed(2), dx = c.Packed(4);
  const Tensor weight = test::Normal({c.dim}, c.dtype, 5);
  const Tensor dweight = test::Empty({c.dim}, DType::kF32);
  Tensor rstd;
  const auto loss = [&] {
    const Tensor y = c.Packed(3);
    rstd =
        Value(HeadNormForward(kEps, c.Part(x), weight, c.Part(y), TheStream()));
    const std::vector<double> out = ToDoubles(c.Part(y)),
                              seed = ToDoubles(c.Part(dy));
    double sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += out[i] * seed[i];
    return sum;
  };
  loss();
  test::Assign(dx, std::vector<double>(dx.elements(), 0));
  EISBACH_ASSERT_OK(HeadNormBackward(c.Part(dy), c.Part(x), weight, rstd, false,
                                     dweight, c.Part(dx), TheStream()));
  test::ExpectGradient(x, dx, loss);
  test::ExpectGradient(weight, dweight, loss);
}

TEST(HeadNorm, NamesWhatDoesNotFit) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  const Case c{2, 3, 4, 1, 2, 6, DType::kF32};
  const Tensor x = c.Packed(1), y = c.Packed(2);
  const Tensor weight = test::Normal({5}, DType::kF32, 5);
  EXPECT_THAT(
      HeadNormForward(kEps, c.Part(x), weight, c.Part(y), TheStream()).status(),
      StatusIs(bad, "head_norm_forward: x=f32[2, 3, 12]"));
  const Tensor fitting = test::Normal({6}, DType::kF32, 5);
  EXPECT_THAT(
      HeadNormForward(kEps, c.Part(x), fitting,
                      test::Normal({2, 3, 12}, DType::kF32, 1), TheStream())
          .status(),
      StatusIs(bad, "must be strided as its like"));
  EXPECT_THAT(
      HeadNormForward(kEps, Value(x.Transpose(0, 1)), fitting, y, TheStream())
          .status(),
      StatusIs(bad, "evenly spaced rows"));
}

TEST(HeadNorm, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const Tensor qkv = test::Empty({2, 3, 32}, DType::kBF16, meta);
  const Tensor part = Value(qkv.Narrow(2, 8, 16));
  const Tensor weight = test::Empty({8}, DType::kBF16, meta);
  const auto costs = test::MetaCosts([&] {
    const Tensor rstd =
        Value(HeadNormForward(kEps, part, weight, part, test::MetaStream()));
    EXPECT_EQ(rstd.shape(), (Shape{12}));
  });
  ASSERT_EQ(costs.size(), 1u);
  EXPECT_EQ(costs[0].second.bytes_read, 192 + 16);
  EXPECT_EQ(costs[0].second.bytes_written, 192 + 48);
}

}  // namespace
}  // namespace eisbach::ops::head_norm_test
