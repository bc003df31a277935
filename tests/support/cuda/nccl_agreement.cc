#include "support/cuda/nccl_agreement.h"

#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>

#include "support/cuda/streams.h"

namespace eisbach::doubles {
namespace {

constexpr int kTag = 1;

bool IsSend(Kind kind) { return kind == Kind::kSend; }
bool IsReceive(Kind kind) { return kind == Kind::kReceive; }
bool IsCollective(Kind kind) { return !IsSend(kind) && !IsReceive(kind); }

const char* NameOf(int32_t kind) {
  static constexpr const char* kNames[] = {"all-reduce", "reduce-scatter",
                                           "all-gather", "broadcast",
                                           "send",       "receive"};
  return kNames[kind];
}

std::string Describe(int32_t kind, int32_t type, int32_t op, int32_t root,
                     uint64_t bytes) {
  char text[160];
  std::snprintf(text, sizeof(text),
                "%s of %llu bytes of type %d (op %d, root %d)", NameOf(kind),
                static_cast<unsigned long long>(bytes), type, op, root);
  return text;
}

std::map<uint64_t, int64_t>& Calls() {
  static auto* const calls = new std::map<uint64_t, int64_t>;
  return *calls;
}

}  // namespace

uint64_t NumberOf(MPI_Comm comm) {
  static std::atomic<uint64_t> made{0};
  int job_rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &job_rank);
  uint64_t number = (static_cast<uint64_t>(job_rank) << 32) | ++made;
  MPI_Bcast(&number, 1, MPI_UINT64_T, 0, comm);
  return number;
}

CallOrder NoteCall(uint64_t number, const std::vector<NcclCall>& calls) {
  CallOrder order;
  if (!IsCollective(calls.front().kind)) return order;
  std::lock_guard<std::recursive_mutex> lock(Lock());
  for (const auto& [other, count] : Calls()) {
    if (order.communicators == CallOrder::kMost) break;
    order.number[order.communicators] = other;
    order.calls[order.communicators++] = count;
  }
  ++Calls()[number];
  return order;
}

Agreement::Agreement(const std::vector<NcclCall>& calls, const CallOrder& order,
                     MPI_Comm comm)
    : calls_(calls), order_(order) {
  int size = 0;
  MPI_Comm_rank(comm, &rank_);
  MPI_Comm_size(comm, &size);
  for (size_t i = 0; i < calls_.size(); ++i) {
    sent_.push_back(Tell(calls_[i]));
    for (int peer = 0; peer < size; ++peer) {
      const bool all = IsCollective(calls_[i].kind) && peer != rank_;
      if (all || (IsReceive(calls_[i].kind) && peer == calls_[i].peer)) {
        asked_.push_back({i, peer, {}, MPI_REQUEST_NULL});
      }
    }
  }
  // Neither vector moves any more.
  for (Asked& asked : asked_) {
    MPI_Irecv(&asked.told, sizeof(Told), MPI_BYTE, asked.peer, kTag, comm,
              &asked.request);
  }
  for (size_t i = 0; i < calls_.size(); ++i) {
    for (int peer = 0; peer < size; ++peer) {
      const bool all = IsCollective(calls_[i].kind) && peer != rank_;
      if (!all && !(IsSend(calls_[i].kind) && peer == calls_[i].peer)) continue;
      sending_.emplace_back();
      MPI_Isend(&sent_[i], sizeof(Told), MPI_BYTE, peer, kTag, comm,
                &sending_.back());
    }
  }
}

Agreement::Told Agreement::Tell(const NcclCall& call) const {
  Told told{};
  told.kind = static_cast<int32_t>(call.kind);
  told.type = call.type;
  told.op = call.op;
  told.root = call.kind == Kind::kBroadcast ? call.peer : -1;
  told.bytes = call.bytes;
  told.order = order_;
  return told;
}

std::string Agreement::Compare(const Asked& asked) const {
  const Told& mine = sent_[asked.call];
  const Told& theirs = asked.told;
  const bool paired = IsReceive(calls_[asked.call].kind);
  const bool same_kind = paired
                             ? theirs.kind == static_cast<int32_t>(Kind::kSend)
                             : theirs.kind == mine.kind && theirs.op == mine.op;
  if (!same_kind || theirs.type != mine.type || theirs.root != mine.root ||
      theirs.bytes != mine.bytes) {
    return "rank " + std::to_string(rank_) + " calls " +
           Describe(mine.kind, mine.type, mine.op, mine.root, mine.bytes) +
           ", rank " + std::to_string(asked.peer) + " " +
           Describe(theirs.kind, theirs.type, theirs.op, theirs.root,
                    theirs.bytes);
  }
  for (int i = 0; i < mine.order.communicators; ++i) {
    for (int j = 0; j < theirs.order.communicators; ++j) {
      if (mine.order.number[i] != theirs.order.number[j] ||
          mine.order.calls[i] == theirs.order.calls[j]) {
        continue;
      }
      return "the " + std::string(NameOf(mine.kind)) + " comes after " +
             std::to_string(mine.order.calls[i]) +
             " collectives of another communicator on rank " +
             std::to_string(rank_) + " and after " +
             std::to_string(theirs.order.calls[j]) + " on rank " +
             std::to_string(asked.peer) +
             ": ranks must call their communicators in one order";
    }
  }
  return "";
}

bool Agreement::Poll(std::string& error) {
  int all = 0;
  bool gone = MPI_Testall(static_cast<int>(sending_.size()), sending_.data(),
                          &all, MPI_STATUSES_IGNORE) != MPI_SUCCESS;
  for (Asked& asked : asked_) {
    if (asked.request == MPI_REQUEST_NULL) continue;
    int here = 0;
    gone |= MPI_Test(&asked.request, &here, MPI_STATUS_IGNORE) != MPI_SUCCESS;
    if (here && error.empty()) error = Compare(asked);
    all &= here;
  }
  if (gone && error.empty()) error = "a peer is gone";
  return all || gone;
}

}  // namespace eisbach::doubles
