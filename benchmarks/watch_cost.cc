// Times what the watch for hangs, the search for stragglers and the comparison
// of calls (csrc/watch, csrc/device/step_clock.h, Communicator::CheckCalls) put
// on the path of a step: what a rank writes down of a call from its start to
// its end with a wait for it, and of an action of a pipeline stage; a part of a
// step that is timed; and, under mpirun, a small all-reduce with and without
// comparing, and a measurement of the links between all ranks
// (csrc/train/link_check.h), which a run makes once, and when it is held up.
//
//   build/benchmarks/watch_cost [CALLS ACTIONS STEP_SECONDS]
//   EISBACH_TRANSPORT=mpi mpirun -n 2 build/benchmarks/watch_cost
//
// With the numbers of a step, which `eisbach profile` prints, also the share of
// what is written down.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "checkpoint/agree.h"
#include "comm/group_activity.h"
#include "comm/world.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "device/machine.h"
#include "device/step_clock.h"
#include "device/tracer.h"
#include "train/link_check.h"

namespace eisbach {
namespace {

// Nanoseconds of one call of `body`, the least of several repetitions.
template <typename Body>
double LeastNs(Body&& body) {
  constexpr int kRepeats = 20, kCalls = 100000;
  double least = 1e9;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const int64_t begin = Tracer::Now();
    for (int i = 0; i < kCalls; ++i) body(i);
    const double ns = static_cast<double>(Tracer::Now() - begin) / kCalls;
    if (ns < least) least = ns;
  }
  return least;
}

// Microseconds of a call of `group`, the least of several batches.
absl::StatusOr<double> CallMicroseconds(comm::Communicator& group,
                                        const Tensor& x, Stream& stream) {
  constexpr int kBatches = 41, kCalls = 50;
  std::vector<double> all;
  for (int batch = 0; batch < kBatches; ++batch) {
    const int64_t begin = Tracer::Now();
    for (int i = 0; i < kCalls; ++i) {
      EISBACH_RETURN_IF_ERROR(group.AllReduce(x, comm::ReduceOp::kSum, stream));
    }
    all.push_back(1e-3 * static_cast<double>(Tracer::Now() - begin) / kCalls);
  }
  return *std::min_element(all.begin(), all.end());
}

// Twice, as the first one connects.
absl::Status MeasureAllLinks(comm::World& world) {
  Stream& stream = world.device().compute_stream();
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh,
                           parallel::MakeMesh(world.size(), {}));
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<std::string> hosts,
      checkpoint::GatherText(HostName(), world.communicator(), stream));
  const auto rounds = train::LinkRounds(mesh, hosts);
  for (int i = 0; i < 2; ++i) {
    const int64_t begin = Tracer::Now();
    EISBACH_ASSIGN_OR_RETURN(const auto links,
                             train::MeasureLinks(world, rounds));
    const double ms = 1e-6 * static_cast<double>(Tracer::Now() - begin);
    if (world.rank() != 0) continue;
    std::printf("%zu links in %zu rounds: %.1f ms\n", links.size(),
                rounds.size(), ms);
    for (const train::LinkReading& link : links) {
      std::printf("  %d-%d: %.3g GB/s, %.3g ms\n", link.a, link.b,
                  link.gigabytes, 1e3 * link.seconds);
    }
  }
  return absl::OkStatus();
}

absl::Status CompareCalls() {
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<comm::World> world,
                           comm::InitWorld(DeviceType::kCpu));
  comm::Communicator& all = world->communicator();
  if (all.size() == 1) return absl::OkStatus();
  Stream& stream = world->device().compute_stream();
  EISBACH_ASSIGN_OR_RETURN(auto plain, all.Split(0, all.rank(), "plain"));
  EISBACH_ASSIGN_OR_RETURN(auto checked, all.Split(0, all.rank(), "checked"));
  checked->CheckCalls();
  for (const int64_t elements : {256, 65536}) {
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor x, Tensor::Zeros(Shape{elements}, DType::kF32, stream));
    EISBACH_ASSIGN_OR_RETURN(const double off,
                             CallMicroseconds(*plain, x, stream));
    EISBACH_ASSIGN_OR_RETURN(const double on,
                             CallMicroseconds(*checked, x, stream));
    if (all.rank() != 0) continue;
    std::printf(
        "all_reduce of %lld bytes by %s, %d ranks: %.1f us, compared "
        "%.1f us\n",
        static_cast<long long>(x.bytes()), std::string(all.transport()).c_str(),
        all.size(), off, on);
  }
  plain.reset();
  checked.reset();
  EISBACH_RETURN_IF_ERROR(MeasureAllLinks(*world));
  return world->Finalize();
}

int Run(int argc, char** argv) {
  const absl::Status compared = CompareCalls();
  if (!compared.ok()) {
    LogLine(compared.ToString());
    return 1;
  }
  const auto activity = comm::Activity::OfProcess(0);
  if (!activity.ok()) return 1;
  comm::GroupActivity group(*activity, "world", 0, 2);
  const double call = LeastNs([&](int i) {
    const comm::CallMark mark =
        group.Collective(comm::CallKind::kAllReduce, DType::kF32, 4 * i, i);
    mark.Begun(i);
    mark.Waited(true);
    mark.Waited(false);
    mark.Done();
  });
  const double action = LeastNs([&](int i) {
    (*activity)->BeginAction({.letter = 'F', .micro_batch = i});
  });
  Tracer tracer;
  HostStepClock clock(tracer);
  const auto part = [&](int) {
    const StepClock::Scope scope(clock, StepPart::kForward);
  };
  const double unwatched = LeastNs(part);
  clock.Begin().IgnoreError();
  const double watched = LeastNs(part);
  std::printf(
      "a call %.1f ns, an action %.1f ns, a part of a step %.1f ns "
      "(%.1f ns where nobody looks for stragglers)\n",
      call, action, watched, unwatched);
  if (argc != 4) return 0;
  const double calls = std::atof(argv[1]), actions = std::atof(argv[2]);
  // An action is a part; the others are fewer than ten.
  const double seconds =
      1e-9 * (calls * call + actions * action + (actions + 10) * watched);
  std::printf("%.5f %% of a step\n", 100 * seconds / std::atof(argv[3]));
  return 0;
}

}  // namespace
}  // namespace eisbach

int main(int argc, char** argv) { return eisbach::Run(argc, argv); }
