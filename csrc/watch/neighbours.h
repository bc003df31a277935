#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/memory_file.h"
#include "watch/notes.h"
#include "watch/process_state.h"
#include "watch/rank_view.h"

namespace eisbach::watch {

// The ranks of this host whose tables this process has mapped, itself included.
class Neighbours {
 public:
  // `own` outlives this. A rank whose watch, due every half second, has not run
  // for `frozen_seconds` is taken for one that cannot.
  Neighbours(comm::RankTable& own, std::string host, double frozen_seconds);

  // Maps the table of a rank of this host. Unavailable when it cannot be
  // reached or is not the one with `token`.
  absl::Status Add(int rank, int pid, int fd, uint64_t token);

  // Looks who has moved; `seconds` have passed since the last look.
  void Look(double seconds);
  // What each does, the lowest rank first.
  std::vector<RankView> Read() const;
  // The lowest rank that can do anything.
  int Speaker() const;

  bool Has(int rank) const;
  // Whether the process of any has ended. From any thread.
  bool AnyoneGone() const;
  std::vector<Notes*> notes() const;
  // Asks all for their stacks.
  void AskStacks();
  // Whether all that can have told their stack.
  bool HaveGivenStacks() const;
  // The processes that cannot end by themselves.
  std::vector<int> Helpless() const;

 private:
  struct One {
    comm::RankTable* table;
    std::unique_ptr<MemoryFile> file;  // null for this rank
    int64_t heartbeat = 0;
    double still_seconds = 0;  // since it last moved
  };

  static bool IsGone(const One& one, const ProcessState& state);
  Standing StandingOf(const One& one) const;

  const int rank_;
  const std::string host_;
  const double frozen_seconds_;
  std::vector<One> ranks_;
};

}  // namespace eisbach::watch
