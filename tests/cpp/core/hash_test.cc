#include "core/hash.h"

#include <bit>
#include <set>

#include "gtest/gtest.h"

namespace eisbach::hash_test {
namespace {

// The published values of 64-bit FNV-1a.
TEST(StableHash, IsFnv1a) {
  EXPECT_EQ(StableHash(""), 0xcbf29ce484222325u);
  EXPECT_EQ(StableHash("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(StableHash("foobar"), 0x85944171f73967e8u);
}

TEST(StableHash, ReadsBytesAsUnsigned) {
  EXPECT_NE(StableHash("\x80"), StableHash(absl::string_view("\0", 1)));
  static_assert(StableHash("\xff") ==
                ((0xcbf29ce484222325u ^ 0xff) * 0x100000001b3u));
}

// The first outputs of SplitMix64 seeded with 0.
TEST(MixBits, IsSplitMix64) {
  EXPECT_EQ(MixBits(0), 0xe220a8397b1dcdafu);
  EXPECT_EQ(MixBits(0x9e3779b97f4a7c15u), 0x6e789e6aa1b965f4u);
}

TEST(MixBits, OneBitChangesAboutHalf) {
  for (int bit = 0; bit < 64; ++bit) {
    const int changed =
        std::popcount(MixBits(12345) ^ MixBits(12345 ^ (uint64_t{1} << bit)));
    EXPECT_GT(changed, 12) << bit;
    EXPECT_LT(changed, 52) << bit;
  }
}

}  // namespace
}  // namespace eisbach::hash_test
