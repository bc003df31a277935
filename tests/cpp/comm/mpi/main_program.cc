#include <gtest/gtest.h>

#include "support/mpi_world.h"

// Tests that fail on purpose, to see what support/mpi_main.cc makes of it.
namespace eisbach {
namespace {

TEST(Main, OneRankFails) { EXPECT_NE(TestWorld().rank(), 1); }

TEST(Main, OneRankLeaves) {
  comm::Communicator& all = TestWorld().communicator();
  ASSERT_NE(all.rank(), 1);
  EXPECT_TRUE(all.Barrier(TestWorld().device().compute_stream()).ok());
}

}  // namespace
}  // namespace eisbach
