#include "core/memory_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/status_testing.h"

namespace eisbach::memory_file_test {
namespace {

TEST(MemoryFile, IsOneMemoryForAllThatOpenIt) {
  EISBACH_ASSERT_OK_AND_ASSIGN(auto mine, MemoryFile::Make(5000));
  EXPECT_EQ(mine->data()[4999], 0);
  EISBACH_ASSERT_OK_AND_ASSIGN(
      auto other, MemoryFile::Open(getpid(), mine->fd(), mine->bytes()));
  mine->data()[4999] = 'x';
  EXPECT_EQ(other->data()[4999], 'x');
  mine->Close();
  EXPECT_EQ(mine->fd(), -1);
  mine->data()[0] = 'y';
  EXPECT_EQ(other->data()[0], 'y');
}

TEST(MemoryFile, WhatIsNotTheAnnouncedMemoryIsRefused) {
  EISBACH_ASSERT_OK_AND_ASSIGN(auto mine, MemoryFile::Make(5000));
  EXPECT_THAT(MemoryFile::Open(getpid(), mine->fd(), 6000),
              test::StatusIs(absl::StatusCode::kUnavailable, "announced"));
  EXPECT_THAT(MemoryFile::Open(getpid(), 1 << 20, 5000),
              test::StatusIs(absl::StatusCode::kUnavailable, "namespaces"));
}

}  // namespace
}  // namespace eisbach::memory_file_test
