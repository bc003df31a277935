#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "core/threads.h"
#include "cpp/comm/contract_data.h"
#include "cpp/comm/contract_exchange.h"

namespace eisbach::comm::local_world_test {
namespace {

using contract::Filled;
using contract::Make;
using contract::ReceiveFrom;
using contract::SendTo;

constexpr DeviceType kCpu = DeviceType::kCpu;

// All-reduces a tensor of `elements` on the world.
absl::Status Reduce(World& world, int64_t elements) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor x, Filled<float>(world.device(), elements, world.rank(), 0));
  return world.communicator().AllReduce(x, ReduceOp::kSum,
                                        world.device().compute_stream());
}

TEST(RunLocalRanks, GivesEachRankItsPlace) {
  std::vector<int> seen(5, 0);
  const absl::Status status =
      RunLocalRanks(5, kCpu, 3, [&](World& world) -> absl::Status {
        seen[world.rank()] += 1;
        EXPECT_EQ(world.size(), 5);
        EXPECT_EQ(world.local_rank(), world.rank());
        EXPECT_EQ(world.local_size(), 5);
        EXPECT_EQ(world.backend(), "local");
        EXPECT_EQ(ComputeThreads(), 3);
        return world.Finalize();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, std::vector<int>(5, 1));
}

TEST(RunLocalRanks, RefusesNoRanksAndNoThreads) {
  const auto body = [](World&) { return absl::OkStatus(); };
  EXPECT_TRUE(absl::IsInvalidArgument(RunLocalRanks(0, kCpu, 1, body)));
  EXPECT_TRUE(absl::IsInvalidArgument(RunLocalRanks(2, kCpu, 0, body)));
}

TEST(RunLocalRanks, AFailingRankReleasesTheOthers) {
  std::vector<absl::Status> told(4);
  const absl::Status status =
      RunLocalRanks(4, kCpu, 1, [&](World& world) -> absl::Status {
        if (world.rank() == 2) return absl::DataLossError("no more data");
        told[world.rank()] = Reduce(world, 100000);
        return told[world.rank()];
      });
  EXPECT_EQ(status, absl::DataLossError("no more data"));
  for (int rank : {0, 1, 3}) {
    EXPECT_TRUE(absl::IsAborted(told[rank])) << told[rank];
    EXPECT_TRUE(
        absl::StrContains(told[rank].message(), "rank 2 failed: no more data"))
        << told[rank];
  }
}

TEST(RunLocalRanks, AFailureReleasesEveryKindOfWait) {
  for (int kind = 0; kind < 6; ++kind) {
    const absl::Status status =
        RunLocalRanks(3, kCpu, 1, [&](World& world) -> absl::Status {
          Communicator& all = world.communicator();
          Stream& stream = world.device().compute_stream();
          EISBACH_ASSIGN_OR_RETURN(
              Tensor x, Filled<float>(world.device(), 300, world.rank(), 0));
          EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> deferred,
                                   world.device().NewStream());
          EISBACH_RETURN_IF_ERROR(all.Barrier(stream));
          if (world.rank() == 1) {
            absl::SleepFor(absl::Milliseconds(kind * 5));
            return absl::InternalError("on purpose");
          }
          switch (kind) {
            case 0:
              return all.Barrier(stream);
            case 1:
              return all.Split(0, 0, "sub").status();
            case 2:
              return all.Exchange({ReceiveFrom(1, x)}, stream);
            case 3:
              return all.Exchange({SendTo(1, x)}, stream);
            case 4:
              EISBACH_RETURN_IF_ERROR(all.Broadcast(x, 1, *deferred));
              return deferred->Synchronize();
            default: {
              // Never waited for by its rank: ended with the communicator.
              EISBACH_RETURN_IF_ERROR(all.Barrier(*deferred));
              return absl::OkStatus();
            }
          }
        });
    EXPECT_EQ(status, absl::InternalError("on purpose")) << kind;
  }
}

TEST(RunLocalRanks, AFailureWhileTensorsAreReadIsSafe) {
  for (int round = 0; round < 20; ++round) {
    const absl::Status status =
        RunLocalRanks(4, kCpu, 1, [&](World& world) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream,
                                   world.device().NewStream());
          for (int k = 0; k < 4; ++k) {
            EISBACH_ASSIGN_OR_RETURN(
                Tensor x,
                Filled<float>(world.device(), 400000, world.rank(), k));
            EISBACH_RETURN_IF_ERROR(
                world.communicator().AllReduce(x, ReduceOp::kSum, *stream));
          }
          if (world.rank() == round % 4) {
            absl::SleepFor(absl::Microseconds(round * 100));
            return absl::CancelledError("stop");
          }
          return stream->Synchronize();
        });
    EXPECT_EQ(status, absl::CancelledError("stop"));
  }
}

TEST(RunLocalRanks, ARankThatEndsEarlyIsNamed) {
  for (const bool exchange : {false, true}) {
    const absl::Status status =
        RunLocalRanks(3, kCpu, 1, [&](World& world) -> absl::Status {
          if (world.rank() == 0) return absl::OkStatus();
          if (!exchange) return Reduce(world, 10);
          EISBACH_ASSIGN_OR_RETURN(Tensor x, Make<float>(world.device(), 10));
          return world.communicator().Exchange({ReceiveFrom(0, x)},
                                               world.device().compute_stream());
        });
    EXPECT_TRUE(absl::StrContains(status.message(),
                                  "rank 0 has ended and will not take part"))
        << status;
  }
}

TEST(RunLocalRanks, AbortEndsEveryWait) {
  const absl::Status status =
      RunLocalRanks(3, kCpu, 1, [&](World& world) -> absl::Status {
        if (world.rank() == 1) {
          world.Abort(7, "the disk is full");
          return absl::OkStatus();
        }
        return Reduce(world, 10);
      });
  EXPECT_TRUE(absl::StrContains(status.message(), "the disk is full"))
      << status;
}

TEST(LocalCommunicator, CallsThatDoNotMatchAreAnErrorEverywhere) {
  std::vector<absl::Status> first(3), second(3);
  const absl::Status status =
      RunLocalRanks(3, kCpu, 1, [&](World& world) -> absl::Status {
        const int rank = world.rank();
        first[rank] = Reduce(world, rank == 1 ? 12 : 11);
        // The error stays.
        second[rank] = Reduce(world, 11);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_TRUE(absl::IsInvalidArgument(first[rank])) << first[rank];
    EXPECT_TRUE(absl::StrContains(first[rank].message(),
                                  "calls all_reduce (sum) of 12 f32"))
        << first[rank];
    EXPECT_TRUE(absl::StrContains(first[rank].message(),
                                  "call all_reduce (sum) of 11 f32"))
        << first[rank];
    EXPECT_EQ(second[rank].code(), first[rank].code());
  }
}

TEST(LocalCommunicator, DifferentCallsAreNamed) {
  const absl::Status status =
      RunLocalRanks(2, kCpu, 1, [&](World& world) -> absl::Status {
        if (world.rank() == 0) return Reduce(world, 10);
        return world.communicator().Barrier(world.device().compute_stream());
      });
  EXPECT_TRUE(absl::StrContains(status.message(), "barrier")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "all_reduce")) << status;
}

TEST(LocalCommunicator, CountsThatDoNotMatchAreAnError) {
  const absl::Status status =
      RunLocalRanks(2, kCpu, 1, [&](World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(Tensor in, Make<float>(world.device(), 4));
        EISBACH_ASSIGN_OR_RETURN(Tensor out,
                                 Make<float>(world.device(), 4 + world.rank()));
        const int64_t more = world.rank();
        return world.communicator().AllToAllV(
            in, {2, 2}, out,
            world.rank() == 0 ? std::vector<int64_t>{2, 2}
                              : std::vector<int64_t>{2 + more, 2},
            world.device().compute_stream());
      });
  EXPECT_TRUE(absl::StrContains(
      status.message(), "rank 0 sends 2 elements to rank 1, which expects 3"))
      << status;
}

TEST(LocalCommunicator, TransfersThatDoNotMatchAreAnError) {
  std::vector<absl::Status> told(2);
  const absl::Status status =
      RunLocalRanks(2, kCpu, 1, [&](World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(Tensor x,
                                 Make<float>(world.device(), 4 + world.rank()));
        Transfer transfer =
            world.rank() == 0 ? SendTo(1, x) : ReceiveFrom(0, x);
        told[world.rank()] = world.communicator().Exchange(
            {transfer}, world.device().compute_stream());
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  for (const absl::Status& one : told) {
    EXPECT_TRUE(absl::StrContains(one.message(),
                                  "rank 0 sends 16 bytes of f32 to rank 1, "
                                  "which expects 20"))
        << one;
  }
}

TEST(LocalCommunicator, AFailedDependencyFailsTheCall) {
  class Broken final : public EventState {
   public:
    bool Done() override { return true; }
    absl::Status Wait() override { return absl::DataLossError("broken"); }
  };
  class BrokenStream final : public Stream {
   public:
    using Stream::Stream;
    absl::StatusOr<Event> Record() override { return Event(); }
    absl::Status Wait(const Event&) override { return absl::OkStatus(); }
    absl::Status Synchronize() override { return absl::OkStatus(); }
    std::vector<Event> Dependencies() override {
      return {Event(std::make_shared<Broken>())};
    }
    absl::Status Append(Event completion) override { return completion.Wait(); }
  };
  const absl::Status status =
      RunLocalRanks(2, kCpu, 1, [&](World& world) -> absl::Status {
        BrokenStream stream(world.device());
        const absl::Status own = world.communicator().Barrier(stream);
        EXPECT_TRUE(absl::IsDataLoss(own)) << own;
        return own;
      });
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

TEST(LocalCommunicator, MetaMovesNothing) {
  const absl::Status status =
      RunLocalRanks(4, DeviceType::kMeta, 1, [&](World& world) -> absl::Status {
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(
            std::unique_ptr<Communicator> pair,
            world.communicator().Split(world.rank() / 2, 0, "pair"));
        EXPECT_EQ(pair->size(), 2);
        EISBACH_ASSIGN_OR_RETURN(Tensor x, Make<float>(world.device(), 1000));
        EISBACH_RETURN_IF_ERROR(pair->AllReduce(x, ReduceOp::kSum, stream));
        EXPECT_EQ(pair->stats().bytes, 4000);
        return pair->Barrier(stream);
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(LocalCommunicator, MoreRanksThanCoresMove) {
  std::atomic<int> done{0};
  const absl::Status status =
      RunLocalRanks(24, kCpu, 1, [&](World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream,
                                 world.device().NewStream());
        for (int k = 0; k < 10; ++k) {
          EISBACH_RETURN_IF_ERROR(world.communicator().Barrier(*stream));
          EISBACH_RETURN_IF_ERROR(Reduce(world, 10));
        }
        ++done;
        return stream->Synchronize();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(done, 24);
}

}  // namespace
}  // namespace eisbach::comm::local_world_test
