// Times what a rank writes down for the watch for hangs (csrc/watch), which is
// all that is on the path of a step: a call from its start to its end with a
// wait for it, and an action of a pipeline stage.
//
//   build/benchmarks/watch_cost [CALLS ACTIONS STEP_SECONDS]
//
// With the numbers of a step, which `eisbach profile` prints, also its share.

#include <cstdio>
#include <cstdlib>

#include "comm/group_activity.h"
#include "device/tracer.h"

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

int Run(int argc, char** argv) {
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
  std::printf("a call %.1f ns, an action %.1f ns\n", call, action);
  if (argc != 4) return 0;
  const double seconds =
      1e-9 * (std::atof(argv[1]) * call + std::atof(argv[2]) * action);
  std::printf("%.5f %% of a step\n", 100 * seconds / std::atof(argv[3]));
  return 0;
}

}  // namespace
}  // namespace eisbach

int main(int argc, char** argv) { return eisbach::Run(argc, argv); }
