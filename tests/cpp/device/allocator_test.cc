#include "device/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "core/philox.h"
#include "device/cuda/memory_pool.h"
#include "support/status_testing.h"

namespace eisbach::allocator_test {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

struct SourceStats {
  size_t taken = 0;
  size_t given = 0;
  size_t limit = size_t{1} << 40;
};

class FakeSystem final : public MemorySource {
 public:
  explicit FakeSystem(SourceStats* stats) : stats_(stats) {}
  absl::StatusOr<void*> Take(size_t bytes) override {
    if (stats_->taken + bytes > stats_->limit) {
      return absl::ResourceExhaustedError("no more");
    }
    stats_->taken += bytes;
    return std::aligned_alloc(4096, bytes);
  }
  void Give(void* data, size_t bytes) override {
    stats_->given += bytes;
    std::free(data);
  }

 private:
  SourceStats* stats_;
};

class AllocatorTest : public ::testing::Test {
 protected:
  char* Take(size_t bytes) {
    return static_cast<char*>(test::Value(allocator_->Allocate(bytes)));
  }

  SourceStats system_;
  std::unique_ptr<Allocator> allocator_ =
      std::make_unique<Allocator>(std::make_unique<FakeSystem>(&system_));
};

TEST_F(AllocatorTest, BlocksAreAlignedAndApart) {
  std::vector<std::pair<char*, size_t>> blocks;
  for (size_t bytes : {1, 255, 256, 257, 5000, 100000}) {
    char* data = Take(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 256, 0);
    std::memset(data, static_cast<int>(blocks.size()), bytes);
    blocks.emplace_back(data, bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    for (size_t b = 0; b < blocks[i].second; ++b) {
      ASSERT_EQ(blocks[i].first[b], static_cast<char>(i));
    }
    allocator_->Free(blocks[i].first);
  }
}

TEST_F(AllocatorTest, SplitsASegment) {
  char* a = Take(1000);
  char* b = Take(1000);
  EXPECT_EQ(b, a + 1024);
  EXPECT_EQ(allocator_->stats().system_allocations, 1);
  allocator_->Free(a);
  allocator_->Free(b);
}

TEST_F(AllocatorTest, JoinsFreedNeighboursInAnyOrder) {
  int order[] = {0, 1, 2, 3};
  do {
    char* blocks[4];
    for (char*& block : blocks) block = Take(8 * kMiB);
    for (int i : order) allocator_->Free(blocks[i]);
    // Only a segment that is whole again holds this.
    char* whole = Take(32 * kMiB);
    ASSERT_EQ(allocator_->stats().system_allocations, 1);
    allocator_->Free(whole);
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

TEST_F(AllocatorTest, TakesTheSmallestFreeBlockThatFits) {
  char* large = Take(4 * kMiB);
  char* wall1 = Take(256);
  char* small = Take(1 * kMiB);
  char* wall2 = Take(256);
  allocator_->Free(large);
  allocator_->Free(small);
  EXPECT_EQ(Take(kMiB / 2), small);
  EXPECT_EQ(Take(2 * kMiB), large);
  allocator_->Free(wall1);
  allocator_->Free(wall2);
}

TEST_F(AllocatorTest, ARepeatedStepTakesNothingFromTheSystem) {
  int64_t after_first = 0;
  for (int step = 0; step < 5; ++step) {
    std::vector<char*> blocks;
    for (uint32_t i = 0; i < 200; ++i) {
      const PhiloxCounter r = Philox({i, 0, 0, 0}, {3, 0});
      blocks.push_back(Take(1 + r[0] % (2 * kMiB)));
      if (r[1] % 3 == 0) {
        std::swap(blocks[r[2] % blocks.size()], blocks.back());
        allocator_->Free(blocks.back());
        blocks.pop_back();
      }
    }
    for (char* block : blocks) allocator_->Free(block);
    const AllocatorStats stats = allocator_->stats();
    EXPECT_EQ(stats.bytes_in_use, 0);
    if (step == 0) after_first = stats.system_allocations;
    EXPECT_EQ(stats.system_allocations, after_first);
  }
}

TEST_F(AllocatorTest, CountsBytesAndPeak) {
  char* a = Take(1000);
  char* b = Take(3000);
  allocator_->Free(a);
  AllocatorStats stats = allocator_->stats();
  EXPECT_EQ(stats.bytes_in_use, 3072);
  EXPECT_EQ(stats.peak_bytes_in_use, 1024 + 3072);
  EXPECT_EQ(stats.bytes_reserved, 32 * kMiB);
  EXPECT_EQ(stats.allocations, 2);
  allocator_->ResetPeak();
  EXPECT_EQ(allocator_->stats().peak_bytes_in_use, 3072);
  allocator_->Free(b);
}

TEST_F(AllocatorTest, LargeRequestsGetASegmentOfTheirOwn) {
  char* a = Take(100 * kMiB + 1);
  EXPECT_EQ(allocator_->stats().bytes_reserved, 102 * kMiB);
  allocator_->Free(a);
}

TEST_F(AllocatorTest, TrimGivesEmptySegmentsBack) {
  char* kept = Take(kMiB);
  char* whole = Take(100 * kMiB);
  char* other = Take(40 * kMiB);
  allocator_->Free(whole);
  allocator_->Free(other);
  allocator_->Trim();
  EXPECT_EQ(system_.given, 140 * kMiB);
  EXPECT_EQ(allocator_->stats().bytes_reserved, 32 * kMiB);
  std::memset(kept, 1, kMiB);
  EXPECT_NE(Take(100 * kMiB), nullptr);
  allocator_->Free(kept);
}

TEST_F(AllocatorTest, NothingIsNull) {
  EXPECT_EQ(Take(0), nullptr);
  allocator_->Free(nullptr);
  EXPECT_EQ(allocator_->stats().system_allocations, 0);
}

TEST_F(AllocatorTest, PassesTheSystemsErrorOn) {
  system_.limit = 40 * kMiB;
  char* a = Take(kMiB);
  EXPECT_THAT(allocator_->Allocate(33 * kMiB),
              test::StatusIs(absl::StatusCode::kResourceExhausted, "no more"));
  char* b = Take(kMiB);  // still serves what fits
  allocator_->Free(a);
  allocator_->Free(b);
}

TEST_F(AllocatorTest, GivesEverythingBackAtTheEnd) {
  Take(kMiB);  // never freed
  allocator_->Free(Take(50 * kMiB));
  allocator_.reset();
  EXPECT_EQ(system_.given, system_.taken);
  EXPECT_GT(system_.given, 0);
}

TEST_F(AllocatorTest, ServesThreads) {
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (uint32_t i = 0; i < 2000; ++i) {
        const size_t bytes = 1 + Philox({i, 0, 0, 0}, {t, 0})[0] % 10000;
        char* data = Take(bytes);
        std::memset(data, static_cast<int>(t), bytes);
        for (size_t b = 0; b < bytes; b += 97) {
          ASSERT_EQ(data[b], static_cast<char>(t));
        }
        allocator_->Free(data);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allocator_->stats().bytes_in_use, 0);
  EXPECT_EQ(allocator_->stats().allocations, 4 * 2000);
}

// What the host has freed is free for the host's next capture call alone: a
// replay writes there, and nobody else is given it.
TEST_F(AllocatorTest, APoolKeepsWhatReplaysWriteTo) {
  auto pool = std::make_shared<cuda::MemoryPool>(
      std::make_unique<FakeSystem>(&system_));
  Allocator& inside = pool->allocator();
  void* early = test::Value(inside.Allocate(3 * kMiB));
  inside.Free(early);
  inside.ResetPeak();
  void* a = test::Value(inside.Allocate(kMiB));
  EXPECT_EQ(a, early);
  void* b = test::Value(inside.Allocate(kMiB));
  inside.Free(a);
  inside.Free(b);
  EXPECT_EQ(pool->stats().bytes_in_use, 0);
  pool->HoldPeak();
  EXPECT_EQ(pool->stats().bytes_in_use, 2 * kMiB);
  EXPECT_EQ(pool->stats().peak_bytes_in_use, 2 * kMiB);
  EXPECT_EQ(pool->stats().bytes_reserved, 32 * kMiB);
  // The end of a step does not make them less.
  inside.ResetPeak();
  EXPECT_EQ(pool->stats().peak_bytes_in_use, 2 * kMiB);
  // Another allocator has segments of its own, whatever is free in the pool.
  char* canary = Take(kMiB);
  EXPECT_NE(canary, a);
  EXPECT_NE(canary, b);
  EXPECT_EQ(system_.taken, 64 * kMiB);
  allocator_->Free(canary);
  pool.reset();
  EXPECT_EQ(system_.given, 32 * kMiB);
}

TEST_F(AllocatorTest, AForeignPointerIsOurBug) {
  int local;
  EXPECT_DEATH(allocator_->Free(&local), "check failed");
}

}  // namespace
}  // namespace eisbach::allocator_test
