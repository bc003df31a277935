#pragma once

#include <mpi.h>
#include <nccl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/cuda/nccl_transfers.h"
#include "support/cuda/stream_types.h"
#include "support/cuda/streams.h"

// What lies behind a communicator of NCCL's double, and its calls as work in
// streams.
namespace eisbach::doubles {

// Outlives its handle in what is still on streams.
struct Member {
  MPI_Comm mpi = MPI_COMM_NULL;
  uint64_t number = 0;  // NumberOf(mpi)
  int rank = 0;
  int size = 0;
  int device = 0;  // the chosen one when it was made
  bool blocking = true;
  std::atomic<ncclResult_t> state{ncclInProgress};
  std::atomic<bool> aborted{false};
  std::string error;
  // Calls of a communicator are done in the order in which they were made,
  // whatever their streams.
  int64_t issued = 0;
  int64_t finished = 0;
  bool closing = false;
  // Calls that are not on their streams yet, and for how many questions more.
  std::vector<std::pair<cudaStream_t, MakeWork>> launching;
  int questions = 0;
  // The capture that had the last captured call, and its node there: captured
  // calls keep their order too.
  std::weak_ptr<Graph> capture;
  size_t node = 0;
  // Calls that graphs hold. A communicator does not end before them.
  std::atomic<int> captured{0};
};

// A fault that EISBACH_NCCL_DOUBLE_FAIL=RANK:CALL[:KIND] plants in the CALLth
// call (from 0) of rank RANK of the job. KIND: `async` (the default; an error
// that shows in ncclCommGetAsyncError, and a call that never ends), `now` (the
// call returns an error), `stuck` (async, and ncclCommAbort does not return).
struct Fault {
  int rank = -1;
  int64_t call = -1;
  std::string kind = "async";
};
const Fault& Planted();
// Whether this is the call in which the fault is planted; counts calls.
bool FaultIsHere();

void Fail(Member& member, ncclResult_t result, std::string error);

// The calls that one group gives to a communicator and a stream.
class Piece {
 public:
  Piece(std::shared_ptr<Member> member, std::vector<NcclCall> calls,
        bool fails);

  // Takes its turn among the calls of the communicator, and, where the program
  // has not called it by itself, among those of all communicators.
  void Issue() {
    ticket_ = member_->issued++;
    NoteOrder();
  }
  // The program calls it now.
  void NoteOrder();

  bool operator()();

 private:
  // The calls go on; whether they are done.
  bool Go();

  std::shared_ptr<Member> member_;
  std::vector<NcclCall> calls_;
  int64_t ticket_ = -1;
  bool stuck_ = false;
  std::optional<CallOrder> order_;
  std::shared_ptr<Transfers> transfers_;
};

// Work that is `piece`, once on a stream or at each launch of a graph.
MakeWork Makes(const std::shared_ptr<Member>& member, Piece piece,
               bool captured);

}  // namespace eisbach::doubles
