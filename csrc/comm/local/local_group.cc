#include "comm/local/local_group.h"

#include <sched.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace eisbach::comm {

LocalGroup::LocalGroup(std::shared_ptr<LocalJob> job,
                       std::vector<int> world_ranks)
    : job_(std::move(job)),
      world_ranks_(std::move(world_ranks)),
      posted_calls_(size()),
      channels_(size() * size()) {
  for (Slot& slot : slots_) {
    slot.calls.resize(size());
    slot.eager.resize(size());
  }
}

void LocalGroup::Post(int rank, int64_t index, const LocalCall& call) {
  Slot& slot = slots_[index % 2];
  LocalCall& mine = slot.calls[rank];
  mine = call;
  const int64_t bytes = call.shape.elements * SizeOf(call.shape.dtype);
  if (call.eager && call.in != nullptr && bytes > 0) {
    if (slot.eager[rank] == nullptr) {
      slot.eager[rank] = std::make_unique<char[]>(kLocalEagerBytes);
    }
    std::memcpy(slot.eager[rank].get(), call.in, bytes);
    mine.in = slot.eager[rank].get();
  }
  posted_calls_[rank].store(index + 1);
  if (slot.posted.fetch_add(1) + 1 == Target(index)) RingPeers(rank);
}

absl::StatusOr<bool> LocalGroup::AllPosted(int64_t index) {
  Slot& slot = slots_[index % 2];
  if (slot.posted.load() >= Target(index)) return true;
  for (int rank = 0; rank < size(); ++rank) {
    if (job_->departed(world_ranks_[rank]) &&
        posted_calls_[rank].load() <= index) {
      return absl::AbortedError(absl::StrCat(
          "rank ", world_ranks_[rank], " has ended and will not take part"));
    }
  }
  return false;
}

void LocalGroup::Leave(int rank, int64_t index) {
  if (slots_[index % 2].left.fetch_add(1) + 1 == Target(index)) {
    RingPeers(rank);
  }
}

bool LocalGroup::AllLeft(int64_t index) const {
  return slots_[index % 2].left.load() >= Target(index);
}

void LocalGroup::Send(int from, int to, std::shared_ptr<LocalMessage> message) {
  Channel& channel = channels_[from * size() + to];
  {
    std::lock_guard<std::mutex> lock(channel.mutex);
    channel.messages.push_back(std::move(message));
  }
  Ring(to);
}

std::shared_ptr<LocalMessage> LocalGroup::Receive(int from, int to) {
  Channel& channel = channels_[from * size() + to];
  std::lock_guard<std::mutex> lock(channel.mutex);
  if (channel.messages.empty()) return nullptr;
  std::shared_ptr<LocalMessage> message = std::move(channel.messages.front());
  channel.messages.pop_front();
  return message;
}

void LocalGroup::RingPeers(int rank) {
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank) Ring(peer);
  }
}

std::shared_ptr<LocalGroup> LocalGroup::Subgroup(
    int64_t index, int color, const std::vector<int>& members) {
  std::lock_guard<std::mutex> lock(mutex_);
  Birth& birth = births_[{index, color}];
  if (birth.group == nullptr) {
    std::vector<int> world_ranks;
    for (int member : members) world_ranks.push_back(world_ranks_[member]);
    birth.group = std::make_shared<LocalGroup>(job_, std::move(world_ranks));
    birth.remaining = static_cast<int>(members.size());
  }
  std::shared_ptr<LocalGroup> group = birth.group;
  if (--birth.remaining == 0) births_.erase({index, color});
  return group;
}

void LocalGroup::Fail(absl::Status cause) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failed_) return;
    cause_ = std::move(cause);
    failed_ = true;
  }
  RingPeers(-1);
}

absl::Status LocalGroup::Failure() const {
  if (job_->failed()) return job_->Report();
  std::lock_guard<std::mutex> lock(mutex_);
  return cause_;
}

bool LocalGroup::StartReading() {
  readers_.fetch_add(1);
  if (!failed()) return true;
  readers_.fetch_sub(1);
  return false;
}

void LocalGroup::AwaitReaders() const {
  while (readers_.load() > 0) sched_yield();
}

}  // namespace eisbach::comm
