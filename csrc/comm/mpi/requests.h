#pragma once

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace eisbach::comm {

// Nonblocking MPI operations that are awaited together. Buffers of any size
// are cut into messages whose count fits an int. Buffers must live until
// Test() has said true.
class Requests {
 public:
  // `message_bytes` is the longest message; smaller in tests only.
  explicit Requests(MPI_Comm comm, int64_t message_bytes = int64_t{1} << 30)
      : comm_(comm), message_bytes_(message_bytes) {}

  absl::Status Send(const void* data, int64_t bytes, int peer, int tag);
  absl::Status Receive(void* data, int64_t bytes, int peer, int tag);
  absl::Status Broadcast(void* data, int64_t bytes, int root);
  absl::Status Barrier();

  // Whether all are done. An error when one has failed, or a message was not
  // as long as its receiver expects.
  absl::StatusOr<bool> Test();

 private:
  absl::Status CheckStatuses(int code);

  const MPI_Comm comm_;
  const int64_t message_bytes_;
  std::vector<MPI_Request> requests_;
  std::vector<int> expected_;  // bytes of a receive; -1 for the others
  std::vector<MPI_Status> statuses_;
};

}  // namespace eisbach::comm
