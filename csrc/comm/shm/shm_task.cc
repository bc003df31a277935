#include "comm/shm/shm_task.h"

#include <cstring>

#include "core/status_macros.h"
#include "device/cpu/copy.h"

namespace eisbach::comm {

void ShmTask::Copy(void* to, const void* from, int64_t bytes, int64_t whole) {
  constexpr int64_t kLargeBytes = 4 << 20;
  if (bytes == 0 || to == from) return;
  if (whole >= kLargeBytes) {
    cpu::CopyPastCaches(to, from, bytes);
  } else {
    std::memcpy(to, from, bytes);
  }
}

const char* ShmTask::Input(int member) const {
  if (way_ == Way::kEager) {
    return group_->layout().eager(group_->block(member), index_);
  }
  return group_->At(member, call(member).in);
}

void ShmTask::Post() {
  if (EagerBytes() > 0) {
    std::memcpy(group_->layout().eager(group_->block(rank()), index_),
                EagerInput(), EagerBytes());
  }
  Show();
  group_->Post(index_, call_);
}

absl::Status ShmTask::Check() const {
  for (int peer = 0; peer < size(); ++peer) {
    if (call(peer).shape == call_.shape) continue;
    std::vector<CallShape> shapes;
    for (int rank = 0; rank < size(); ++rank) {
      shapes.push_back(call(rank).shape);
    }
    return absl::InvalidArgumentError(Disagreement(shapes));
  }
  return absl::OkStatus();
}

absl::StatusOr<Task::Step> ShmTask::Poll() {
  bool moved = false;
  if (stage_ == Stage_::kPost) {
    Post();
    stage_ = Stage_::kMeet;
    moved = true;
  }
  if (stage_ == Stage_::kMeet) {
    if (!group_->AllPosted(index_)) return moved ? Step::kMoved : Step::kIdle;
    EISBACH_RETURN_IF_ERROR(Check());
    EISBACH_RETURN_IF_ERROR(Met());
    way_ = EagerInput() != nullptr ? Way::kEager : Way::kDirect;
    for (int member = 0; way_ == Way::kDirect && member < size(); ++member) {
      if (!Reachable(member, call(member))) way_ = Way::kStaged;
    }
    stage_ = Stage_::kInPlace;
    if (way_ == Way::kStaged) {
      stage_ = Stage_::kRounds;
      first_ = group_->rounds();
      rounds_ = Rounds();
      group_->AddRounds(rounds_);
    }
  }
  if (stage_ == Stage_::kInPlace) {
    if (!WorkInPlace()) return Step::kMoved;
    if (way_ == Way::kEager) return Step::kDone;
    group_->Leave(index_);
    stage_ = Stage_::kLeave;
  }
  if (stage_ == Stage_::kRounds) return PollRounds();
  return group_->AllLeft(index_) ? Step::kDone : Step::kIdle;
}

Task::Step ShmTask::PollRounds() {
  const int64_t most = 4 * kSlots;
  int64_t moves = 0;
  while (moves < most && RoundMoves()) ++moves;
  if (staged_ == rounds_ && combined_ == rounds_ && collected_ == rounds_) {
    return Step::kDone;
  }
  return moves > 0 ? Step::kMoved : Step::kIdle;
}

bool ShmTask::RoundMoves() {
  BlockHeader& mine = group_->mine();
  bool moved = false;
  if (staged_ < rounds_ &&
      first_ + staged_ <
          kSlots + group_->LeastOfPeers(&BlockHeader::combined)) {
    Stage(staged_);
    mine.staged.Set(first_ + ++staged_);
    moved = true;
  }
  if (combined_ < rounds_ &&
      group_->LeastOfPeers(&BlockHeader::staged) > first_ + combined_ &&
      (!Collects() ||
       first_ + combined_ <
           kSlots + group_->LeastOfPeers(&BlockHeader::collected))) {
    Combine(combined_);
    mine.combined.Set(first_ + ++combined_);
    if (!Collects()) mine.collected.Set(first_ + ++collected_);
    moved = true;
  }
  if (Collects() && collected_ < combined_ &&
      group_->LeastOfPeers(&BlockHeader::combined) > first_ + collected_) {
    Collect(collected_);
    mine.collected.Set(first_ + ++collected_);
    moved = true;
  }
  if (moved) group_->RingPeers();
  return moved;
}

}  // namespace eisbach::comm
