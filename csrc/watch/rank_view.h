#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/activity.h"

namespace eisbach::watch {

// What a table said at one moment, as plain values that can be sent, compared
// and written down.

struct PeerView {
  int peer = 0;  // rank in the group
  uint32_t sends = 0;
  uint32_t receives = 0;
};

struct CallView {
  int64_t number = 0;
  int64_t collective = 0;  // 0: an exchange
  int64_t bytes = 0;
  int64_t elements = 0;
  double seconds = 0;  // since it was first driven; negative: it was not
  comm::CallKind kind = comm::CallKind::kNone;
  DType dtype = DType::kU8;
  std::vector<PeerView> peers;  // of an exchange
};

struct GroupView {
  uint64_t id = 0;
  std::string name;
  int rank = 0;
  int size = 0;
  int64_t calls = 0;
  int64_t collectives = 0;
  int64_t begun = 0;
  int64_t done = 0;
  int64_t waited = 0;
  std::vector<PeerView> peers;
  std::vector<CallView> last;  // the newest calls, by number

  // Null when the ring has lost it.
  const CallView* Find(int64_t number) const;
  const CallView* FindCollective(int64_t collective) const;
  // The oldest call that is not over; null when all are, or it was lost.
  const CallView* Open() const {
    return done < calls ? Find(done + 1) : nullptr;
  }
};

// Whether a rank can do anything.
enum class Standing : uint8_t {
  kRuns,
  kStopped,   // by a signal, or traced
  kFrozen,    // its watching thread does not run either
  kGone,      // its process has ended
  kNoAnswer,  // from its host
};
absl::string_view Name(Standing standing);

struct RankView {
  int rank = 0;
  std::string host;
  int pid = 0;
  Standing standing = Standing::kNoAnswer;
  comm::Phase phase = comm::Phase::kStart;
  double phase_seconds = 0;
  uint64_t fingerprint = 0;
  double silent_seconds = 0;  // since it last made progress, by its own account
  int64_t step = 0;
  int64_t step_done = 0;
  ActionMark action;
  std::vector<GroupView> groups;  // that were used
  std::string stack;              // of its main thread; empty: none was given

  const GroupView* Find(uint64_t group) const;
};

// Of all that moves when a rank does.
uint64_t Fingerprint(const comm::RankTable& table);

// The last `calls` of each group. `now_ns` is Tracer::Now().
RankView ReadTable(const comm::RankTable& table, int64_t now_ns, int calls);

// For other hosts and for files.
nlohmann::json ToJson(const RankView& view);
// InvalidArgument when it is none.
absl::StatusOr<RankView> FromJson(const nlohmann::json& json);

}  // namespace eisbach::watch
