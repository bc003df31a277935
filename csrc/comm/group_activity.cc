#include "comm/group_activity.h"

#include <utility>

#include "core/hash.h"

namespace eisbach::comm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// The place of a peer among the first few of a list; null when it is full.
template <size_t n>
PeerCount* PlaceOf(PeerCount (&peers)[n], int peer) {
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

CallEntry& GroupActivity::Open(CallKind kind, DType dtype, int64_t bytes,
                               int64_t elements) {
  CallEntry& call = entry_->ring[++number_ % GroupEntry::kCalls];
  call.number.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  call.bytes.store(bytes, kRelaxed);
  call.elements.store(elements, kRelaxed);
  call.begin_ns.store(0, kRelaxed);
  call.kind.store(kind, kRelaxed);
  call.dtype.store(dtype, kRelaxed);
  return call;
}

CallMark GroupActivity::Close(CallEntry& call, int64_t collective) {
  call.collective.store(collective, kRelaxed);
  call.number.store(number_, std::memory_order_release);
  entry_->calls.store(number_, std::memory_order_release);
  return CallMark(entry_, number_);
}

CallMark GroupActivity::Collective(CallKind kind, DType dtype, int64_t bytes,
                                   int64_t elements) {
  ++collectives_;
  if (entry_ == nullptr) return {};
  CallEntry& call = Open(kind, dtype, bytes, elements);
  entry_->collectives.store(collectives_, kRelaxed);
  return Close(call, collectives_);
}

void GroupActivity::Count(CallEntry& call, const Side& side) {
  PeerCount* total = PlaceOf(entry_->peers, side.peer);
  if (total == nullptr) return;
  std::atomic<uint32_t>& count = side.send ? total->sends : total->receives;
  count.store(count.load(kRelaxed) + 1, kRelaxed);
  PeerCount* now = PlaceOf(call.peers, side.peer);
  if (now == nullptr) return;
  now->sends.store(total->sends.load(kRelaxed), kRelaxed);
  now->receives.store(total->receives.load(kRelaxed), kRelaxed);
}

CallMark GroupActivity::Exchange(int64_t bytes, absl::Span<const Side> sides) {
  if (entry_ == nullptr) return {};
  CallEntry& call = Open(CallKind::kExchange, DType::kU8, bytes, bytes);
  for (PeerCount& peer : call.peers) peer.peer.store(0, kRelaxed);
  for (const Side& side : sides) Count(call, side);
  return Close(call, /*collective=*/0);
}

}  // namespace eisbach::comm
