// The executor of pipeline schedules against their simulator, where actions
// sleep for a given time rather than compute, so that no stage needs a core:
// what remains is how the executor orders actions and waits, and what a
// transfer takes. schedules.py trains instead, which needs cores.
//
//   build/benchmarks/schedules [MS INPUT WEIGHT]
//
// 4 stages are threads of this process, with 8 micro-batches. A forward of a
// stage takes MS milliseconds (100), the halves of a backward INPUT and WEIGHT
// times that (1, 1). Prints for each schedule the simulator's bubble with
// transfers that take nothing, the executor's (median of 3 steps), the ratio.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "comm/world.h"
#include "core/status_macros.h"
#include "device/tracer.h"
#include "parallel/pipeline/dependencies.h"
#include "parallel/pipeline/executor.h"
#include "parallel/pipeline/simulate.h"

namespace eisbach::parallel {
namespace {

constexpr int kStages = 4, kMicroBatches = 8, kSteps = 3;

// What a stage did in a step; times in seconds.
struct Work {
  double begin = 0;  // of the first action
  double end = 0;
  double seconds = 0;  // in actions
};

double Now() { return 1e-9 * static_cast<double>(Tracer::Now()); }

class SleepingStage final : public StageProgram {
 public:
  SleepingStage(const Schedule& schedule, int stage, const StageTimes& times,
                Device& device)
      : shape_(schedule.shape), stage_(stage), times_(times), device_(device) {}

  Shape ActivationShape(int) const override { return Shape{1, 256, 512}; }
  DType ActivationDType() const override { return DType::kF32; }

  absl::StatusOr<Tensor> Forward(int, int chunk, const Tensor&) override {
    Sleep(times_.forward);
    return Made({ActionKind::kForward, 0, chunk});
  }
  absl::StatusOr<Tensor> Backward(int, int chunk, BackwardPart part,
                                  const Tensor&) override {
    Sleep(part == BackwardPart::kAll ? times_.backward : times_.backward_input);
    return Made({ActionKind::kBackward, 0, chunk});
  }
  absl::Status BackwardWeight(int, int) override {
    Sleep(times_.backward_weight);
    return absl::OkStatus();
  }
  absl::Status Reduce(int) override { return absl::OkStatus(); }

  const Work& work() const { return work_; }

 private:
  void Sleep(double seconds) {
    const double begin = Now();
    if (work_.begin == 0) work_.begin = begin;
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    work_.end = Now();
    work_.seconds += work_.end - begin;
  }

  // Undefined at the ends of the model.
  absl::StatusOr<Tensor> Made(const Action& action) {
    if (!PartAfter(shape_, stage_, action)) return Tensor();
    return Tensor::Empty(ActivationShape(0), DType::kF32, device_);
  }

  const ScheduleShape shape_;
  const int stage_;
  const StageTimes times_;
  Device& device_;
  Work work_;
};

double Bubble(const std::vector<Work>& stages) {
  double begin = stages[0].begin, end = 0, seconds = 0;
  for (const Work& work : stages) {
    begin = std::min(begin, work.begin);
    end = std::max(end, work.end);
    seconds += work.seconds;
  }
  return 1 - seconds / static_cast<double>(stages.size()) / (end - begin);
}

absl::StatusOr<double> Execute(const Schedule& schedule,
                               const StageTimes& times) {
  std::vector<std::vector<Work>> steps(kSteps, std::vector<Work>(kStages));
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      kStages, DeviceType::kCpu, /*threads=*/1,
      [&](comm::World& world) -> absl::Status {
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(const auto executor,
                                 Executor::Make(world.communicator(), stream));
        for (std::vector<Work>& step : steps) {
          EISBACH_RETURN_IF_ERROR(world.communicator().Barrier(stream));
          EISBACH_RETURN_IF_ERROR(stream.Synchronize());
          SleepingStage program(schedule, world.rank(), times, world.device());
          EISBACH_RETURN_IF_ERROR(executor->Run(
              schedule.shape, schedule.stages[world.rank()], program));
          step[world.rank()] = program.work();
        }
        return absl::OkStatus();
      }));
  std::vector<double> bubbles;
  for (const std::vector<Work>& step : steps) bubbles.push_back(Bubble(step));
  std::sort(bubbles.begin(), bubbles.end());
  return bubbles[bubbles.size() / 2];
}

absl::Status Compare(const std::string& name, int chunks,
                     const StageTimes& whole) {
  EISBACH_ASSIGN_OR_RETURN(const Schedule schedule,
                           MakeSchedule(name, kStages, chunks, kMicroBatches));
  const SimulationTimes times = EqualShares(schedule.shape, whole, 0);
  EISBACH_ASSIGN_OR_RETURN(const Simulation simulated,
                           Simulate(schedule, times));
  EISBACH_ASSIGN_OR_RETURN(const double bubble,
                           Execute(schedule, times.stages[0]));
  std::printf("%-12s %d %s  simulated %5.2f %%, executed %5.2f %%: %.3f\n",
              name.c_str(), chunks, chunks == 1 ? "chunk " : "chunks",
              100 * simulated.bubble_fraction, 100 * bubble,
              bubble / simulated.bubble_fraction);
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status CompareAll(double forward, double input, double weight) {
  const StageTimes whole{forward, (input + weight) * forward, input * forward,
                         weight * forward};
  for (const std::string& name : ScheduleNames()) {
    EISBACH_ASSIGN_OR_RETURN(const ChunkLimits limits, ChunksOf(name));
    for (int chunks = limits.least; chunks <= std::min(limits.most, 2);
         ++chunks) {
      EISBACH_RETURN_IF_ERROR(Compare(name, chunks, whole));
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace eisbach::parallel

int main(int argc, char** argv) {
  const auto argument = [&](int i, double otherwise) {
    return argc > i ? std::atof(argv[i]) : otherwise;
  };
  const absl::Status status = eisbach::parallel::CompareAll(
      argument(1, 100) / 1000, argument(2, 1), argument(3, 1));
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
