#include <gtest/gtest.h>
#include <mpi.h>

#include <tuple>

#include "absl/strings/match.h"
#include "cpp/comm/contract.h"
#include "support/device_testing.h"
#include "support/mpi_world.h"

// NCCL's backend, on the double of NCCL when the GPU is an emulated one.
namespace eisbach::comm::nccl_communicator_test {
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

INSTANTIATE_TEST_SUITE_P(AllRanks, NcclContract,
                         testing::Combine(testing::Values(Place::kPlain,
                                                          Place::kShared),
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

TEST(NcclCommunicator, TellsWhatConnectsItsRanks) {
  Communicator& all = TestWorld().communicator();
  const absl::StatusOr<Interconnect> found = all.interconnect();
  if (all.size() == 1) {
    EXPECT_TRUE(absl::IsUnimplemented(found.status())) << found.status();
    return;
  }
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->nvlink_domains, 1);
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
// handed on. All ranks but the last free theirs before the last one comes.
TEST(NcclCommunicator, KeepsTensorsUntilTheStreamHasPassed) {
  World& world = TestWorld();
  Communicator& all = world.communicator();
  Device& device = world.device();
  Stream& compute = device.compute_stream();
  auto stream = device.NewStream();
  auto late = all.Split(0, all.rank(), "late");
  ASSERT_TRUE(stream.ok() && late.ok());
  const bool last = all.rank() == all.size() - 1;
  ASSERT_TRUE((*late)->Barrier(compute).ok());
  const int64_t before = device.memory().bytes_in_use;
  auto out = Filled<int32_t>(device, 5000 * all.size(), 7, 2);
  // By MPI: NCCL's calls have one order on all ranks.
  if (last) MPI_Barrier(MPI_COMM_WORLD);
  const void* was = nullptr;
  {
    auto in = Filled<int32_t>(device, 5000, all.rank(), 3);
    was = in->raw();
    ASSERT_TRUE((*late)->Barrier(**stream).ok());
    ASSERT_TRUE(all.AllGather(*in, *out, **stream).ok());
  }
  auto other = Filled<int32_t>(device, 5000, 99, 4);
  if (!last) {
    EXPECT_NE(other->raw(), was);
    MPI_Barrier(MPI_COMM_WORLD);
  }
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

// Shared memory is registered with each communicator that works on it, and
// can be given back while they live on.
TEST(NcclCommunicator, SharedMemoryComesAndGoes) {
  World& world = TestWorld();
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  auto pairs = all.Split(all.rank() / 2, all.rank(), "pairs");
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  contract::place = Place::kShared;
  for (int round = 0; round < 3; ++round) {
    for (Communicator* group : {&all, pairs->get()}) {
      auto x = Filled<float>(world.device(), 3000 + round, 1, round);
      ASSERT_TRUE(x.ok()) << x.status();
      EXPECT_TRUE(group->AllReduce(*x, ReduceOp::kMax, stream).ok());
      const absl::Status status = contract::Expect<float>(
          *x, "shared",
          [&](int64_t i) { return contract::Value<float>(1, i, round); });
      EXPECT_TRUE(status.ok()) << status;
    }
    world.device().TrimMemory();
  }
  contract::place = Place::kPlain;
}

}  // namespace
}  // namespace eisbach::comm::nccl_communicator_test
