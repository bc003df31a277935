#include "watch/rank_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/mix_bits.h"

namespace eisbach::watch {
namespace {

using comm::CallEntry;
using comm::CallKind;
using comm::GroupEntry;
using comm::PeerCount;
using comm::Phase;
using nlohmann::json;

constexpr auto kRelaxed = std::memory_order_relaxed;

template <size_t n>
std::vector<PeerView> ReadPeers(const PeerCount (&peers)[n]) {
  std::vector<PeerView> views;
  for (const PeerCount& one : peers) {
    const int peer = one.peer.load(kRelaxed) - 1;
    if (peer < 0) break;
    views.push_back({.peer = peer,
                     .sends = one.sends.load(kRelaxed),
                     .receives = one.receives.load(kRelaxed)});
  }
  return views;
}

CallView ReadCall(const CallEntry& entry, int64_t now_ns) {
  CallView call;
  call.number = entry.number.load(std::memory_order_acquire);
  call.collective = entry.collective.load(kRelaxed);
  call.bytes = entry.bytes.load(kRelaxed);
  call.elements = entry.elements.load(kRelaxed);
  const int64_t begin_ns = entry.begin_ns.load(kRelaxed);
  call.seconds =
      begin_ns == 0 ? -1 : static_cast<double>(now_ns - begin_ns) * 1e-9;
  call.kind = entry.kind.load(kRelaxed);
  call.dtype = entry.dtype.load(kRelaxed);
  if (call.kind == CallKind::kExchange) call.peers = ReadPeers(entry.peers);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (entry.number.load(kRelaxed) != call.number) call.number = 0;
  return call;
}

GroupView ReadGroup(const GroupEntry& entry, int64_t now_ns, int calls) {
  GroupView group;
  group.id = entry.id.load(std::memory_order_acquire);
  group.name.assign(entry.name, strnlen(entry.name, sizeof(entry.name)));
  group.rank = entry.rank;
  group.size = entry.size;
  // The other way round than they are counted.
  group.done = entry.done.load(std::memory_order_acquire);
  group.begun = entry.begun.load(std::memory_order_acquire);
  group.waited = entry.waited.load(kRelaxed);
  group.calls = entry.calls.load(std::memory_order_acquire);
  group.collectives = entry.collectives.load(kRelaxed);
  group.peers = ReadPeers(entry.peers);
  const int64_t first =
      std::max<int64_t>(1, std::min(group.done + 1, group.calls - calls + 1));
  CallView open = ReadCall(entry.open, now_ns);
  for (int64_t n = first; n <= group.calls; ++n) {
    CallView call = ReadCall(entry.ring[n % GroupEntry::kCalls], now_ns);
    if (n > group.begun) call.seconds = -1;
    if (call.number == n) group.last.push_back(std::move(call));
  }
  // So many are queued behind it that it is there alone.
  if (open.number > group.done && group.Find(open.number) == nullptr) {
    group.last.insert(group.last.begin(), std::move(open));
  }
  return group;
}

json ToJson(const std::vector<PeerView>& peers) {
  json all = json::array();
  for (const PeerView& one : peers) {
    all.push_back(
        {{"peer", one.peer}, {"sends", one.sends}, {"receives", one.receives}});
  }
  return all;
}

json ToJson(const CallView& call) {
  json one = {{"number", call.number},
              {"op", Name(call.kind)},
              {"bytes", call.bytes},
              {"elements", call.elements},
              {"dtype", Name(call.dtype)}};
  if (call.collective != 0) one["collective"] = call.collective;
  if (call.seconds >= 0) one["begun_seconds_ago"] = call.seconds;
  if (!call.peers.empty()) one["peers"] = ToJson(call.peers);
  return one;
}

json ToJson(const GroupView& group) {
  json calls = json::array();
  for (const CallView& call : group.last) calls.push_back(ToJson(call));
  return {{"id", group.id},
          {"group", group.name},
          {"rank", group.rank},
          {"size", group.size},
          {"calls", group.calls},
          {"collectives", group.collectives},
          {"begun", group.begun},
          {"done", group.done},
          {"waits_for", group.waited},
          {"peers", ToJson(group.peers)},
          {"last", std::move(calls)}};
}

// Reads members of objects; the first that is not as it should be fails all.
class Members {
 public:
  explicit Members(const json& object, bool& good)
      : object_(object), good_(good) {
    good_ &= object.is_object();
  }

  template <typename T>
  void Read(const char* name, T& value) {
    const json* found = Find(name);
    if (found == nullptr) return Fail();
    if constexpr (std::is_same_v<T, std::string>) {
      if (!found->is_string()) return Fail();
      value = found->get<std::string>();
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!found->is_number()) return Fail();
      value = found->get<T>();
    } else {
      if (!found->is_number_integer()) return Fail();
      value = found->get<T>();
    }
  }
  template <typename T>
  void ReadOptional(const char* name, T& value) {
    if (Find(name) != nullptr) Read(name, value);
  }
  // Of the enumerators up to `last`, by name.
  template <typename E>
  void ReadName(const char* name, E last, E& value) {
    std::string text;
    Read(name, text);
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      value = static_cast<E>(i);
      if (Name(value) == text) return;
    }
    Fail();
  }
  template <typename F>
  void Each(const char* name, F&& read) {
    const json* found = Find(name);
    if (found == nullptr) return;
    if (!found->is_array()) return Fail();
    for (const json& one : *found) read(Members(one, good_));
  }

 private:
  const json* Find(const char* name) const {
    if (!good_) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void Fail() { good_ = false; }

  const json& object_;
  bool& good_;
};

std::vector<PeerView> PeersOf(Members& members) {
  std::vector<PeerView> peers;
  members.Each("peers", [&](Members one) {
    PeerView& peer = peers.emplace_back();
    one.Read("peer", peer.peer);
    one.Read("sends", peer.sends);
    one.Read("receives", peer.receives);
  });
  return peers;
}

CallView CallOf(Members members) {
  CallView call;
  call.seconds = -1;
  members.Read("number", call.number);
  members.ReadName("op", CallKind::kSplit, call.kind);
  members.Read("bytes", call.bytes);
  members.Read("elements", call.elements);
  members.ReadName("dtype", DType::kU16, call.dtype);
  members.ReadOptional("collective", call.collective);
  members.ReadOptional("begun_seconds_ago", call.seconds);
  call.peers = PeersOf(members);
  return call;
}

GroupView GroupOf(Members members) {
  GroupView group;
  members.Read("id", group.id);
  members.Read("group", group.name);
  members.Read("rank", group.rank);
  members.Read("size", group.size);
  members.Read("calls", group.calls);
  members.Read("collectives", group.collectives);
  members.Read("begun", group.begun);
  members.Read("done", group.done);
  members.Read("waits_for", group.waited);
  group.peers = PeersOf(members);
  members.Each("last", [&](Members one) { group.last.push_back(CallOf(one)); });
  return group;
}

}  // namespace

absl::string_view Name(Standing standing) {
  switch (standing) {
    case Standing::kRuns:
      return "runs";
    case Standing::kStopped:
      return "stopped";
    case Standing::kFrozen:
      return "frozen";
    case Standing::kGone:
      return "gone";
    case Standing::kNoAnswer:
      return "no answer";
  }
  return "unknown";
}

const CallView* GroupView::Find(int64_t number) const {
  for (const CallView& call : last) {
    if (call.number == number) return &call;
  }
  return nullptr;
}

const CallView* GroupView::FindCollective(int64_t collective) const {
  for (const CallView& call : last) {
    if (call.collective == collective) return &call;
  }
  return nullptr;
}

const GroupView* RankView::Find(uint64_t group) const {
  for (const GroupView& one : groups) {
    if (one.id == group) return &one;
  }
  return nullptr;
}

uint64_t Fingerprint(const comm::RankTable& table) {
  uint64_t mixed = 0;
  const auto add = [&](uint64_t value) { mixed = MixBits(mixed ^ value); };
  for (const GroupEntry& group : table.groups) {
    add(group.id.load(kRelaxed));
    add(group.calls.load(kRelaxed));
    add(group.begun.load(kRelaxed));
    add(group.done.load(kRelaxed));
  }
  add(table.phase_ns.load(kRelaxed));
  add(table.step.load(kRelaxed));
  add(table.step_done.load(kRelaxed));
  add(table.action.load(kRelaxed));
  return mixed;
}

RankView ReadTable(const comm::RankTable& table, int64_t now_ns, int calls) {
  RankView view;
  view.rank = table.rank;
  view.pid = table.pid;
  view.phase = table.phase.load(kRelaxed);
  view.phase_seconds =
      static_cast<double>(now_ns - table.phase_ns.load(kRelaxed)) * 1e-9;
  view.fingerprint = Fingerprint(table);
  view.step = table.step.load(kRelaxed);
  view.step_done = table.step_done.load(kRelaxed);
  view.action = comm::UnpackAction(table.action.load(kRelaxed));
  for (const GroupEntry& entry : table.groups) {
    const uint64_t id = entry.id.load(std::memory_order_acquire);
    if (id == 0 || entry.calls.load(kRelaxed) == 0) continue;
    GroupView group = ReadGroup(entry, now_ns, calls);
    if (group.id == id) view.groups.push_back(std::move(group));
  }
  return view;
}

nlohmann::json ToJson(const RankView& view) {
  json groups = json::array();
  for (const GroupView& group : view.groups) groups.push_back(ToJson(group));
  json one = {{"rank", view.rank},
              {"host", view.host},
              {"pid", view.pid},
              {"standing", Name(view.standing)},
              {"phase", Name(view.phase)},
              {"phase_seconds", view.phase_seconds},
              {"fingerprint", view.fingerprint},
              {"silent_seconds", view.silent_seconds},
              {"step", view.step},
              {"step_done", view.step_done},
              {"groups", std::move(groups)}};
  if (view.action.letter != 0) {
    one["action"] = std::string(1, view.action.letter);
    one["chunk"] = view.action.chunk;
    one["micro_batch"] = view.action.micro_batch;
  }
  if (!view.stack.empty()) one["stack"] = view.stack;
  return one;
}

absl::StatusOr<RankView> FromJson(const nlohmann::json& json) {
  RankView view;
  bool good = true;
  Members members(json, good);
  members.Read("rank", view.rank);
  members.Read("host", view.host);
  members.Read("pid", view.pid);
  members.ReadName("standing", Standing::kNoAnswer, view.standing);
  members.ReadName("phase", Phase::kEnd, view.phase);
  members.Read("phase_seconds", view.phase_seconds);
  members.Read("fingerprint", view.fingerprint);
  members.Read("silent_seconds", view.silent_seconds);
  members.Read("step", view.step);
  members.Read("step_done", view.step_done);
  members.Each("groups",
               [&](Members one) { view.groups.push_back(GroupOf(one)); });
  std::string letter;
  members.ReadOptional("action", letter);
  if (letter.size() == 1) view.action.letter = letter[0];
  members.ReadOptional("chunk", view.action.chunk);
  members.ReadOptional("micro_batch", view.action.micro_batch);
  members.ReadOptional("stack", view.stack);
  if (good) return view;
  return absl::InvalidArgumentError("this tells of no rank");
}

}  // namespace eisbach::watch
