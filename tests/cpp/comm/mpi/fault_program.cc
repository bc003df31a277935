#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/time/clock.h"
#include "checkpoint/agree.h"
#include "comm/world.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "support/device_testing.h"
#include "watch/watch.h"

// A job that goes wrong in the way that its argument names; run by
// fault_test.py. Rank 1 is the one that fails, in the middle of a loop of
// collectives that the others go on with.
namespace eisbach::comm {
namespace {

constexpr int kRoundOfFault = 20;

void GoWrong(const std::string& fault, World& world) {
  if (fault == "kill") raise(SIGKILL);
  if (fault == "terminate") raise(SIGTERM);
  if (fault == "segfault") raise(SIGSEGV);
  if (fault == "exit") std::_Exit(3);
  if (fault == "abort") world.Abort(5, "rank 1 cannot go on");
  if (fault == "stopped") raise(SIGSTOP);
  if (fault == "stop" || fault == "hang") {
    while (true) absl::SleepFor(absl::Milliseconds(1));
  }
}

// For hangs of more than a second of a rank that has done a step.
absl::Status StartWatch(World& world) {
  Activity& activity = *world.communicator().activity();
  activity.BeginStep(1);
  activity.EndStep(1);
  EISBACH_ASSIGN_OR_RETURN(
      std::shared_ptr<watch::Watch> watch,
      watch::Watch::Start(
          world, {.hang_seconds = 1}, [&](const std::string& mine) {
            return checkpoint::GatherText(mine, world.communicator(),
                                          world.device().compute_stream());
          }));
  world.Keep(std::move(watch));
  return absl::OkStatus();
}

absl::Status Run(const std::string& fault) {
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           InitWorld(test::TestedType()));
  std::printf("world of %d, pid %d\n", world->size(), getpid());
  std::fflush(stdout);
  if (fault == "hang" || fault == "stopped") {
    EISBACH_RETURN_IF_ERROR(StartWatch(*world));
  }
  Device& device = world->device();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, device.NewStream());
  for (int round = 0; round < 2 * kRoundOfFault; ++round) {
    EISBACH_ASSIGN_OR_RETURN(Tensor x, Tensor::Zeros({100000}, DType::kF32,
                                                     device.compute_stream()));
    EISBACH_RETURN_IF_ERROR(
        world->communicator().AllReduce(x, ReduceOp::kSum, *stream));
    if (world->rank() == 1 && round == kRoundOfFault) GoWrong(fault, *world);
    if (round % 2 == 0) EISBACH_RETURN_IF_ERROR(stream->Synchronize());
  }
  EISBACH_RETURN_IF_ERROR(stream->Synchronize());
  return world->Finalize();
}

}  // namespace
}  // namespace eisbach::comm

int main(int argc, char** argv) {
  const absl::Status status =
      eisbach::comm::Run(argc > 1 ? argv[1] : "nothing");
  if (status.ok()) return 0;
  eisbach::LogLine(status.ToString());
  return 1;
}
