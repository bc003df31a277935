// The reducer between processes, each with a device: whoever does not wait for
// a stream reads what is not there yet.
#include "cpp/parallel/data/reducer_testing.h"
#include "support/mpi_world.h"

namespace eisbach::parallel::reducer_mpi_test {
namespace {

TEST(GradientReducerMpi, SumsOverRanksAndMicroBatches) {
  for (const int zero : {0, 1, 2}) {
    EISBACH_EXPECT_OK(SumsOverRanksAndMicroBatches(TestWorld(), zero));
  }
}

TEST(GradientReducerMpi, RanksMayFillInAnyOrder) {
  for (const int zero : {0, 1, 2}) {
    EISBACH_EXPECT_OK(RanksMayFillInAnyOrder(TestWorld(), zero));
  }
}

TEST(GradientReducerMpi, GradientsNeverWrittenAreZero) {
  for (const int zero : {0, 1, 2}) {
    EISBACH_EXPECT_OK(GradientsNeverWrittenAreZero(TestWorld(), zero));
  }
}

}  // namespace
}  // namespace eisbach::parallel::reducer_mpi_test
