#pragma once

#include <mpi.h>

#include <memory>
#include <optional>
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

// For tests only, by the variable EISBACH_RANKS_PER_HOST: the ranks of a host
// are taken for those of several hosts of so many, the last of which may have
// fewer. Nothing when it is not set.
absl::StatusOr<std::optional<int>> ParseRanksPerHost(const char* value);

// The ranks of this process's host.
class MpiHost {
 public:
  // Where a rank of the world is, as all ranks know it.
  struct Place {
    int host;     // the same number for all ranks of a host, and no others
    int rank;     // among those
    bool shared;  // the host's ranks share memory
  };

  // Collective over MPI_COMM_WORLD.
  static absl::StatusOr<std::shared_ptr<MpiHost>> Find(
      Transport transport, std::optional<int> ranks_per_host);

  int rank() const { return rank_; }
  int size() const { return size_; }
  int compute_threads() const { return compute_threads_; }
  // Null when ranks of this host talk through MPI.
  const std::shared_ptr<SharedHost>& shared() const { return shared_; }
  // Of the members of `comm`, in their order.
  absl::StatusOr<std::vector<Place>> Places(MPI_Comm comm) const;

 private:
  MpiHost() = default;
  // Fills in places_. `host` is the communicator of this host's ranks.
  absl::Status TellPlaces(MPI_Comm host);

  int rank_ = 0;
  int size_ = 1;
  int compute_threads_ = 1;
  std::vector<Place> places_;  // of each rank of the world
  std::shared_ptr<SharedHost> shared_;
};

// The group of the members of `comm`, which it takes over: in shared memory
// when all are on `host`; through MPI between hosts and shared memory inside
// them when there are several that share memory (FindHostBlocks); else through
// MPI. Collective over `comm`.
absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(
    MPI_Comm comm, std::string name, std::shared_ptr<Device> device,
    std::shared_ptr<Progress> progress, std::shared_ptr<MpiHost> host);

}  // namespace eisbach::comm
