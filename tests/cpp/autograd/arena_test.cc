#include "autograd/arena.h"

#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace eisbach::autograd::arena_test {
namespace {

TEST(Arena, ObjectsAreAlignedAndApart) {
  Arena arena;
  std::vector<std::pair<unsigned char*, size_t>> objects;
  for (size_t i = 0; i < 5000; ++i) {
    const size_t bytes = 1 + i % 100, alignment = size_t{1} << (i % 5);
    auto* p = static_cast<unsigned char*>(arena.Allocate(bytes, alignment));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0);
    std::memset(p, static_cast<int>(i), bytes);
    objects.emplace_back(p, bytes);
  }
  for (size_t i = 0; i < objects.size(); ++i) {
    for (size_t b = 0; b < objects[i].second; ++b) {
      ASSERT_EQ(objects[i].first[b], i % 256);
    }
  }
}

TEST(Arena, ResetUsesTheSameMemoryAgain) {
  Arena arena;
  const auto fill = [&] {
    std::vector<void*> places;
    for (int i = 0; i < 1000; ++i) places.push_back(arena.Allocate(500, 8));
    return places;
  };
  const std::vector<void*> first = fill();
  arena.Reset();
  EXPECT_EQ(fill(), first);
}

TEST(Arena, AWholeChunkFits) {
  Arena arena;
  arena.Allocate(8, 8);
  auto* p = static_cast<char*>(arena.Allocate(size_t{1} << 16, 16));
  std::memset(p, 1, size_t{1} << 16);
  EXPECT_DEATH(arena.Allocate((size_t{1} << 16) + 1, 16), "check failed");
}

}  // namespace
}  // namespace eisbach::autograd::arena_test
