// The reducer between processes, each with a device: whoever does not wait for
// a stream reads what is not there yet.
#include "cpp/parallel/data/reducer_testing.h"
#include "support/mpi_world.h"

namespace eisbach::parallel {
namespace {

TEST(GradientReducerMpi, SumsOverRanksAndMicroBatches) {
  EISBACH_EXPECT_OK(SumsOverRanksAndMicroBatches(TestWorld()));
}

TEST(GradientReducerMpi, RanksMayFillInAnyOrder) {
  EISBACH_EXPECT_OK(RanksMayFillInAnyOrder(TestWorld()));
}

TEST(GradientReducerMpi, GradientsNeverWrittenAreZero) {
  EISBACH_EXPECT_OK(GradientsNeverWrittenAreZero(TestWorld()));
}

}  // namespace
}  // namespace eisbach::parallel
