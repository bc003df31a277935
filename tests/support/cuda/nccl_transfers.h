#pragma once

#include <mpi.h>
#include <nccl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// What one call of the double of NCCL moves between processes.
namespace eisbach::doubles {

enum class Kind {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kBroadcast,
  kSend,
  kReceive
};

// A call as the program made it. `bytes` is the size of what a rank gives,
// but for a reduce-scatter that of what it gets.
struct NcclCall {
  Kind kind;
  const void* in = nullptr;
  void* out = nullptr;
  size_t bytes = 0;
  ncclDataType_t type = ncclUint8;
  ncclRedOp_t op = ncclSum;
  int peer = -1;  // or the root
};

// Bytes of an element; 0 for types without a double.
size_t SizeOf(ncclDataType_t type);

// The messages of some calls under way at once. Everything goes through
// buffers of its own, so that calls in place work and an abandoned transfer
// writes to no memory that has been freed.
class Transfers {
 public:
  // Starts them.
  Transfers(const std::vector<NcclCall>& calls, MPI_Comm comm);

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
  const std::vector<NcclCall> calls_;
  int rank_ = 0;
  int size_ = 0;
  std::vector<Buffers> buffers_;
  std::vector<std::vector<char>> sent_;
  std::vector<MPI_Request> requests_;
  std::vector<int> expected_;  // bytes of each request; -1: it sends
  std::string error_;
};

}  // namespace eisbach::doubles
