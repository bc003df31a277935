#include "train/step_times.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/agree.h"
#include "core/status_macros.h"
#include "device/machine.h"

namespace eisbach::train {
namespace {

constexpr int kValues = 2 * kNumStepParts + 1;

}  // namespace

StepTimes::StepTimes(int steps, const parallel::ParallelContext& context)
    : context_(context), rounds_(std::max(1, steps / 5)) {}

absl::StatusOr<std::unique_ptr<StepTimes>> StepTimes::Make(
    int steps, const parallel::ParallelContext& context) {
  Device& device = context.device();
  if (steps < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "straggler_steps=", steps,
        " is below 1 (fault.straggler_steps); 0 there looks for none"));
  }
  if (!device.compute_stream().runs_inline()) {
    return absl::UnimplementedError(absl::StrCat(
        "straggler_steps=", steps, ": what a rank on ", Name(device.type()),
        " takes by itself is not measured (fault.straggler_steps); nearest "
        "that works: 0 or auto"));
  }
  comm::Communicator& world = context.world().communicator();
  std::unique_ptr<StepTimes> times(new StepTimes(steps, context));
  EISBACH_ASSIGN_OR_RETURN(
      times->hosts_,
      checkpoint::GatherText(HostName(), world, device.compute_stream()));
  EISBACH_ASSIGN_OR_RETURN(
      times->mine_,
      Tensor::Empty(Shape{times->rounds_, kValues}, DType::kF32, device));
  EISBACH_ASSIGN_OR_RETURN(
      times->all_, Tensor::Empty(Shape{world.size(), times->rounds_, kValues},
                                 DType::kF32, device));
  if (world.rank() == 0) {
    std::vector<int> stages;
    for (int rank = 0; rank < world.size(); ++rank) {
      stages.push_back(context.mesh().CoordinateOf(rank, Axis::kPipeline));
    }
    times->finder_.emplace(std::move(stages), steps);
  }
  times->links_.emplace(steps, times->hosts_, context);
  times->Restart();
  return times;
}

void StepTimes::Restart() { context_.device().step_clock().Begin(); }

absl::Status StepTimes::EndStep(int64_t step) {
  const StepClock::Taken taken = context_.device().step_clock().Take();
  float* row = mine_.data<float>() + steps_.size() * kValues;
  row = std::copy(taken.busy.begin(), taken.busy.end(), row);
  row = std::copy(taken.waiting.begin(), taken.waiting.end(), row);
  *row = links_->wants_measurement() ? 1 : 0;
  steps_.push_back(step);
  return static_cast<int>(steps_.size()) == rounds_ ? TellAll()
                                                    : absl::OkStatus();
}

absl::Status StepTimes::TellAll() {
  comm::Communicator& world = context_.world().communicator();
  EISBACH_RETURN_IF_ERROR(
      world.AllGather(mine_, all_, context_.device().compute_stream()));
  // What rank 0 has found goes with what it tells the next time.
  wants_links_ = !std::exchange(told_, true) ||
                 all_.data<float>()[rounds_ * kValues - 1] != 0;
  const std::vector<int64_t> steps = std::exchange(steps_, {});
  if (!finder_.has_value()) return absl::OkStatus();
  for (int round = 0; round < rounds_; ++round) {
    std::vector<watch::RankStep> ranks(world.size());
    for (int rank = 0; rank < world.size(); ++rank) {
      const float* row =
          all_.data<float>() + (rank * rounds_ + round) * kValues;
      std::copy_n(row, kNumStepParts, ranks[rank].busy.begin());
      std::copy_n(row + kNumStepParts, kNumStepParts,
                  ranks[rank].waiting.begin());
    }
    Judge(steps[round], ranks);
  }
  return absl::OkStatus();
}

void StepTimes::Judge(int64_t step, const std::vector<watch::RankStep>& ranks) {
  for (const watch::Straggler& one : finder_->Add(step, ranks)) {
    news_.push_back(watch::ToText(one, hosts_));
  }
  // Transfers with a rank that is late are slow, too.
  if (finder_->now().empty()) links_->Add(step, ranks);
}

absl::Status StepTimes::MeasureLinks() {
  wants_links_ = false;
  EISBACH_RETURN_IF_ERROR(links_->Measure());
  Restart();
  return absl::OkStatus();
}

std::vector<watch::Straggler> StepTimes::stragglers() const {
  return finder_.has_value() ? finder_->now() : std::vector<watch::Straggler>();
}

std::vector<std::string> StepTimes::TakeNews() {
  std::vector<std::string> news = std::exchange(news_, {});
  for (std::string& line : links_->TakeNews()) news.push_back(std::move(line));
  return news;
}

}  // namespace eisbach::train
