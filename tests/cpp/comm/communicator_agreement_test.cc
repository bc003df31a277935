// All that a communicator must do, in a job that compares its calls.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "cpp/comm/contract.h"
#include "support/device_testing.h"
#include "support/mpi_world.h"

namespace eisbach::comm::communicator_agreement_test {
namespace {

class CheckedContract : public testing::TestWithParam<ContractCheck> {
 protected:
  static void SetUpTestSuite() { TestWorld().communicator().CheckCalls(); }
};

TEST_P(CheckedContract, Holds) {
  const absl::Status status = GetParam().body(TestWorld());
  EXPECT_TRUE(status.ok()) << status;
}

std::vector<ContractCheck> Checks() {
  std::vector<ContractCheck> checks = ContractChecks();
  std::erase_if(checks, [](const ContractCheck& check) {
    // Where NCCL moves the data the host waits for all ranks in every call: no
    // answer within the exchange that asks, no other order of groups.
    const bool nccl = test::TestedType() == DeviceType::kCuda;
    return nccl &&
           (check.name == "ExchangeAnswers" || check.name == "AsyncOverlap" ||
            absl::StartsWith(check.name, "Traces"));
  });
  return checks;
}

INSTANTIATE_TEST_SUITE_P(AllRanks, CheckedContract, testing::ValuesIn(Checks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace eisbach::comm::communicator_agreement_test
