#include <gtest/gtest.h>

#include <tuple>

#include "cpp/comm/contract.h"

namespace eisbach::comm::local_communicator_test {
namespace {

class LocalContract
    : public testing::TestWithParam<std::tuple<ContractCheck, int>> {};

TEST_P(LocalContract, Holds) {
  const auto& [check, ranks] = GetParam();
  const absl::Status status =
      RunLocalRanks(ranks, DeviceType::kCpu, 1, check.body);
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(AllRanks, LocalContract,
                         testing::Combine(testing::ValuesIn(ContractChecks()),
                                          testing::Values(1, 2, 3, 4, 5, 6, 7,
                                                          8)),
                         [](const auto& info) {
                           return absl::StrCat(std::get<0>(info.param).name,
                                               "On", std::get<1>(info.param));
                         });

}  // namespace
}  // namespace eisbach::comm::local_communicator_test
