#include "core/dtype.h"

#include <bit>
#include <cmath>
#include <limits>

#include "support/status_testing.h"

namespace eisbach::dtype_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr DType kAll[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64,
                          DType::kI32, DType::kI64,  DType::kU8,  DType::kU16};

template <typename T>
T FromBits(int bits) {
  T value;
  value.bits = static_cast<uint16_t>(bits);
  return value;
}

// The value of a 16-bit float by its definition, in double.
double Decode(int bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> mantissa_bits;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN()
                    : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0)
    return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits),
                           exponent - bias - mantissa_bits);
}

// All 65536 values, and every tie between neighbours with what lies next to it.
template <typename T>
void CheckRounding(int mantissa_bits) {
  for (int bits = 0; bits < 65536; ++bits) {
    const double want = Decode(bits, mantissa_bits);
    const float value = static_cast<float>(FromBits<T>(bits));
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(static_cast<float>(T(value)))) << bits;
      continue;
    }
    ASSERT_EQ(value, want) << bits;
    ASSERT_EQ(T(value).bits, bits);
  }
  const int infinity = ((1 << (15 - mantissa_bits)) - 1) << mantissa_bits;
  for (int low = 0; low < infinity; ++low) {
    const int high = low + 1;
    // Past the largest value the next one would be one step further.
    const double below = Decode(low, mantissa_bits);
    const double step = high == infinity
                            ? below - Decode(low - 1, mantissa_bits)
                            : Decode(high, mantissa_bits) - below;
    const float tie = static_cast<float>(below + step / 2);
    ASSERT_EQ(static_cast<double>(tie), below + step / 2) << low;
    const int even = low % 2 == 0 ? low : high;
    for (int sign : {0, 0x8000}) {
      const float s = sign ? -1.0f : 1.0f;
      ASSERT_EQ(T(s * tie).bits, sign | even) << low;
      ASSERT_EQ(T(s * std::nextafter(tie, 0.0f)).bits, sign | low) << low;
      ASSERT_EQ(T(s * std::nextafter(tie, kInfinity)).bits, sign | high) << low;
    }
  }
}

TEST(BFloat16, RoundsToNearestEvenEverywhere) { CheckRounding<BFloat16>(7); }
TEST(Float16, RoundsToNearestEvenEverywhere) { CheckRounding<Float16>(10); }

TEST(Float16, LargeValuesBecomeInfinite) {
  EXPECT_EQ(Float16(1e30f).bits, 0x7c00);
  EXPECT_EQ(Float16(-1e30f).bits, 0xfc00);
  EXPECT_EQ(Float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(Float16(65520.0f).bits, 0x7c00);
}

TEST(BFloat16, KeepsNaNWhoseBitsAreInTheLowHalf) {
  const float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(nan))));
}

TEST(DType, NamesRoundTrip) {
  for (DType dtype : kAll) {
    EXPECT_EQ(test::Value(ParseDType(Name(dtype))), dtype);
  }
  EXPECT_THAT(
      ParseDType("float32"),
      test::StatusIs(absl::StatusCode::kInvalidArgument, "\"float32\""));
}

TEST(DType, Sizes) {
  EXPECT_EQ(SizeOf(DType::kF64), sizeof(double));
  EXPECT_EQ(SizeOf(DType::kF32), sizeof(float));
  EXPECT_EQ(SizeOf(DType::kBF16), sizeof(BFloat16));
  EXPECT_EQ(SizeOf(DType::kF16), sizeof(Float16));
  EXPECT_EQ(SizeOf(DType::kI64), sizeof(int64_t));
  EXPECT_EQ(SizeOf(DType::kI32), sizeof(int32_t));
  EXPECT_EQ(SizeOf(DType::kU16), sizeof(uint16_t));
  EXPECT_EQ(SizeOf(DType::kU8), sizeof(uint8_t));
}

TEST(DispatchFloat, CallsWithTheStorageType) {
  for (DType dtype : kAll) {
    DType seen = DType::kU8;
    const absl::Status status =
        DispatchFloat(dtype, "gelu", [&](auto zero) -> absl::Status {
          seen = DTypeOf<decltype(zero)>::value;
          return absl::OkStatus();
        });
    if (IsFloat(dtype) && dtype != DType::kF64) {
      EISBACH_EXPECT_OK(status);
      EXPECT_EQ(seen, dtype);
    } else {
      EXPECT_THAT(status, test::StatusIs(absl::StatusCode::kInvalidArgument,
                                         "gelu: dtype "));
    }
  }
}

}  // namespace
}  // namespace eisbach::dtype_test
