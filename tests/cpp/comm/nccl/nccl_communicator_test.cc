#include <gtest/gtest.h>

#include <tuple>

#include "absl/strings/match.h"
#include "cpp/comm/contract.h"
#include "support/device_testing.h"
#include "support/mpi_world.h"

// NCCL's backend, on the double of NCCL when the GPU is an emulated one.
namespace eisbach::comm {
namespace {

using contract::Filled;
using contract::Place;

class NcclContract
    : public testing::TestWithParam<std::tuple<Place, ContractCheck>> {};

TEST_P(NcclContract, Holds) {
  contract::place = std::get<0>(GetParam());
  const absl::Status status = std::get<1>(GetParam()).body(TestWorld());
  contract::place = Place::kPlain;
  EXPECT_TRUE(status.ok()) << status;
}

std::string NameOf(
    const testing::TestParamInfo<NcclContract::ParamType>& info) {
  return std::get<1>(info.param).name +
         (std::get<0>(info.param) == Place::kPlain ? "Plain" : "Shared");
}

// What runs on a GPU leaves no span of the host's.
std::vector<ContractCheck> ChecksOfGpus() {
  std::vector<ContractCheck> checks = ContractChecks();
  std::erase_if(checks, [](const ContractCheck& check) {
    return absl::StartsWith(check.name, "Traces");
  });
  return checks;
}

INSTANTIATE_TEST_SUITE_P(
    AllRanks, NcclContract,
    testing::Combine(testing::Values(Place::kPlain, Place::kShared),
                     testing::ValuesIn(ChecksOfGpus())),
    NameOf);

TEST(NcclWorld, KnowsItself) {
  World& world = TestWorld();
  EXPECT_EQ(world.backend(), "mpi");
  EXPECT_EQ(world.device().type(), test::TestedType());
  EXPECT_EQ(world.communicator().transport(),
            world.size() == 1 ? "mpi" : "nccl");
  EXPECT_EQ(world.local_rank(), world.rank());
}

TEST(NcclCommunicator, ReducesNoU16) {
  World& world = TestWorld();
  if (world.size() == 1) return;
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  auto x = Filled<uint16_t>(world.device(), 10, all.rank(), 1);
  ASSERT_TRUE(x.ok()) << x.status();
  const absl::Status status = all.AllReduce(*x, ReduceOp::kSum, stream);
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_TRUE(absl::StrContains(
      status.message(), "all_reduce on \"world\": NCCL does not reduce u16"))
      << status;
  EXPECT_TRUE(all.Broadcast(*x, 0, stream).ok());
}

// A tensor whose owner lets go while its call waits on another stream is not
// handed on.
TEST(NcclCommunicator, KeepsTensorsUntilTheStreamHasPassed) {
  World& world = TestWorld();
  Communicator& all = world.communicator();
  Device& device = world.device();
  auto stream = device.NewStream();
  ASSERT_TRUE(stream.ok());
  const int64_t before = device.memory().bytes_in_use;
  auto out = Filled<int32_t>(device, 5000 * all.size(), -1 & 7, 2);
  {
    auto in = Filled<int32_t>(device, 5000, all.rank(), 3);
    ASSERT_TRUE(all.AllGather(*in, *out, **stream).ok());
  }
  auto other = Filled<int32_t>(device, 5000, 99, 4);  // might take its place
  ASSERT_TRUE((*stream)->Synchronize().ok());
  const absl::Status status =
      contract::Expect<int32_t>(*out, "gathered", [&](int64_t i) {
        return contract::Value<int32_t>(static_cast<int>(i / 5000), i % 5000,
                                        3);
      });
  EXPECT_TRUE(status.ok()) << status;
  out = Tensor();
  other = Tensor();
  EXPECT_EQ(device.memory().bytes_in_use, before);
}

}  // namespace
}  // namespace eisbach::comm
