#include "comm/activity.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/status_macros.h"
#include "device/tracer.h"

namespace eisbach::comm {

absl::string_view Name(CallKind kind) {
  switch (kind) {
    case CallKind::kNone:
      return "none";
    case CallKind::kAllReduce:
      return "all_reduce";
    case CallKind::kAllGather:
      return "all_gather";
    case CallKind::kReduceScatter:
      return "reduce_scatter";
    case CallKind::kBroadcast:
      return "broadcast";
    case CallKind::kAllToAll:
      return "all_to_all";
    case CallKind::kExchange:
      return "exchange";
    case CallKind::kBarrier:
      return "barrier";
    case CallKind::kSplit:
      return "split";
  }
  return "unknown";
}

absl::string_view Name(Phase phase) {
  switch (phase) {
    case Phase::kStart:
      return "start";
    case Phase::kPrepare:
      return "prepare";
    case Phase::kLoad:
      return "load";
    case Phase::kStep:
      return "step";
    case Phase::kValidation:
      return "validation";
    case Phase::kSave:
      return "save";
    case Phase::kExport:
      return "export";
    case Phase::kEnd:
      return "end";
  }
  return "unknown";
}

void CallEntry::Write(const CallFacts& call, int64_t ns) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  number.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  collective.store(call.collective, kRelaxed);
  bytes.store(call.bytes, kRelaxed);
  elements.store(call.elements, kRelaxed);
  begin_ns.store(ns, kRelaxed);
  kind.store(call.kind, kRelaxed);
  dtype.store(call.dtype, kRelaxed);
  if (call.kind == CallKind::kExchange) {
    for (int i = 0; i < CallFacts::kPeers; ++i) {
      peers[i].peer.store(call.peers[i].peer, kRelaxed);
      peers[i].sends.store(call.peers[i].sends, kRelaxed);
      peers[i].receives.store(call.peers[i].receives, kRelaxed);
    }
  }
  number.store(call.number, std::memory_order_release);
}

Activity::Activity(int rank, std::unique_ptr<MemoryFile> file)
    : file_(std::move(file)),
      own_(file_ == nullptr ? std::make_unique<RankTable>() : nullptr),
      table_(file_ == nullptr ? own_.get()
                              : reinterpret_cast<RankTable*>(file_->data())) {
  table_->rank = rank;
  table_->pid = getpid();
  Enter(Phase::kStart);
}

absl::StatusOr<std::shared_ptr<Activity>> Activity::OfProcess(int rank) {
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<MemoryFile> file,
                           MemoryFile::Make(sizeof(RankTable)));
  return std::shared_ptr<Activity>(new Activity(rank, std::move(file)));
}

std::shared_ptr<Activity> Activity::OfThread(int rank) {
  return std::shared_ptr<Activity>(new Activity(rank, nullptr));
}

GroupEntry* Activity::AddGroup(absl::string_view name, uint64_t id, int rank,
                               int size) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (GroupEntry& group : table_->groups) {
    if (group.id.load(std::memory_order_relaxed) != 0) continue;
    std::memset(group.name, 0, sizeof(group.name));
    name.copy(group.name, std::min(name.size(), sizeof(group.name) - 1));
    group.rank = rank;
    group.size = size;
    group.calls.store(0, std::memory_order_relaxed);
    group.collectives.store(0, std::memory_order_relaxed);
    group.begun.store(0, std::memory_order_relaxed);
    group.done.store(0, std::memory_order_relaxed);
    group.waited.store(0, std::memory_order_relaxed);
    for (PeerCount& peer : group.peers) {
      peer.peer.store(0, std::memory_order_relaxed);
      peer.sends.store(0, std::memory_order_relaxed);
      peer.receives.store(0, std::memory_order_relaxed);
    }
    for (CallEntry& call : group.ring) {
      call.number.store(0, std::memory_order_relaxed);
    }
    group.open.number.store(0, std::memory_order_relaxed);
    group.id.store(id, std::memory_order_release);
    return &group;
  }
  return nullptr;
}

void Activity::RemoveGroup(GroupEntry* group) {
  if (group != nullptr) group->id.store(0, std::memory_order_release);
}

void Activity::Enter(Phase phase) {
  table_->phase_ns.store(Tracer::Now(), std::memory_order_relaxed);
  table_->phase.store(phase, std::memory_order_relaxed);
}

void Activity::BeginStep(int64_t step) {
  table_->step.store(step, std::memory_order_relaxed);
  Enter(Phase::kStep);
}

PhaseScope::PhaseScope(Activity* activity, Phase phase)
    : activity_(activity),
      before_(activity == nullptr ? phase : activity->phase()) {
  if (activity_ != nullptr) activity_->Enter(phase);
}

PhaseScope::~PhaseScope() {
  if (activity_ != nullptr) activity_->Enter(before_);
}

}  // namespace eisbach::comm
