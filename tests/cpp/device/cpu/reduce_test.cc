#include "device/cpu/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace eisbach::cpu::reduce_test {
namespace {

template <typename T>
class ReduceTest : public testing::Test {};
using AllTypes = testing::Types<float, double, BFloat16, Float16, int32_t,
                                int64_t, uint8_t, uint16_t>;
TYPED_TEST_SUITE(ReduceTest, AllTypes);

template <typename T>
T Value(int input, int64_t i) {
  const uint32_t bits =
      static_cast<uint32_t>(i + 1) * 2654435761u ^ (input + 1) * 40503u * 977u;
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(bits);
  } else {
    return T(static_cast<float>(static_cast<int32_t>(bits)) * 0x1p-28f);
  }
}

template <typename T>
T Expected(Reduction op, int inputs, int64_t i) {
  constexpr bool kShort =
      std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;
  using A = std::conditional_t<kShort, float, T>;
  A sum = static_cast<A>(Value<T>(0, i));
  for (int k = 1; k < inputs; ++k) {
    const A next = static_cast<A>(Value<T>(k, i));
    if (op == Reduction::kMax) {
      sum = std::max(sum, next);
    } else if (op == Reduction::kMin) {
      sum = std::min(sum, next);
    } else if constexpr (std::is_integral_v<T>) {
      sum = static_cast<T>(static_cast<uint64_t>(sum) +
                           static_cast<uint64_t>(next));
    } else {
      sum = sum + next;
    }
  }
  return static_cast<T>(sum);
}

// Also with a shifted start and with the output as one of the inputs.
TYPED_TEST(ReduceTest, ReducesInOrder) {
  using T = TypeParam;
  for (Reduction op : {Reduction::kSum, Reduction::kMax, Reduction::kMin}) {
    for (int inputs : {1, 2, 3, 8}) {
      for (int64_t n : {0, 1, 7, 31, 1000, 1024, 2500}) {
        for (int into : {-1, 0, inputs - 1}) {
          std::vector<std::vector<T>> data(inputs, std::vector<T>(n + 3));
          std::vector<const void*> pointers;
          for (int k = 0; k < inputs; ++k) {
            for (int64_t i = 0; i < n; ++i) data[k][3 + i] = Value<T>(k, i);
            pointers.push_back(data[k].data() + 3);
          }
          std::vector<T> fresh(n + 3);
          T* out = (into < 0 ? fresh : data[into]).data() + 3;
          ReduceInOrder(DTypeOf<T>::value, op, pointers, out, n);
          for (int64_t i = 0; i < n; ++i) {
            const T expected = Expected<T>(op, inputs, i);
            ASSERT_EQ(std::memcmp(&out[i], &expected, sizeof(T)), 0)
                << Name(DTypeOf<T>::value) << " op " << static_cast<int>(op)
                << " inputs " << inputs << " n " << n << " at " << i;
          }
        }
      }
    }
  }
}

// Inputs in parts, each of which goes on from the accumulator of the one
// before.
TYPED_TEST(ReduceTest, GoesOnFromAnAccumulator) {
  using T = TypeParam;
  for (Reduction op : {Reduction::kSum, Reduction::kMax, Reduction::kMin}) {
    for (int64_t n : {0, 1, 31, 1024, 2500}) {
      std::vector<std::vector<T>> data(5, std::vector<T>(n));
      for (int k = 0; k < 5; ++k) {
        for (int64_t i = 0; i < n; ++i) data[k][i] = Value<T>(k, i);
      }
      const auto inputs = [&](int begin, int end) {
        std::vector<const void*> pointers;
        for (int k = begin; k < end; ++k) pointers.push_back(data[k].data());
        return pointers;
      };
      const DType dtype = DTypeOf<T>::value;
      const size_t bytes = n * SizeOf(AccumulatorOf(dtype, op));
      std::vector<char> first(bytes), second(bytes);
      std::vector<T> out(n);
      ReduceNextInOrder(dtype, op, nullptr, inputs(0, 2), first.data(), false,
                        n);
      ReduceNextInOrder(dtype, op, first.data(), inputs(2, 3), second.data(),
                        false, n);
      ReduceNextInOrder(dtype, op, second.data(), inputs(3, 5), out.data(),
                        true, n);
      for (int64_t i = 0; i < n; ++i) {
        const T expected = Expected<T>(op, 5, i);
        ASSERT_EQ(std::memcmp(&out[i], &expected, sizeof(T)), 0)
            << Name(dtype) << " op " << static_cast<int>(op) << " n " << n
            << " at " << i;
      }
    }
  }
}

// In place on all ranks: every input gets the result.
TYPED_TEST(ReduceTest, WritesSeveralOutputs) {
  using T = TypeParam;
  for (Reduction op : {Reduction::kSum, Reduction::kMax}) {
    for (int64_t n : {1, 63, 1000}) {
      std::vector<std::vector<T>> data(3, std::vector<T>(n + 1));
      std::vector<const void*> inputs;
      std::vector<void*> outputs;
      for (int k = 0; k < 3; ++k) {
        for (int64_t i = 0; i < n; ++i) data[k][1 + i] = Value<T>(k, i);
        inputs.push_back(data[k].data() + 1);
        outputs.push_back(data[2 - k].data() + 1);
      }
      ReduceInOrder(DTypeOf<T>::value, op, inputs, outputs, n);
      for (int64_t i = 0; i < n; ++i) {
        const T expected = Expected<T>(op, 3, i);
        for (int k = 0; k < 3; ++k) {
          ASSERT_EQ(std::memcmp(&data[k][1 + i], &expected, sizeof(T)), 0)
              << Name(DTypeOf<T>::value) << " n " << n << " at " << i;
        }
      }
    }
  }
}

// Every bf16, and what two of them add up to, is rounded as BFloat16 does.
TEST(Reduce, RoundsAsBFloat16) {
  constexpr int kAll = 1 << 16;
  std::vector<BFloat16> a(kAll), b(kAll), out(kAll);
  for (int i = 0; i < kAll; ++i) {
    a[i].bits = static_cast<uint16_t>(i);
    b[i].bits = static_cast<uint16_t>(i * 40503u + 17);
  }
  ReduceInOrder(DType::kBF16, Reduction::kSum, {a.data(), b.data()}, out.data(),
                kAll);
  for (int i = 0; i < kAll; ++i) {
    const BFloat16 expected(static_cast<float>(a[i]) +
                            static_cast<float>(b[i]));
    if (std::isnan(static_cast<float>(expected))) {
      EXPECT_TRUE(std::isnan(static_cast<float>(out[i]))) << i;
    } else {
      ASSERT_EQ(out[i].bits, expected.bits) << i;
    }
  }
}

// 1 + 2^-9 eight times over is lost when every step rounds to bf16.
TEST(Reduce, ShortFloatsAreAccumulatedInF32) {
  std::vector<BFloat16> one = {BFloat16(1.0f)}, small = {BFloat16(0x1p-9f)};
  std::vector<const void*> inputs = {one.data()};
  for (int k = 0; k < 8; ++k) inputs.push_back(small.data());
  BFloat16 out;
  ReduceInOrder(DType::kBF16, Reduction::kSum, inputs, &out, 1);
  EXPECT_EQ(static_cast<float>(out), 1.015625f);
}

TEST(Reduce, NanIsKept) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (Reduction op : {Reduction::kSum, Reduction::kMax, Reduction::kMin}) {
    for (int place = 0; place < 3; ++place) {
      std::vector<float> values[3] = {{1, 1}, {2, 2}, {3, 3}};
      values[place][1] = nan;
      float out[2];
      ReduceInOrder(DType::kF32, op,
                    {values[0].data(), values[1].data(), values[2].data()}, out,
                    2);
      EXPECT_FALSE(std::isnan(out[0]));
      EXPECT_TRUE(std::isnan(out[1])) << static_cast<int>(op) << " " << place;
    }
  }
}

TEST(Reduce, IntegersWrap) {
  const int32_t most = std::numeric_limits<int32_t>::max(), one = 1;
  int32_t out;
  ReduceInOrder(DType::kI32, Reduction::kSum, {&most, &one}, &out, 1);
  EXPECT_EQ(out, std::numeric_limits<int32_t>::min());
}

}  // namespace
}  // namespace eisbach::cpu::reduce_test
