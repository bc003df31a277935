#include "ops/stochastic_rounding.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/philox.h"
#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::stochastic_rounding_test {
namespace {

using test::Empty;
using test::FromValues;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;

constexpr uint64_t kKey = 0x123456789abcdef0u;

Tensor Step(int64_t step) {
  return FromValues({1}, DType::kI64, {static_cast<double>(step)});
}

Tensor Round(const Tensor& from, int64_t step, int64_t first,
             uint64_t key = kKey) {
  const Tensor to = Empty(from.shape(), DType::kBF16);
  EXPECT_THAT(
      ops::RoundStochastically(from, to, {Step(step), key, first}, TheStream()),
      IsOk());
  return to;
}

// The contract, written down a second time: every device gives these bits.
float Reference(float x, int64_t index, int64_t step) {
  const PhiloxCounter words = Philox(
      {static_cast<uint32_t>(index / 8), static_cast<uint32_t>(index / 8 >> 32),
       static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)},
      {static_cast<uint32_t>(kKey), static_cast<uint32_t>(kKey >> 32)});
  const uint32_t word = words[index % 8 / 2];
  const uint32_t random = index % 2 == 0 ? word % 65536 : word / 65536;
  const uint32_t bits = std::bit_cast<uint32_t>(x) + random;
  return std::bit_cast<float>(bits / 65536 * 65536);
}

TEST(RoundStochastically, HasTheSameBitsOnEveryDevice) {
  for (int64_t n : {0, 1, 3, 7, 8, 9, 1000}) {
    const Tensor from = Normal({n}, DType::kF32, 1);
    const std::vector<float> x = test::ToFloats(from);
    for (int64_t first :
         {int64_t{0}, int64_t{3}, int64_t{64}, (int64_t{1} << 36) + 4}) {
      for (int64_t step : {int64_t{1}, (int64_t{1} << 40) + 5}) {
        std::vector<double> want;
        for (int64_t i = 0; i < n; ++i) {
          want.push_back(Reference(x[i], first + i, step));
        }
        EXPECT_EQ(ToDoubles(Round(from, step, first)), want)
            << n << " from " << first;
      }
    }
  }
}

TEST(RoundStochastically, DoesNotDependOnTheCut) {
  const Tensor from = Normal({1003}, DType::kF32, 1);
  const std::vector<double> whole = ToDoubles(Round(from, 3, 100));
  for (int64_t begin : {1, 4, 6, 501}) {
    const Tensor part = test::Value(from.Narrow(0, begin, 1003 - begin));
    EXPECT_EQ(ToDoubles(Round(part, 3, 100 + begin)),
              std::vector<double>(whole.begin() + begin, whole.end()));
  }
}

// A quarter of the way from one bf16 to the next.
TEST(RoundStochastically, IsRightOnAverage) {
  constexpr int64_t kCount = 1 << 16;
  constexpr double kLow = 1.0, kGap = 0x1p-7, kShare = 0.25;
  for (double sign : {1.0, -1.0}) {
    const double x = sign * (kLow + kShare * kGap);
    const Tensor from =
        FromValues({kCount}, DType::kF32, std::vector<double>(kCount, x));
    int64_t up = 0;
    for (double y : ToDoubles(Round(from, 1, 0))) {
      if (y == sign * (kLow + kGap)) {
        ++up;
      } else {
        ASSERT_EQ(y, sign * kLow);
      }
    }
    // Five standard deviations.
    EXPECT_NEAR(static_cast<double>(up) / kCount, kShare,
                5 * std::sqrt(kShare * (1 - kShare) / kCount));
  }
}

TEST(RoundStochastically, DependsOnStepKeyAndPlace) {
  const Tensor from = Normal({1000}, DType::kF32, 1);
  const std::vector<double> one = ToDoubles(Round(from, 1, 0));
  EXPECT_EQ(ToDoubles(Round(from, 1, 0)), one);
  EXPECT_NE(ToDoubles(Round(from, 2, 0)), one);
  EXPECT_NE(ToDoubles(Round(from, 1, 8)), one);
  EXPECT_NE(ToDoubles(Round(from, 1, 0, kKey + 1)), one);
}

TEST(RoundStochastically, LeavesWhatBF16Holds) {
  const double kInf = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {0, -0.0, 1, -2.5, 0x1p-133, kInf, -kInf};
  for (int64_t step = 1; step < 20; ++step) {
    const Tensor from = FromValues({7}, DType::kF32, values);
    EXPECT_EQ(ToDoubles(Round(from, step, 0)), values);
  }
}

TEST(RoundStochastically, NaNStaysNaN) {
  const Tensor from =
      FromValues({64}, DType::kF32,
                 std::vector<double>(64, std::bit_cast<float>(0x7f800001u)));
  for (double y : ToDoubles(Round(from, 1, 0))) EXPECT_TRUE(std::isnan(y));
}

TEST(RoundStochastically, DoesNotDependOnThreads) {
  const Tensor from = Normal({40001}, DType::kF32, 1);
  test::ExpectThreadInvariant(
      [&] { return std::vector<Tensor>{Round(from, 1, 5)}; });
}

TEST(RoundStochastically, TakesOperandsAtAnyOffset) {
  const Tensor step = FromValues({1}, DType::kI64, {7});
  for (int64_t first : {64, 67}) {
    const ops::StochasticRounding rounding = {step, 5, first};
    test::ExpectAnyAlignment(
        {Normal({67}, DType::kF32, 1), Empty({67}, DType::kBF16)},
        [&](const std::vector<Tensor>& t) {
          return ops::RoundStochastically(t[0], t[1], rounding, TheStream());
        });
  }
}

TEST(RoundStochastically, NamesWhatDoesNotFit) {
  const Tensor from = Normal({4}, DType::kF32, 1);
  const Tensor step = Step(1);
  EXPECT_THAT(ops::RoundStochastically(from, Empty({4}, DType::kF16),
                                       {step, kKey, 0}, TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "round_stochastically: to=f16[4] on cpu"));
  EXPECT_THAT(ops::RoundStochastically(from, Empty({5}, DType::kBF16),
                                       {step, kKey, 0}, TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument, "shape [4]"));
}

TEST(RoundStochastically, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const Tensor from = Empty({10}, DType::kF32, meta);
  const Tensor to = Empty({10}, DType::kBF16, meta);
  const Tensor step = Empty({1}, DType::kI64, meta);
  const auto costs = test::MetaCosts([&] {
    EXPECT_THAT(
        ops::RoundStochastically(from, to, {step, kKey, 0}, test::MetaStream()),
        IsOk());
  });
  ASSERT_EQ(costs.size(), 1u);
  EXPECT_EQ(costs[0].second.bytes_read, 48);
  EXPECT_EQ(costs[0].second.bytes_written, 20);
}

}  // namespace
}  // namespace eisbach::stochastic_rounding_test
