#include "comm/group_activity.h"

#include <utility>

#include "core/hash.h"

namespace eisbach::comm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// The place of a peer among the first few; null when it is full.
PeerCount* PlaceOf(PeerCount (&peers)[GroupEntry::kPeers], int peer) {
  for (PeerCount& one : peers) {
    const int32_t held = one.peer.load(kRelaxed);
    if (held == peer + 1) return &one;
    if (held != 0) continue;
    one.sends.store(0, kRelaxed);
    one.receives.store(0, kRelaxed);
    one.peer.store(peer + 1, kRelaxed);
    return &one;
  }
  return nullptr;
}

}  // namespace

GroupActivity::GroupActivity(std::shared_ptr<Activity> activity,
                             absl::string_view name, uint64_t id, int rank,
                             int size)
    : activity_(std::move(activity)),
      id_(id | 1),
      entry_(activity_->AddGroup(name, id_, rank, size)) {}

GroupActivity::GroupActivity(std::shared_ptr<Activity> activity,
                             absl::string_view name, int rank, int size)
    : GroupActivity(std::move(activity), name, StableHash(name), rank, size) {}

GroupActivity::GroupActivity(const GroupActivity& parent,
                             absl::string_view name, int color, int rank,
                             int size)
    : GroupActivity(
          parent.activity_, name,
          StableHash(name, MixBits(MixBits(parent.id_ + parent.collectives_) +
                                   static_cast<uint64_t>(color))),
          rank, size) {}

CallMark GroupActivity::Add(CallFacts call) {
  call.number = ++number_;
  entry_->ring[number_ % GroupEntry::kCalls].Write(call, /*ns=*/0);
  entry_->calls.store(number_, std::memory_order_release);
  return CallMark(entry_, call);
}

CallMark GroupActivity::Collective(CallKind kind, DType dtype, int64_t bytes,
                                   int64_t elements) {
  ++collectives_;
  if (entry_ == nullptr) return {};
  entry_->collectives.store(collectives_, kRelaxed);
  return Add({.collective = collectives_,
              .bytes = bytes,
              .elements = elements,
              .kind = kind,
              .dtype = dtype});
}

void GroupActivity::Count(CallFacts& call, const Side& side) {
  PeerCount* total = PlaceOf(entry_->peers, side.peer);
  if (total == nullptr) return;
  std::atomic<uint32_t>& count = side.send ? total->sends : total->receives;
  count.store(count.load(kRelaxed) + 1, kRelaxed);
  for (CallFacts::Peer& now : call.peers) {
    if (now.peer != 0 && now.peer != side.peer + 1) continue;
    now = {.peer = side.peer + 1,
           .sends = total->sends.load(kRelaxed),
           .receives = total->receives.load(kRelaxed)};
    return;
  }
}

CallMark GroupActivity::Exchange(int64_t bytes, absl::Span<const Side> sides) {
  if (entry_ == nullptr) return {};
  CallFacts call{
      .bytes = bytes, .elements = bytes, .kind = CallKind::kExchange};
  for (const Side& side : sides) Count(call, side);
  return Add(call);
}

}  // namespace eisbach::comm
