#include "core/fits_f32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/status_testing.h"

namespace eisbach::fits_f32_test {
namespace {

using test::IsOk;
using test::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(CheckFitsF32, TakesWhatKeepsItsValue) {
  for (double value : {0.0, -0.0, 1.0, -1e-8, 1e30, kLeastF32, kMostF32}) {
    EXPECT_THAT(CheckFitsF32("x", value, "a.x"), IsOk()) << value;
    EXPECT_TRUE(std::isfinite(static_cast<float>(value))) << value;
    EXPECT_EQ(std::isnormal(static_cast<float>(value)), value != 0) << value;
  }
}

TEST(CheckFitsF32, NamesTheBound) {
  EXPECT_THAT(CheckFitsF32("eps", 1e-300, "optimizer.eps"),
              StatusIs(kInvalid,
                       "eps=1e-300 is below 1.2e-38, the least that f32 holds "
                       "(optimizer.eps); nearest that works: 1.2e-38"));
  EXPECT_THAT(CheckFitsF32("lr", 1e39, "optimizer.lr"),
              StatusIs(kInvalid,
                       "lr=1e+39 is above 3.4e+38, the most that f32 holds "
                       "(optimizer.lr); nearest that works: 3.4e+38"));
  EXPECT_THAT(CheckFitsF32("x", -1e39, "a.x"),
              StatusIs(kInvalid, "is below -3.4e+38, the most"));
  EXPECT_THAT(CheckFitsF32("x", -1e-39, "a.x"),
              StatusIs(kInvalid, "is above -1.2e-38, the least"));
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THAT(CheckFitsF32("x", infinity, "a.x"), StatusIs(kInvalid, "x=inf"));
  EXPECT_THAT(CheckFitsF32("x", NAN, "a.x"), StatusIs(kInvalid, "x=nan"));
}

}  // namespace
}  // namespace eisbach::fits_f32_test
