#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "ops/elementwise.h"
#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::copy_test {
namespace {

using test::Empty;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToBytes;
using test::ToDoubles;
using test::Value;

constexpr DType kIntDTypes[] = {DType::kI32, DType::kI64, DType::kU8,
                                DType::kU16};

// A tensor of these bits, whatever they mean in its dtype.
template <typename T>
Tensor FromBits(DType dtype, const std::vector<T>& bits) {
  const Tensor x = Empty({static_cast<int64_t>(bits.size())}, dtype);
  EXPECT_THAT(
      x.device().CopyToDevice(x.raw(), bits.data(), x.bytes(), TheStream()),
      IsOk());
  EXPECT_THAT(TheStream().Synchronize(), IsOk());
  return x;
}

// Every 16-bit pattern, converted by vectors, is what the scalar type says.
template <typename T>
void ExpectAllPatternsWiden() {
  std::vector<uint16_t> patterns(1 << 16);
  std::iota(patterns.begin(), patterns.end(), uint16_t{0});
  const Tensor x = FromBits(DTypeOf<T>::value, patterns);
  const std::vector<float> y =
      test::ToFloats(Value(ops::Cast(x, DType::kF32, TheStream())));
  for (size_t i = 0; i < patterns.size(); ++i) {
    T narrow;
    narrow.bits = patterns[i];
    const float expected = static_cast<float>(narrow);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(y[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(y[i]),
                std::bit_cast<uint32_t>(expected))
          << i;
    }
  }
}

TEST(Cast, WidensEveryPattern) {
  ExpectAllPatternsWiden<BFloat16>();
  ExpectAllPatternsWiden<Float16>();
}

// Floats around every place where rounding turns: for each 16-bit value the
// neighbours in f32 of itself and of the middle to the next.
template <typename T>
void ExpectNarrowsAsScalar(int shift) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x10000u; ++bits) {
    T narrow;
    narrow.bits = static_cast<uint16_t>(bits);
    const uint32_t u = std::bit_cast<uint32_t>(static_cast<float>(narrow));
    const uint32_t half = 1u << (shift - 1);
    for (uint32_t add : {0u, 1u, half - 1, half, half + 1, ~0u}) {
      values.push_back(std::bit_cast<float>(u + add));
    }
  }
  for (uint32_t u = 0x30000000u; u < 0x3a000000u; u += 1021) {
    values.push_back(std::bit_cast<float>(u));  // f16 subnormals
  }
  values.push_back(65519.996f);
  values.push_back(65520.0f);
  const Tensor x = FromBits(DType::kF32, values);
  const std::vector<uint8_t> y =
      ToBytes(Value(ops::Cast(x, DTypeOf<T>::value, TheStream())));
  for (size_t i = 0; i < values.size(); ++i) {
    const T expected = T(values[i]);
    T got;
    std::memcpy(static_cast<void*>(&got), &y[2 * i], 2);
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(static_cast<float>(got))) << i;
    } else {
      ASSERT_EQ(got.bits, expected.bits)
          << values[i] << " " << std::bit_cast<uint32_t>(values[i]);
    }
  }
}

TEST(Cast, NarrowsToNearestEven) {
  ExpectNarrowsAsScalar<BFloat16>(16);
  ExpectNarrowsAsScalar<Float16>(13);
}

TEST(Cast, RoundsDoubleOnce) {
  // Just above the middle of two bf16 values by less than f32 resolves.
  const Tensor x = test::FromValues(
      {3}, DType::kF64, {1.00390625 + 1e-12, 1.00390625, -1.00390625 - 1e-12});
  EXPECT_EQ(ToDoubles(Value(ops::Cast(x, DType::kBF16, TheStream()))),
            (std::vector<double>{1.0078125, 1.0, -1.0078125}));
}

TEST(Cast, ConvertsAmongFloats) {
  for (DType from : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64}) {
    for (DType to : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64}) {
      for (int64_t n : {0, 1, 7, 8, 9, 100}) {
        const Tensor x = Normal({n}, from, 5);
        const Tensor y = Value(ops::Cast(x, to, TheStream()));
        EXPECT_EQ(y.dtype(), to);
        test::ExpectClose(y, ToDoubles(x),
                          to == DType::kF64 ? 1e-12 : test::Tolerance(to));
      }
    }
  }
}

TEST(Cast, ConvertsAmongIntegers) {
  for (DType from : kIntDTypes) {
    for (DType to : kIntDTypes) {
      const Tensor x = test::Indices({3, 7}, from, 200, 1);
      const Tensor y = Value(ops::Cast(x, to, TheStream()));
      EXPECT_EQ(ToDoubles(y), ToDoubles(x));
    }
  }
  EXPECT_THAT(
      ops::Cast(Normal({2}, DType::kF32, 1), DType::kI32, TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "copy: f32 to i32 mixes float and integer"));
}

TEST(Copy, TakesAnyStrides) {
  for (DType to : test::kFloatDTypes) {
    const Tensor base = Normal({5, 6, 7}, DType::kF32, 9);
    const Tensor wide = Normal({3, 37, 50}, DType::kF32, 11);
    // Rows of whole vectors that don't lie one after the other.
    const Tensor even = Normal({4, 6, 24}, DType::kF32, 12);
    const Tensor views[] = {
        Value(even.Transpose(0, 1)),
        Value(even.Narrow(2, 8, 8)),
        Value(even.Narrow(1, 1, 3)),
        base,
        Value(base.Transpose(0, 2)),
        Value(base.Transpose(1, 2)),
        Value(base.Narrow(2, 2, 3)),
        Value(base.Narrow(1, 1, 4)),
        Value(Value(base.Narrow(0, 1, 1)).Transpose(0, 1)),
        Value(Value(base.Transpose(0, 1)).Narrow(2, 0, 1)),
        Value(base.Narrow(1, 3, 0)),
        Value(wide.Transpose(1, 2)),
        Value(wide.Transpose(0, 2)),
        Value(wide.Transpose(0, 1)),
    };
    for (const Tensor& view : views) {
      const Tensor y = Value(ops::Cast(view, to, TheStream()));
      EXPECT_TRUE(y.contiguous());
      EXPECT_EQ(y.shape(), view.shape());
      test::ExpectClose(y, ToDoubles(view), test::Tolerance(to));
      // And back into the strides of a copy of the view.
      const Tensor other = Normal({3, 37, 50}, DType::kF32, 10);
      const Tensor target = Value(Tensor::FromStorage(
          other.storage(), 0, view.shape(), view.strides(), DType::kF32));
      EXPECT_THAT(ops::Copy(y, target, TheStream()), IsOk());
      EXPECT_EQ(ToDoubles(target), ToDoubles(y));
    }
  }
}

TEST(Copy, LeavesTheRestOfTheStorage) {
  const Tensor base = Normal({4, 5}, DType::kF32, 1);
  const std::vector<double> before = ToDoubles(base);
  const Tensor middle = Value(Value(base.Narrow(0, 1, 2)).Narrow(1, 1, 3));
  const Tensor zeros =
      test::FromValues({2, 3}, DType::kF32, std::vector<double>(6, 0.0));
  EXPECT_THAT(ops::Copy(zeros, middle, TheStream()), IsOk());
  const std::vector<double> after = ToDoubles(base);
  for (int r = 0; r < 4; ++r) {
    for (int c = 0; c < 5; ++c) {
      const bool inside = r >= 1 && r < 3 && c >= 1 && c < 4;
      EXPECT_EQ(after[r * 5 + c], inside ? 0 : before[r * 5 + c]);
    }
  }
}

TEST(Copy, DividesLongRowsAmongThreads) {
  const Tensor x = Normal({3, 40001}, DType::kF32, 1);
  test::ExpectThreadInvariant([&] {
    return std::vector<Tensor>{
        Value(ops::Cast(x, DType::kBF16, TheStream())),
        Value(ops::Contiguous(Value(x.Transpose(0, 1)), TheStream())),
        Value(ops::Contiguous(Value(x.Narrow(1, 1, 40000)), TheStream()))};
  });
  EXPECT_EQ(ToDoubles(Value(
                ops::Contiguous(Value(x.Narrow(1, 1, 40000)), TheStream()))),
            ToDoubles(Value(x.Narrow(1, 1, 40000))));
}

TEST(Contiguous, ReturnsAContiguousTensorItself) {
  const Tensor x = Normal({2, 3}, DType::kF32, 1);
  EXPECT_EQ(Value(ops::Contiguous(x, TheStream())).raw(), x.raw());
  const Tensor t = Value(x.Transpose(0, 1));
  const Tensor c = Value(ops::Contiguous(t, TheStream()));
  EXPECT_NE(c.raw(), x.raw());
  EXPECT_EQ(ToBytes(c), ToBytes(t));
}

TEST(Copy, TakesOperandsAtAnyOffset) {
  for (DType from : test::kFloatDTypes) {
    for (DType to : test::kFloatDTypes) {
      test::ExpectAnyAlignment({Normal({3, 203}, from, 1), Empty({3, 203}, to)},
                               [](const std::vector<Tensor>& t) {
                                 return ops::Copy(t[0], t[1], TheStream());
                               });
      // Rows of a wider matrix.
      test::ExpectAnyAlignment({Normal({3, 128}, from, 1), Empty({3, 64}, to)},
                               [](const std::vector<Tensor>& t) {
                                 return ops::Copy(Value(t[0].Narrow(1, 0, 64)),
                                                  t[1], TheStream());
                               });
    }
  }
}

TEST(Copy, RefusesAnotherShape) {
  EXPECT_THAT(
      ops::Copy(Empty({2}, DType::kF32), Empty({3}, DType::kF32), TheStream()),
      StatusIs(absl::StatusCode::kInvalidArgument, "must have the shape [2]"));
}

}  // namespace
}  // namespace eisbach::copy_test
