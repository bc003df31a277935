#pragma once

#include <mpi.h>
#include <nccl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/cuda/nccl_agreement.h"
#include "support/cuda/nccl_call.h"

// What one call of the double of NCCL moves between processes.
namespace eisbach::doubles {

// The messages of some calls under way at once. Everything goes through
// buffers of its own, so that calls in place work and an abandoned transfer
// writes to no memory that has been freed.
class Transfers {
 public:
  // Starts them, and what ranks tell one another of them.
  Transfers(const std::vector<NcclCall>& calls, const CallOrder& order,
            MPI_Comm comm);

  enum class State { kUnderWay, kDone, kFailed };
  // Never blocks; on kDone the results are in place.
  State Poll();
  const std::string& error() const { return error_; }

 private:
  // Of one call, by rank; those that are not used are empty.
  using Buffers = std::vector<std::vector<char>>;

  void Start(const NcclCall& call, Buffers& buffers);
  void Finish(const NcclCall& call, Buffers& buffers);
  void Send(const char* data, size_t bytes, int peer);
  void Receive(std::vector<char>& buffer, size_t bytes, int peer);
  State Fail(std::string error);

  const MPI_Comm comm_;
  Agreement agreement_;
  const std::vector<NcclCall> calls_;
  int rank_ = 0;
  int size_ = 0;
  std::vector<Buffers> buffers_;
  std::vector<std::vector<char>> sent_;
  std::vector<MPI_Request> requests_;
  std::vector<MPI_Status> statuses_;
  bool moved_ = false;         // all requests are done, and have their statuses
  std::vector<int> expected_;  // bytes of each request; -1: it sends
  std::string error_;
};

}  // namespace eisbach::doubles
