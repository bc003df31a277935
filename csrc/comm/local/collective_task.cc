#include "comm/local/collective_task.h"

#include "absl/strings/str_cat.h"

namespace eisbach::comm {
namespace {

std::string ToString(const LocalCall& call) {
  return absl::StrCat(call.name, " of ", call.elements, " ", Name(call.dtype),
                      ", op ", static_cast<int>(call.op), ", root ", call.root);
}

}  // namespace

bool CollectiveTask::Matches(const LocalCall& theirs) const {
  return theirs.name == call_.name && theirs.dtype == call_.dtype &&
         theirs.op == call_.op && theirs.root == call_.root &&
         theirs.elements == call_.elements;
}

absl::Status CollectiveTask::CheckCalls() const {
  for (int peer = 0; peer < size(); ++peer) {
    const LocalCall& theirs = calls()[peer];
    if (!Matches(theirs)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ranks of a group disagree: rank ", rank_, " calls ", ToString(call_),
          "; rank ", peer, " calls ", ToString(theirs)));
    }
  }
  return absl::OkStatus();
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
