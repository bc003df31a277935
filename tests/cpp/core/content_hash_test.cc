#include "core/content_hash.h"

#include <algorithm>
#include <set>
#include <span>
#include <string>

#include "gtest/gtest.h"

namespace eisbach::content_hash_test {
namespace {

// What xxh64sum prints for these bytes.
TEST(ContentHash, IsXxh64) {
  EXPECT_EQ(ContentHash(""), 0xef46db3751d8e999u);
  EXPECT_EQ(ContentHash("a"), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(ContentHash("abc"), 0x44bc2cf5ad770999u);
  EXPECT_EQ(ContentHash("Nobody inspects the spammish repetition"),
            0xfbcea83c8a378bf1u);
  EXPECT_EQ(HashText(0xabcu), "0000000000000abc");
}

TEST(ContentHash, SeesEveryByteOfEveryLength) {
  for (size_t length : {1, 3, 4, 7, 8, 15, 31, 32, 33, 63, 64, 100}) {
    const std::string text(length, 'x');
    std::set<uint64_t> hashes = {ContentHash(text)};
    for (size_t i = 0; i < length; ++i) {
      std::string changed = text;
      changed[i] = 'y';
      EXPECT_TRUE(hashes.insert(ContentHash(changed)).second)
          << "length " << length << ", byte " << i;
    }
    EXPECT_TRUE(hashes.insert(ContentHash(text + "x")).second);
  }
}

TEST(ContentHash, OfPiecesIsThatOfTheWhole) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>(i * 7);
  const auto bytes = std::as_bytes(std::span(text));
  for (size_t piece : {1, 3, 31, 32, 33, 64, 199, 200}) {
    ContentHasher hasher;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      EXPECT_EQ(hasher.hash(), ContentHash(bytes.first(at)));
      hasher.Add(bytes.subspan(at, std::min(piece, bytes.size() - at)));
      hasher.Add({});
    }
    EXPECT_EQ(hasher.hash(), ContentHash(bytes)) << piece;
  }
}

}  // namespace
}  // namespace eisbach::content_hash_test
