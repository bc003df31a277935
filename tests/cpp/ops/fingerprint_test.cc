#include "ops/fingerprint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::fingerprint_test {
namespace {

using test::Empty;
using test::IsOk;
using test::StatusIs;
using test::TheDevice;
using test::TheStream;

int64_t FingerprintOf(const Tensor& x) {
  const Tensor out = Empty({1}, DType::kI64);
  EXPECT_THAT(ops::Fingerprint(x, out, TheStream()), IsOk());
  int64_t value = 0;
  std::memcpy(&value, test::ToBytes(out).data(), sizeof(value));
  return value;
}

// As the header says it.
template <typename Word>
int64_t Reference(const std::vector<uint8_t>& bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i * sizeof(Word) < bytes.size(); ++i) {
    Word word;
    std::memcpy(&word, bytes.data() + i * sizeof(Word), sizeof(Word));
    sum += ops::MixElement(word, static_cast<uint32_t>(i));
  }
  return static_cast<int64_t>(sum);
}

TEST(Fingerprint, IsTheSumOfMixedElements) {
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t n : {0, 1, 2, 7, 8, 255, 256, 257, 5000, 70001}) {
      const Tensor x = test::Normal({n}, dtype, static_cast<uint64_t>(n));
      const std::vector<uint8_t> bytes = test::ToBytes(x);
      EXPECT_EQ(FingerprintOf(x), dtype == DType::kF32
                                      ? Reference<uint32_t>(bytes)
                                      : Reference<uint16_t>(bytes))
          << Name(dtype) << " " << n;
    }
  }
}

// Each bit of one element, and two elements that change places.
TEST(Fingerprint, SeesEveryBit) {
  for (DType dtype : test::kFloatDTypes) {
    const int64_t n = 33, size = static_cast<int64_t>(SizeOf(dtype));
    const Tensor x = test::Normal({n}, dtype, 3);
    const std::vector<uint8_t> bytes = test::ToBytes(x);
    const auto of = [&](const std::vector<uint8_t>& changed) {
      EXPECT_THAT(TheDevice().CopyToDevice(x.raw(), changed.data(), x.bytes(),
                                           TheStream()),
                  IsOk());
      EXPECT_THAT(TheStream().Synchronize(), IsOk());
      return FingerprintOf(x);
    };
    std::set<int64_t> seen = {of(bytes)};
    for (int64_t element : {int64_t{0}, int64_t{17}, n - 1}) {
      for (int64_t bit = 0; bit < 8 * size; ++bit) {
        std::vector<uint8_t> changed = bytes;
        changed[element * size + bit / 8] ^= 1 << bit % 8;
        EXPECT_TRUE(seen.insert(of(changed)).second) << element << " " << bit;
      }
    }
    std::vector<uint8_t> changed = bytes;
    std::swap_ranges(changed.begin(), changed.begin() + size,
                     changed.begin() + 5 * size);
    EXPECT_TRUE(seen.insert(of(changed)).second);
  }
}

TEST(Fingerprint, DoesNotDependOnThreads) {
  const Tensor x = test::Normal({300001}, DType::kF32, 5);
  test::ExpectThreadInvariant([&] {
    const Tensor out = Empty({1}, DType::kI64);
    EXPECT_THAT(ops::Fingerprint(x, out, TheStream()), IsOk());
    return std::vector<Tensor>{out};
  });
}

TEST(Fingerprint, NamesWhatDoesNotFit) {
  const Tensor x = Empty({3}, DType::kI64);
  EXPECT_THAT(ops::Fingerprint(x, Empty({1}, DType::kI64), TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument, "fingerprint: x"));
}

TEST(Fingerprint, TellsItsCostOnMeta) {
  const Tensor x = Empty({5}, DType::kBF16, test::Meta());
  const Tensor out = Empty({1}, DType::kI64, test::Meta());
  const auto costs = test::MetaCosts([&] {
    EXPECT_THAT(ops::Fingerprint(x, out, test::MetaStream()), IsOk());
  });
  ASSERT_EQ(costs.size(), 1u);
  EXPECT_EQ(costs[0].second.bytes_read, 10);
}

}  // namespace
}  // namespace eisbach::fingerprint_test
