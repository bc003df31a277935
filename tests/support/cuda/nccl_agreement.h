#pragma once

#include <mpi.h>
#include <nccl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/cuda/nccl_call.h"

// NCCL compares nothing: ranks that call another collective, count or type than
// the others, or the collectives of two communicators in another order, hang or
// add up the wrong bytes on a GPU. The double lets each rank tell its peers
// what it calls, and after what.
namespace eisbach::doubles {

// How many collectives this process has given to each communicator so far, by
// the communicator's number.
struct CallOrder {
  static constexpr int kMost = 24;
  int32_t communicators = 0;
  uint64_t number[kMost];
  int64_t calls[kMost];
};

// A number that the members of `comm` share and no others have. Collective.
uint64_t NumberOf(MPI_Comm comm);

// Counts a collective of the communicator of that number; returns the order
// before it. Point-to-point calls have none, and get an empty one.
CallOrder NoteCall(uint64_t number, const std::vector<NcclCall>& calls);

// What ranks tell one another of `calls`, under way.
class Agreement {
 public:
  Agreement(const std::vector<NcclCall>& calls, const CallOrder& order,
            MPI_Comm comm);

  // Whether all have told; never blocks. `error` is set as soon as one differs.
  bool Poll(std::string& error);

 private:
  struct Told {
    int32_t kind, type, op, root;
    uint64_t bytes;
    CallOrder order;
  };
  struct Asked {
    size_t call;
    int peer;
    Told told;
    MPI_Request request;
  };

  Told Tell(const NcclCall& call) const;
  std::string Compare(const Asked& asked) const;

  const std::vector<NcclCall> calls_;
  const CallOrder order_;
  int rank_ = 0;
  std::vector<Told> sent_;
  std::vector<Asked> asked_;
  std::vector<MPI_Request> sending_;
};

}  // namespace eisbach::doubles
