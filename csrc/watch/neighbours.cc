#include "watch/neighbours.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/tracer.h"

namespace eisbach::watch {
namespace {

// The last calls of a group that are told of.
constexpr int kCalls = 8;

}  // namespace

Neighbours::Neighbours(comm::RankTable& own, std::string host,
                       double frozen_seconds)
    : rank_(own.rank), host_(std::move(host)), frozen_seconds_(frozen_seconds) {
  ranks_.push_back({.table = &own, .file = nullptr});
}

absl::Status Neighbours::Add(int rank, int pid, int fd, uint64_t token) {
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<MemoryFile> file,
                           MemoryFile::Open(pid, fd, sizeof(comm::RankTable)));
  auto* table = reinterpret_cast<comm::RankTable*>(file->data());
  if (NotesOf(*table).token.load() != token) {
    return ApartError(absl::StrCat("process ", pid, " is not rank ", rank));
  }
  file->Close();
  ranks_.push_back({.table = table, .file = std::move(file)});
  std::sort(ranks_.begin(), ranks_.end(), [](const One& a, const One& b) {
    return a.table->rank < b.table->rank;
  });
  return absl::OkStatus();
}

void Neighbours::Look(double seconds) {
  for (One& one : ranks_) {
    const int64_t heartbeat =
        NotesOf(*one.table).heartbeat.load(std::memory_order_relaxed);
    one.still_seconds =
        heartbeat == one.heartbeat ? one.still_seconds + seconds : 0;
    one.heartbeat = heartbeat;
  }
}

bool Neighbours::IsGone(const One& one, const ProcessState& state) {
  return state.gone() ||
         state.start_ticks != NotesOf(*one.table).start_ticks.load();
}

bool Neighbours::AnyoneGone() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const One& one) {
    return IsGone(one, StateOf(one.table->pid));
  });
}

Standing Neighbours::StandingOf(const One& one) const {
  if (one.table->rank == rank_) return Standing::kRuns;
  const ProcessState state = StateOf(one.table->pid);
  if (IsGone(one, state)) return Standing::kGone;
  if (state.stopped()) return Standing::kStopped;
  return one.still_seconds >= frozen_seconds_ ? Standing::kFrozen
                                              : Standing::kRuns;
}

std::vector<RankView> Neighbours::Read() const {
  std::vector<RankView> views;
  for (const One& one : ranks_) {
    RankView view = ReadTable(*one.table, Tracer::Now(), kCalls);
    const Notes& notes = NotesOf(*one.table);
    view.host = host_;
    view.standing = StandingOf(one);
    view.silent_seconds =
        static_cast<double>(notes.silent_ms.load()) * 1e-3 + one.still_seconds;
    if (notes.stacks_given.load(std::memory_order_acquire) > 0) {
      const int bytes = notes.stack_bytes.load();
      view.stack.assign(notes.stack, std::clamp(bytes, 0, Notes::kStackBytes));
    }
    views.push_back(std::move(view));
  }
  return views;
}

int Neighbours::Speaker() const {
  for (const One& one : ranks_) {
    if (StandingOf(one) == Standing::kRuns) return one.table->rank;
  }
  return rank_;
}

bool Neighbours::Has(int rank) const {
  return std::any_of(ranks_.begin(), ranks_.end(),
                     [&](const One& one) { return one.table->rank == rank; });
}

std::vector<Notes*> Neighbours::notes() const {
  std::vector<Notes*> all;
  for (const One& one : ranks_) all.push_back(&NotesOf(*one.table));
  return all;
}

void Neighbours::AskStacks() {
  for (One& one : ranks_) NotesOf(*one.table).stacks_asked = 1;
}

bool Neighbours::HaveGivenStacks() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [&](const One& one) {
    return NotesOf(*one.table).stacks_given.load() > 0 ||
           StandingOf(one) != Standing::kRuns;
  });
}

std::vector<int> Neighbours::Helpless() const {
  std::vector<int> pids;
  for (const One& one : ranks_) {
    const Standing standing = StandingOf(one);
    if (standing == Standing::kStopped || standing == Standing::kFrozen) {
      pids.push_back(one.table->pid);
    }
  }
  return pids;
}

}  // namespace eisbach::watch
