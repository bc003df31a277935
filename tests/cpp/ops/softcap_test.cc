#include "ops/softcap.h"

#include <limits>

#include "support/op_alignment.h"
#include "support/op_testing.h"

namespace eisbach::ops::softcap_test {
namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};
constexpr int64_t kSizes[] = {0, 1, 7, 64, 1003};

TEST(SoftcapTest, MatchesTheFormula) {
  for (DType dtype : kDTypes) {
    for (int64_t n : kSizes) {
      for (double cap : {0.5, 30.0}) {
        const Tensor x = test::Normal({n}, dtype, 1, 20);
        std::vector<double> expected = test::ToDoubles(x);
        for (double& v : expected) v = cap * std::tanh(v / cap);
        EISBACH_ASSERT_OK(Softcap(x, cap, test::TheStream()));
        test::ExpectClose(x, expected, 0, cap);
      }
    }
  }
}

TEST(SoftcapTest, SmallNumbersStayAsTheyAre) {
  const Tensor x = test::FromValues({3}, DType::kF32, {1e-6, -1e-4, 0});
  EISBACH_ASSERT_OK(Softcap(x, 30, test::TheStream()));
  test::ExpectClose(x, {1e-6, -1e-4, 0}, 2e-7, 1e-6);
}

TEST(SoftcapTest, InfinityIsTheCapAndNotANumberStays) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const Tensor x = test::FromValues({3}, DType::kF32, {kInf, -kInf, NAN});
  EISBACH_ASSERT_OK(Softcap(x, 2, test::TheStream()));
  test::ExpectClose(x, {2, -2, NAN});
}

TEST(SoftcapTest, BackwardMatchesTheFormulaAndFiniteDifferences) {
  for (DType dtype : kDTypes) {
    for (int64_t n : kSizes) {
      const double cap = 3;
      const Tensor x = test::Normal({n}, dtype, 1, 2);
      const Tensor dy = test::Normal({n}, dtype, 2);
      const Tensor y = test::FromValues({n}, dtype, test::ToDoubles(x));
      EISBACH_ASSERT_OK(Softcap(y, cap, test::TheStream()));
      const Tensor dx = test::FromValues({n}, dtype, test::ToDoubles(dy));
      EISBACH_ASSERT_OK(SoftcapBackward(dx, y, cap, test::TheStream()));
      std::vector<double> expected = test::ToDoubles(dy);
      const std::vector<double> values = test::ToDoubles(y);
      for (int64_t i = 0; i < n; ++i) {
        expected[i] *= 1 - values[i] / cap * values[i] / cap;
      }
      test::ExpectClose(dx, expected);
      if (dtype != DType::kF32) continue;
      test::ExpectGradient(x, dx, [&] {
        const Tensor again = test::FromValues({n}, dtype, test::ToDoubles(x));
        EISBACH_EXPECT_OK(Softcap(again, cap, test::TheStream()));
        return test::Dot(again, dy);
      });
    }
  }
}

TEST(SoftcapTest, ThreadCountDoesNotChangeTheBits) {
  std::vector<uint8_t> first;
  for (int count : {1, 2, 3, 5}) {
    const test::ScopedThreads threads(count);
    const Tensor x = test::Normal({50001}, DType::kBF16, 1, 20);
    EISBACH_ASSERT_OK(Softcap(x, 30, test::TheStream()));
    if (first.empty()) first = test::ToBytes(x);
    EXPECT_EQ(test::ToBytes(x), first) << count;
  }
}

TEST(SoftcapTest, TakesOperandsAtAnyOffset) {
  for (DType dtype : kDTypes) {
    test::ExpectAnyAlignment({test::Normal({40}, dtype, 1)},
                             [](const std::vector<Tensor>& t) {
                               return Softcap(t[0], 2, test::TheStream());
                             });
    test::ExpectAnyAlignment(
        {test::Normal({40}, dtype, 1), test::Normal({40}, dtype, 2)},
        [](const std::vector<Tensor>& t) {
          return SoftcapBackward(t[0], t[1], 2, test::TheStream());
        });
  }
}

TEST(SoftcapTest, MetaTellsTheCost) {
  test::CostRecorder recorder(test::Meta());
  const Tensor x = test::Empty({3, 5}, DType::kBF16, test::Meta());
  EISBACH_ASSERT_OK(Softcap(x, 2, test::MetaStream()));
  EISBACH_ASSERT_OK(SoftcapBackward(x, x, 2, test::MetaStream()));
  EXPECT_EQ(recorder.ops[0].second.bytes_written, 30);
  EXPECT_EQ(recorder.ops[1].second.bytes_read, 60);
}

TEST(SoftcapTest, ErrorsSayWhatIsWrong) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const Tensor x = test::Empty({3}, DType::kF32);
  for (double cap : {0.0, -1.0, 1e300}) {
    EXPECT_THAT(Softcap(x, cap, test::TheStream()),
                test::StatusIs(kInvalid, "must be above 0 and finite"));
  }
  EXPECT_THAT(
      SoftcapBackward(x, test::Empty({4}, DType::kF32), 1, test::TheStream()),
      test::StatusIs(kInvalid, "y=f32[4]"));
}

}  // namespace
}  // namespace eisbach::ops::softcap_test
