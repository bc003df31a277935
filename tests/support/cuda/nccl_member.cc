#include "support/cuda/nccl_member.h"

#include <cstdio>
#include <cstdlib>

namespace eisbach::doubles {

const Fault& Planted() {
  static const Fault fault = [] {
    Fault fault;
    const char* text = std::getenv("EISBACH_NCCL_DOUBLE_FAIL");
    char kind[16] = "async";
    long long call = -1;
    if (text != nullptr &&
        std::sscanf(text, "%d:%lld:%15s", &fault.rank, &call, kind) < 2) {
      std::fprintf(stderr, "nccl double: EISBACH_NCCL_DOUBLE_FAIL=%s\n", text);
      std::_Exit(67);
    }
    fault.call = call;
    fault.kind = kind;
    return fault;
  }();
  return fault;
}

bool FaultIsHere() {
  static int64_t calls = 0;
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return calls++ == Planted().call && rank == Planted().rank;
}

void Fail(Member& member, ncclResult_t result, std::string error) {
  member.error = std::move(error);
  member.state = result;
}

Piece::Piece(std::shared_ptr<Member> member, std::vector<NcclCall> calls,
             bool fails)
    : member_(std::move(member)), calls_(std::move(calls)), stuck_(fails) {}

void Piece::NoteOrder() {
  if (!order_) order_ = NoteCall(member_->number, calls_);
}

bool Piece::operator()() {
  Member& member = *member_;
  if (member.aborted) {
    // What MPI still does goes to buffers that stay.
    if (transfers_ != nullptr) new std::shared_ptr<Transfers>(transfers_);
    transfers_.reset();
    return true;
  }
  if (member.finished != ticket_) return false;
  if (Go()) {
    transfers_.reset();
    ++member.finished;
    return true;
  }
  WaitsForPeer();
  return false;
}

bool Piece::Go() {
  Member& member = *member_;
  if (stuck_) {
    if (member.state == ncclSuccess) {
      Fail(member, ncclRemoteError, "a fault was planted");
    }
    return false;
  }
  if (transfers_ == nullptr) {
    transfers_ = std::make_shared<Transfers>(calls_, *order_, member.mpi);
  }
  const Transfers::State state = transfers_->Poll();
  if (state == Transfers::State::kFailed) {
    Fail(member, ncclRemoteError, transfers_->error());
    stuck_ = true;
  }
  return state == Transfers::State::kDone;
}

MakeWork Makes(const std::shared_ptr<Member>& member, Piece piece,
               bool captured) {
  std::shared_ptr<void> held;
  if (captured) {
    ++member->captured;
    held = std::shared_ptr<void>(member.get(),
                                 [member](void*) { --member->captured; });
  }
  return [piece = std::move(piece), held = std::move(held)]() -> Work {
    Piece issued = piece;
    issued.Issue();
    return issued;
  };
}

}  // namespace eisbach::doubles
