#include "ops/norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::norm_test {
namespace {

using ops::NormKind;
using test::Empty;
using test::ExpectClose;
using test::FromValues;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr float kEps = 1e-5f;
constexpr NormKind kKinds[] = {NormKind::kLayer, NormKind::kRms,
                               NormKind::kRmsPlusOne};

// One norm with its inputs; `bias` and `dbias` are used by layer norm alone.
struct Case {
  NormKind kind;
  DType dtype;
  Shape shape;
  bool with_residual;

  bool layer() const { return kind == NormKind::kLayer; }
  int64_t width() const { return shape[-1]; }

  Tensor x = Normal(shape, dtype, 1);
  Tensor residual = Normal(shape, dtype, 2);
  Tensor weight = Normal({width()}, dtype, 3);
  Tensor bias = Normal({width()}, dtype, 4);
  Tensor dy = Normal(shape, dtype, 5);
  Tensor dsum = Normal(shape, dtype, 6);
  Tensor dweight = Normal({width()}, DType::kF32, 7);
  Tensor dbias = Normal({width()}, DType::kF32, 8);

  ops::NormOutput Forward() const {
    return Value(ops::NormForward(kind, kEps, x,
                                  with_residual ? &residual : nullptr, weight,
                                  layer() ? &bias : nullptr, TheStream()));
  }
  Tensor Backward(const ops::NormOutput& out, bool accumulate) const {
    return Value(ops::NormBackward(
        kind, dy, with_residual ? &dsum : nullptr, out.sum, weight,
        layer() ? &out.mean : nullptr, out.rstd, accumulate, dweight,
        layer() ? &dbias : nullptr, TheStream()));
  }
};

struct Reference {
  std::vector<double> y, mean, rstd, dx, dweight, dbias;
};

// `sum` as the op stored it, since backward and y are defined by that.
Reference Compute(const Case& c, const std::vector<double>& sum) {
  std::vector<double> weight = ToDoubles(c.weight);
  if (c.kind == NormKind::kRmsPlusOne) {
    for (double& w : weight) w += 1;
  }
  const std::vector<double> bias = ToDoubles(c.bias), dy = ToDoubles(c.dy),
                            dsum = ToDoubles(c.dsum);
  const int64_t width = c.width();
  Reference r;
  r.dweight.assign(width, 0.0);
  r.dbias.assign(width, 0.0);
  for (size_t row = 0; row < sum.size(); row += width) {
    double mean = 0, spread = 0, g_mean = 0, gh_mean = 0;
    if (c.layer()) {
      for (int64_t i = 0; i < width; ++i) mean += sum[row + i] / width;
    }
    for (int64_t i = 0; i < width; ++i) {
      spread += std::pow(sum[row + i] - mean, 2) / width;
    }
    const double rstd = 1.0 / std::sqrt(spread + kEps);
    for (int64_t i = 0; i < width; ++i) {
      const double h = (sum[row + i] - mean) * rstd;
      r.y.push_back(h * weight[i] + (c.layer() ? bias[i] : 0));
      g_mean += dy[row + i] * weight[i] / width;
      gh_mean += dy[row + i] * weight[i] * h / width;
      r.dweight[i] += dy[row + i] * h;
      r.dbias[i] += dy[row + i];
    }
    for (int64_t i = 0; i < width; ++i) {
      const double h = (sum[row + i] - mean) * rstd;
      r.dx.push_back(rstd * (dy[row + i] * weight[i] -
                             (c.layer() ? g_mean : 0) - h * gh_mean) +
                     (c.with_residual ? dsum[row + i] : 0));
    }
    r.mean.push_back(mean);
    r.rstd.push_back(rstd);
  }
  return r;
}

void ExpectMatches(const Case& c) {
  SCOPED_TRACE(c.x.ToString());
  const ops::NormOutput out = c.Forward();
  if (c.with_residual) {
    std::vector<double> sum = ToDoubles(c.x);
    const std::vector<double> residual = ToDoubles(c.residual);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += residual[i];
    ExpectClose(out.sum, sum);
  } else {
    EXPECT_EQ(out.sum.raw(), c.x.raw());
  }
  const Reference r = Compute(c, ToDoubles(out.sum));
  const double tolerance = test::Tolerance(c.dtype);
  ExpectClose(out.y, r.y, tolerance, 4);
  ExpectClose(out.rstd, r.rstd, 3e-6);
  EXPECT_EQ(out.mean.defined(), c.layer());
  if (c.layer()) ExpectClose(out.mean, r.mean, 1e-6);

  // A row of width one has rstd up to 1/sqrt(eps).
  double largest = 4;
  for (double v : r.rstd) largest = std::max(largest, v);
  for (double v : r.dx) largest = std::max(largest, std::abs(v));
  ExpectClose(c.Backward(out, false), r.dx, tolerance, largest);
  const double rows = static_cast<double>(r.rstd.size());
  ExpectClose(c.dweight, r.dweight, 2e-6, 2 + rows);
  if (c.layer()) ExpectClose(c.dbias, r.dbias, 2e-6, 2 + rows);
  c.Backward(out, true);
  std::vector<double> twice = r.dweight;
  for (double& v : twice) v *= 2;
  ExpectClose(c.dweight, twice, 2e-6, 2 + rows);
}

TEST(Norm, MatchesTheFormula) {
  for (NormKind kind : kKinds) {
    for (DType dtype : test::kFloatDTypes) {
      for (const Shape& shape :
           {Shape{8}, Shape{3, 5}, Shape{2, 7, 33}, Shape{70, 64}, Shape{0, 6},
            Shape{33, 129}, Shape{5, 1}}) {
        for (bool with_residual : {false, true}) {
          ExpectMatches({kind, dtype, shape, with_residual});
        }
      }
    }
  }
}

// Rows that need a block of the GPU, with and without alignment, and rows that
// no block can hold. One kind of number has more rows than the GPU has blocks.
TEST(Norm, MatchesTheFormulaInWideRows) {
  for (NormKind kind : kKinds) {
    for (DType dtype : test::kFloatDTypes) {
      const int64_t rows = dtype == DType::kF32 ? 19 : 3;
      for (const Shape& shape :
           {Shape{rows, 256}, Shape{2, 512}, Shape{3, 1032}, Shape{rows, 1499},
            Shape{2, 4099}}) {
        ExpectMatches({kind, dtype, shape, /*with_residual=*/true});
      }
    }
    ExpectMatches({kind, DType::kBF16, Shape{2, 33000}, true});
    ExpectMatches({kind, DType::kF32, Shape{2, 16640}, false});
    ExpectMatches({kind, DType::kF16, Shape{3, 8195}, true});
  }
}

TEST(Norm, BackwardIsTheGradient) {
  for (NormKind kind : kKinds) {
    const Case c{kind, DType::kF32, Shape{3, 9}, true};
    const auto loss = [&] {
      const ops::NormOutput out = c.Forward();
      return test::Dot(out.y, c.dy) + test::Dot(out.sum, c.dsum);
    };
    const Tensor dx = c.Backward(c.Forward(), false);
    test::ExpectGradient(c.x, dx, loss);
    test::ExpectGradient(c.residual, dx, loss);
    test::ExpectGradient(c.weight, c.dweight, loss);
    if (c.layer()) test::ExpectGradient(c.bias, c.dbias, loss);
  }
}

TEST(Norm, NormalizesOnceMoreInTheSameBits) {
  for (NormKind kind : kKinds) {
    for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const Shape& shape : {Shape{1, 1}, Shape{3, 5, 33}, Shape{70, 128},
                                 Shape{0, 8}, Shape{2, 5000}}) {
        const Case c{kind, dtype, shape, /*with_residual=*/true};
        const ops::NormOutput out = c.Forward();
        EXPECT_EQ(test::ToBytes(Value(ops::Normalize(
                      kind, out.sum, c.weight, c.layer() ? &c.bias : nullptr,
                      c.layer() ? &out.mean : nullptr, out.rstd, TheStream()))),
                  test::ToBytes(out.y));
      }
    }
  }
}

// A large common offset cancels in layer norm: the variance needs two passes.
TEST(Norm, SurvivesALargeMean) {
  const Case c{NormKind::kLayer, DType::kF32, Shape{2, 64}, false};
  std::vector<double> values = ToDoubles(c.x);
  for (double& v : values) v += 1000;
  test::Assign(c.x, values);
  const ops::NormOutput out = c.Forward();
  ExpectClose(out.y, Compute(c, ToDoubles(c.x)).y, 3e-4);
}

TEST(Norm, KeepsNaNToItsRow) {
  for (NormKind kind : kKinds) {
    const Case c{kind, DType::kBF16, Shape{3, 10}, false};
    std::vector<double> values = ToDoubles(c.x);
    values[13] = std::numeric_limits<double>::quiet_NaN();
    test::Assign(c.x, values);
    const std::vector<double> y = ToDoubles(c.Forward().y);
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(std::isnan(y[i]), i / 10 == 1) << i;
    }
  }
}

TEST(Norm, DoesNotDependOnThreads) {
  for (NormKind kind : kKinds) {
    for (DType dtype : test::kFloatDTypes) {
      const Case c{kind, dtype, Shape{301, 133}, true};
      test::ExpectThreadInvariant([&] {
        const ops::NormOutput out = c.Forward();
        const Tensor dx = c.Backward(out, false);
        return std::vector<Tensor>{out.sum, out.y, out.rstd, dx, c.dweight};
      });
    }
  }
}

TEST(Norm, TakesOperandsAtAnyOffset) {
  for (NormKind kind : kKinds) {
    const bool layer = kind == NormKind::kLayer;
    for (DType dtype : test::kFloatDTypes) {
      const Tensor x = Normal({3, 64}, dtype, 1),
                   other = Normal({3, 64}, dtype, 2),
                   past = Normal({3, 64}, dtype, 3),
                   weight = Normal({64}, dtype, 4),
                   bias = Normal({64}, dtype, 5), out = Empty({3, 64}, dtype),
                   mean = FromValues({3}, DType::kF32, {0.1, 0.2, 0.3}),
                   rstd = FromValues({3}, DType::kF32, {0.9, 1, 1.1}),
                   dweight = Normal({64}, DType::kF32, 6),
                   dbias = Normal({64}, DType::kF32, 7);
      test::ExpectAnyAlignment(
          {x, other, weight, bias, out, out, mean, rstd},
          [&](const std::vector<Tensor>& t) {
            return ops::NormForwardSlot().Run(
                {kind, kEps, t[0], &t[1], t[2], layer ? &t[3] : nullptr, &t[4],
                 t[5], layer ? &t[6] : nullptr, t[7]},
                {}, TheStream());
          },
          4);
      test::ExpectAnyAlignment(
          {x, weight, bias, mean, rstd, out},
          [&](const std::vector<Tensor>& t) {
            return ops::NormalizeSlot().Run(
                {t[0], t[1], layer ? &t[2] : nullptr, layer ? &t[3] : nullptr,
                 t[4], t[5]},
                {}, TheStream());
          },
          4);
      test::ExpectAnyAlignment(
          {other, past, x, weight, mean, rstd, dweight, dbias, out},
          [&](const std::vector<Tensor>& t) {
            return ops::NormBackwardSlot().Run(
                {kind, t[0], &t[1], t[2], t[3], layer ? &t[4] : nullptr, t[5],
                 true, t[6], layer ? &t[7] : nullptr, t[8]},
                {}, TheStream());
          },
          4);
    }
  }
}

TEST(Norm, NamesWhatDoesNotFit) {
  const Tensor x = Normal({2, 4}, DType::kF32, 1);
  const Tensor weight = Normal({4}, DType::kF32, 2);
  const auto forward = [&](NormKind kind, const Tensor& w, const Tensor* bias) {
    return ops::NormForward(kind, kEps, x, nullptr, w, bias, TheStream())
        .status();
  };
  EXPECT_THAT(forward(NormKind::kRms, weight, &weight),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "norm_forward: rms norm takes no bias"));
  EXPECT_THAT(forward(NormKind::kLayer, weight, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "norm_forward: layer norm needs bias"));
  EXPECT_THAT(forward(NormKind::kRms, Normal({5}, DType::kF32, 2), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight=f32[5] on cpu must have the shape "
                       "[4]"));
  EXPECT_THAT(forward(NormKind::kRms, Normal({4}, DType::kBF16, 2), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight=bf16[4] on cpu must be f32"));
}

TEST(Norm, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const Tensor x = Empty({2, 3, 8}, DType::kBF16, meta);
  const Tensor weight = Empty({8}, DType::kBF16, meta);
  const Tensor dweight = Empty({8}, DType::kF32, meta);
  const auto costs = test::MetaCosts([&] {
    const ops::NormOutput out = Value(ops::NormForward(
        NormKind::kRms, kEps, x, &x, weight, nullptr, test::MetaStream()));
    EXPECT_EQ(out.y.shape(), x.shape());
    EXPECT_EQ(out.rstd.shape(), (Shape{6}));
    const Tensor dx = Value(ops::NormBackward(
        NormKind::kRms, x, nullptr, out.sum, weight, nullptr, out.rstd, true,
        dweight, nullptr, test::MetaStream()));
    EXPECT_EQ(dx.shape(), x.shape());
  });
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].second.bytes_read, 96 + 96 + 16);
  EXPECT_EQ(costs[0].second.bytes_written, 96 + 96 + 24);
  EXPECT_EQ(costs[1].second.bytes_read, 96 + 96 + 16 + 24 + 32);
  EXPECT_EQ(costs[1].second.bytes_written, 96 + 32);
}

}  // namespace
}  // namespace eisbach::norm_test
