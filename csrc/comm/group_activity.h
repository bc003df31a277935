#pragma once

#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "comm/activity.h"

namespace eisbach::comm {

// A group in the table of this rank: numbers its calls and writes them down.
// One thread at a time.
class GroupActivity {
 public:
  // One side of a transfer.
  struct Side {
    int peer;
    bool send;
  };

  // All ranks of the job, the first group of a table.
  GroupActivity(std::shared_ptr<Activity> activity, absl::string_view name,
                int rank, int size);
  // One that was made by the last call of `parent`; `color` tells the groups of
  // one such call apart.
  GroupActivity(const GroupActivity& parent, absl::string_view name, int color,
                int rank, int size);
  ~GroupActivity() { Activity::RemoveGroup(entry_); }
  GroupActivity(const GroupActivity&) = delete;
  GroupActivity& operator=(const GroupActivity&) = delete;

  // A call of all ranks.
  CallMark Collective(CallKind kind, DType dtype, int64_t bytes,
                      int64_t elements);
  // One between some ranks.
  CallMark Exchange(int64_t bytes, absl::Span<const Side> sides);

 private:
  GroupActivity(std::shared_ptr<Activity> activity, absl::string_view name,
                uint64_t id, int rank, int size);
  CallMark Add(CallFacts call);
  void Count(CallFacts& call, const Side& side);

  const std::shared_ptr<Activity> activity_;
  const uint64_t id_;
  GroupEntry* const entry_;  // null: the table is full
  int64_t number_ = 0;
  int64_t collectives_ = 0;
};

}  // namespace eisbach::comm
