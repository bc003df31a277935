#include <gtest/gtest.h>

#include "cpp/comm/contract.h"
#include "support/mpi_world.h"

namespace eisbach::comm::mpi_communicator_test {
namespace {

class MpiContract : public testing::TestWithParam<ContractCheck> {};

TEST_P(MpiContract, Holds) {
  const absl::Status status = GetParam().body(TestWorld());
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(AllRanks, MpiContract,
                         testing::ValuesIn(ContractChecks()),
                         [](const auto& info) { return info.param.name; });

TEST(MpiWorld, KnowsItsHost) {
  EXPECT_EQ(TestWorld().backend(), "mpi");
  EXPECT_EQ(TestWorld().communicator().transport(), "mpi");
  EXPECT_EQ(TestWorld().local_rank(), TestWorld().rank());
  EXPECT_EQ(TestWorld().local_size(), TestWorld().size());
}

}  // namespace
}  // namespace eisbach::comm::mpi_communicator_test
