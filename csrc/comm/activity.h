#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/dtype.h"
#include "core/memory_file.h"
#include "device/recorder.h"

// What a rank does, in memory that the other processes of its host can read
// also when it is stopped or dead. A rank writes its own table alone, with
// plain stores and no lock; a reader takes what it finds for a hint, and a call
// whose number changed while it was read for none.
namespace eisbach::comm {

enum class CallKind : uint8_t {
  kNone,
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kAllToAll,
  kExchange,
  kBarrier,
  kSplit,
};
absl::string_view Name(CallKind kind);

// What a rank is about, as far as others wait differently long for it.
enum class Phase : uint8_t {
  kStart,       // joins the others, allocates
  kPrepare,     // makes token files of text
  kLoad,        // of a checkpoint
  kStep,        // trains
  kValidation,  // measures the loss
  kSave,        // of a checkpoint
  kExport,      // writes the model and the results
  kEnd,         // leaves the job
};
absl::string_view Name(Phase phase);

// How many transfers with one peer a rank has listed.
struct PeerCount {
  std::atomic<int32_t> peer;  // plus one; 0: none
  std::atomic<uint32_t> sends;
  std::atomic<uint32_t> receives;
};

// One call on a group.
struct CallFacts {
  static constexpr int kPeers = 4;
  struct Peer {
    int32_t peer = 0;  // as in PeerCount
    uint32_t sends = 0;
    uint32_t receives = 0;
  };

  int64_t number = 0;      // of this rank's calls
  int64_t collective = 0;  // of those that all ranks make; 0: exchange
  int64_t bytes = 0;
  int64_t elements = 0;
  CallKind kind = CallKind::kNone;
  DType dtype = DType::kU8;
  // Of an exchange, the first few: counts up to and with this call.
  std::array<Peer, kPeers> peers{};
};

// The same where others read it.
struct CallEntry {
  std::atomic<int64_t> number;  // 0: being written
  std::atomic<int64_t> collective;
  std::atomic<int64_t> bytes;
  std::atomic<int64_t> elements;
  std::atomic<int64_t> begin_ns;  // when it was first driven, if it was
  std::atomic<CallKind> kind;
  std::atomic<DType> dtype;
  PeerCount peers[CallFacts::kPeers];

  // By one thread at a time.
  void Write(const CallFacts& call, int64_t ns);
};

struct GroupEntry {
  static constexpr int kCalls = 16;  // the last ones
  static constexpr int kPeers = 8;

  std::atomic<uint64_t> id;  // the same on all ranks of a group; 0: free
  char name[32];
  int32_t rank;
  int32_t size;
  std::atomic<int64_t> calls;        // made, so the number of the last
  std::atomic<int64_t> collectives;  // of these, by all ranks
  std::atomic<int64_t> begun;        // number of the last that was driven
  std::atomic<int64_t> done;         // number of the last that is over
  std::atomic<int64_t> waited;       // a thread waits for this one; 0: none
  PeerCount peers[kPeers];
  CallEntry ring[kCalls];  // call n is in n % kCalls
  CallEntry open;  // that was driven last: the ring may have lost it by now
};

struct RankTable {
  static constexpr int kGroups = 24;
  static constexpr size_t kRoom = 16384;

  int32_t rank;
  int32_t pid;
  std::atomic<Phase> phase;
  std::atomic<int64_t> phase_ns;   // when it began
  std::atomic<int64_t> step;       // begun last
  std::atomic<int64_t> step_done;  // read back last by this process; 0: none
  std::atomic<uint64_t> action;    // PackAction
  GroupEntry groups[kGroups];
  alignas(64) char room[kRoom];  // of whoever watches; zero at first
};
static_assert(std::atomic<int64_t>::is_always_lock_free);

// Where a pipeline stage is in its list, in one word.
inline uint64_t PackAction(const ActionMark& action) {
  return uint64_t{static_cast<uint8_t>(action.letter)} << 56 |
         uint64_t(action.chunk & 0xffffff) << 32 | uint32_t(action.micro_batch);
}
inline ActionMark UnpackAction(uint64_t packed) {
  return {.letter = static_cast<char>(packed >> 56),
          .chunk = static_cast<int>(packed >> 32 & 0xffffff),
          .micro_batch = static_cast<int>(packed)};
}

// One call, for those that drive it and wait for it. Of nothing: does nothing.
class CallMark {
 public:
  CallMark() = default;
  CallMark(GroupEntry* group, const CallFacts& call)
      : group_(group), call_(call) {}

  // The calls of a group one after another.
  void Begun(int64_t ns) const {
    if (group_ == nullptr) return;
    CallEntry& listed = group_->ring[call_.number % GroupEntry::kCalls];
    // Where a later call takes the place just now, that one has not begun, and
    // whoever reads knows it by its number.
    if (listed.number.load(std::memory_order_relaxed) == call_.number) {
      listed.begin_ns.store(ns, std::memory_order_relaxed);
    }
    group_->open.Write(call_, ns);
    group_->begun.store(call_.number, std::memory_order_release);
  }
  void Done() const {
    if (group_ == nullptr) return;
    group_->done.store(call_.number, std::memory_order_relaxed);
  }
  void Waited(bool waits) const {
    if (group_ == nullptr) return;
    group_->waited.store(waits ? call_.number : 0, std::memory_order_relaxed);
  }

 private:
  GroupEntry* group_ = nullptr;
  CallFacts call_;
};

// The table of this rank. Lives as long as a group of it.
class Activity {
 public:
  // In memory that other processes can map (MemoryFile).
  static absl::StatusOr<std::shared_ptr<Activity>> OfProcess(int rank);
  // In memory of this process.
  static std::shared_ptr<Activity> OfThread(int rank);

  RankTable& table() const { return *table_; }
  // For others to open; -1 where it is not shared.
  int fd() const { return file_ == nullptr ? -1 : file_->fd(); }

  // Null when the table is full: such a group is not told of.
  GroupEntry* AddGroup(absl::string_view name, uint64_t id, int rank, int size);
  static void RemoveGroup(GroupEntry* group);

  void Enter(Phase phase);
  Phase phase() const { return table_->phase.load(std::memory_order_relaxed); }
  void BeginStep(int64_t step);
  void EndStep(int64_t step) {
    table_->step_done.store(step, std::memory_order_relaxed);
  }
  void BeginAction(const ActionMark& action) {
    table_->action.store(PackAction(action), std::memory_order_relaxed);
  }

 private:
  Activity(int rank, std::unique_ptr<MemoryFile> file);

  const std::unique_ptr<MemoryFile> file_;
  const std::unique_ptr<RankTable> own_;
  RankTable* const table_;
  std::mutex mutex_;  // of who adds groups
};

// In a phase while it lives, then in the one before. Of null: nothing.
class PhaseScope {
 public:
  PhaseScope(Activity* activity, Phase phase);
  ~PhaseScope();
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  Activity* const activity_;
  const Phase before_;
};

}  // namespace eisbach::comm
