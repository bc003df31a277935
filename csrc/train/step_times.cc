#include "train/step_times.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/agree.h"
#include "core/status_macros.h"
#include "device/machine.h"
#include "train/results.h"

namespace eisbach::train {
namespace {

constexpr int kValues = StepClock::kTimes + 1;

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
  comm::Communicator& world = context.world().communicator();
  std::unique_ptr<StepTimes> times(new StepTimes(steps, context));
  EISBACH_ASSIGN_OR_RETURN(
      times->hosts_,
      checkpoint::GatherText(HostName(), world, device.compute_stream()));
  EISBACH_ASSIGN_OR_RETURN(
      times->mine_, Tensor::Zeros(Shape{times->rounds_, kValues}, DType::kF32,
                                  device.compute_stream()));
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
  EISBACH_ASSIGN_OR_RETURN(times->one_, device.AllocateHost(sizeof(float)));
  *static_cast<float*>(times->one_.get()) = 1;
  // As many as may be told of before the first of them is collected.
  const int most = (ResultQueue::kCapacity + times->rounds_) / times->rounds_;
  for (int i = 0; i < most; ++i) {
    EISBACH_ASSIGN_OR_RETURN(times->free_.emplace_back(),
                             device.AllocateHost(times->read_bytes()));
  }
  times->links_.emplace(steps, times->hosts_, context);
  EISBACH_RETURN_IF_ERROR(times->Restart());
  return times;
}

StepTimes::~StepTimes() { context_.device().step_clock().End(); }

absl::Status StepTimes::Restart() {
  return context_.device().step_clock().Begin();
}

absl::Status StepTimes::EndStep(int64_t step) {
  float* const row = static_cast<float*>(mine_.raw()) + steps_.size() * kValues;
  EISBACH_RETURN_IF_ERROR(context_.device().step_clock().Take(row));
  steps_.push_back(step);
  ++ended_;
  return static_cast<int>(steps_.size()) == rounds_ ? TellAll()
                                                    : absl::OkStatus();
}

absl::Status StepTimes::TellAll() {
  EISBACH_RETURN_IF_ERROR(SayWhatIsWanted());
  EISBACH_RETURN_IF_ERROR(context_.world().communicator().AllGather(
      mine_, all_, context_.device().compute_stream()));
  return CopyToHost(std::exchange(steps_, {}));
}

absl::Status StepTimes::SayWhatIsWanted() {
  if (!finder_.has_value()) return absl::OkStatus();
  const bool wanted = links_->wants_measurement();
  if (std::exchange(said_wanted_, wanted) == wanted) return absl::OkStatus();
  Device& device = context_.device();
  float* const last = static_cast<float*>(mine_.raw()) + last_value();
  return wanted ? device.CopyToDevice(last, one_.get(), sizeof(float),
                                      device.compute_stream())
                : device.SetZero(last, sizeof(float), device.compute_stream());
}

absl::Status StepTimes::CopyToHost(std::vector<int64_t> steps) {
  Device& device = context_.device();
  Stream& stream = device.compute_stream();
  if (free_.empty()) {  // steps that are computed again are told of again
    EISBACH_ASSIGN_OR_RETURN(free_.emplace_back(),
                             device.AllocateHost(read_bytes()));
  }
  const auto* first = static_cast<const float*>(all_.raw());
  if (!finder_.has_value()) first += last_value();
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(free_.back().get(), first, read_bytes(), stream));
  told_.push_back({std::move(steps), ended_, std::move(free_.back())});
  free_.pop_back();
  if (stream.runs_inline()) Collected(/*submitted=*/-1);
  return absl::OkStatus();
}

// The stream comes to a copy before it comes to the result of a later step.
void StepTimes::Collected(int submitted) {
  while (!told_.empty() && told_.front().ended < ended_ - submitted) {
    const Told& told = told_.front();
    const auto* values = static_cast<const float*>(told.values.get());
    // What rank 0 has found goes with what it tells the next time.
    const float wanted = values[finder_.has_value() ? last_value() : 0];
    wants_links_ |= !std::exchange(has_read_, true) || wanted != 0;
    if (finder_.has_value()) Judge(told);
    free_.push_back(std::move(told_.front().values));
    told_.pop_front();
  }
}

void StepTimes::Judge(const Told& told) {
  const auto* values = static_cast<const float*>(told.values.get());
  const auto size = static_cast<int>(hosts_.size());
  for (int round = 0; round < rounds_; ++round) {
    std::vector<watch::RankStep> ranks(size);
    for (int rank = 0; rank < size; ++rank) {
      const float* row = values + (rank * rounds_ + round) * kValues;
      std::copy_n(row, kNumStepParts, ranks[rank].busy.begin());
      std::copy_n(row + kNumStepParts, kNumStepParts,
                  ranks[rank].waiting.begin());
    }
    Judge(told.steps[round], ranks);
  }
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
  return Restart();
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
