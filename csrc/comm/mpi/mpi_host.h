#pragma once

#include <mpi.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/backends.h"

namespace eisbach::comm {

// Which way ranks of one host take, by the variable EISBACH_TRANSPORT.
enum class Transport : uint8_t {
  kAuto,  // shared memory, or MPI and one line that says why
  kShm,   // shared memory, or an error
  kMpi,   // MPI
};
absl::StatusOr<Transport> ParseTransport(const char* value);

// Gather over `comm` (backends.h).
absl::StatusOr<std::vector<std::string>> GatherOver(MPI_Comm comm,
                                                    const std::string& mine);

// The ranks of this process's host.
class MpiHost {
 public:
  // Collective over MPI_COMM_WORLD.
  static absl::StatusOr<std::shared_ptr<MpiHost>> Find(Transport transport);

  int rank() const { return rank_; }
  int size() const { return size_; }
  int compute_threads() const { return compute_threads_; }
  // Null when ranks of this host talk through MPI.
  const std::shared_ptr<SharedHost>& shared() const { return shared_; }
  // The members of `comm` as ranks of this host, in their order; empty when
  // some are elsewhere.
  absl::StatusOr<std::vector<int>> HostRanks(MPI_Comm comm) const;

 private:
  MpiHost() = default;

  int rank_ = 0;
  int size_ = 1;
  int compute_threads_ = 1;
  std::vector<int> host_ranks_;  // of each rank of the world; -1: elsewhere
  std::shared_ptr<SharedHost> shared_;
};

// The group of the members of `comm`, which it takes over: in shared memory
// when all are on `host`, else through MPI. Collective over `comm`.
absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(
    MPI_Comm comm, std::string name, std::shared_ptr<Device> device,
    std::shared_ptr<Progress> progress, std::shared_ptr<MpiHost> host);

}  // namespace eisbach::comm
