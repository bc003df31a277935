#include "comm/local/collective_task.h"

#include <string>
#include <vector>

namespace eisbach::comm {
absl::Status CollectiveTask::CheckCalls() const {
  std::vector<CallShape> shapes;
  for (const LocalCall& call : calls()) shapes.push_back(call.shape);
  const std::string text = Disagreement(shapes);
  return text.empty() ? absl::OkStatus() : absl::InvalidArgumentError(text);
}

absl::Status CollectiveTask::Fail(absl::Status cause) {
  if (!cause.ok()) group_->Fail(std::move(cause));
  group_->AwaitReaders();
  return group_->Failure();
}

absl::StatusOr<Task::Step> CollectiveTask::Poll() {
  if (group_->failed()) return Fail({});
  if (stage_ == Stage::kPost) {
    group_->Post(rank_, index_, call_);
    stage_ = Stage::kMeet;
  }
  if (stage_ == Stage::kMeet) {
    const absl::StatusOr<bool> met = group_->AllPosted(index_);
    if (!met.ok()) return Fail(met.status());
    if (!*met) return Step::kIdle;
    if (absl::Status status = CheckCalls(); !status.ok()) return Fail(status);
    stage_ = Stage::kWork;
  }
  if (stage_ == Stage::kWork) {
    if (!group_->StartReading()) return Fail({});
    const absl::StatusOr<bool> done = Work();
    group_->StopReading();
    if (!done.ok()) return Fail(done.status());
    if (!*done) return Step::kMoved;
    group_->Leave(rank_, index_);
    if (call_.eager) return Step::kDone;
    stage_ = Stage::kLeave;
  }
  return group_->AllLeft(index_) ? Step::kDone : Step::kIdle;
}

}  // namespace eisbach::comm
