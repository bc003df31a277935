#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/communicator.h"
#include "device/device.h"

namespace eisbach::comm {

// All ranks of a job as one of them sees it: its device and the communicator
// over everyone. Made by an Init function, ended by Finalize. The destructor
// waits for nobody: a world of several processes that was not finalised is left
// as it is, and the launcher takes the job down when the process ends.
class World {
 public:
  virtual ~World() = default;

  int rank() const { return communicator().rank(); }
  int size() const { return communicator().size(); }
  // Among the ranks of this host.
  virtual int local_rank() const = 0;
  virtual int local_size() const = 0;
  // How many threads this rank should compute with: its share of the cores
  // that it and the other ranks of the host may use.
  virtual int compute_threads() const = 0;
  virtual absl::string_view backend() const = 0;  // "local", "mpi", "sim"

  virtual Device& device() const = 0;
  virtual Communicator& communicator() const = 0;

  // Ends the job: waits for everyone and lets go of the backend. Collective.
  // From then on what needs the ranks is FailedPrecondition, on a world of one
  // too; a second end is none.
  absl::Status Finalize() { return FinalizeWithin(absl::InfiniteDuration()); }
  // The same, but DeadlineExceeded when the others do not come to it within
  // `limit`: they may wait for this rank elsewhere. Nothing but Abort is then
  // left to call.
  absl::Status FinalizeWithin(absl::Duration limit);
  // Keeps what works beside the ranks until the world has ended.
  void Keep(std::shared_ptr<void> companion) {
    companions_.push_back(std::move(companion));
  }
  // Takes the whole job down with `code`, without waiting for anybody. Does
  // not return for processes; ends every wait of rank threads with an error.
  virtual void Abort(int code, absl::string_view cause) = 0;

 private:
  virtual absl::Status DoFinalize(absl::Duration limit) = 0;

  std::vector<std::shared_ptr<void>> companions_;
};

// Under mpirun: MPI with MPI_THREAD_MULTIPLE. Otherwise a world of one that
// does not touch MPI. An error when a launcher announces more ranks than MPI
// sees (a program started by another MPI's mpirun), and when MPI was started in
// this process before: it starts once.
//
// The calling thread's kernels get the rank's share of the host's cores unless
// OMP_NUM_THREADS says otherwise. A binding of ranks to cores is respected, but
// for the single core of a lone rank that nobody asked for.
//
// `interface` names the network interface that ranks of several hosts meet on;
// empty: whatever MPI and NCCL choose. InvalidArgument when this host has none
// of that name.
absl::StatusOr<std::unique_ptr<World>> InitWorld(
    DeviceType device, absl::string_view interface = "");

// Runs `body` on `size` ranks that are threads of this process, each with its
// own device, and returns the first error. A rank that fails releases all
// others from their waits. `threads` is each rank's OpenMP thread count.
absl::Status RunLocalRanks(int size, DeviceType device, int threads,
                           const std::function<absl::Status(World&)>& body);

// A world of `size` ranks of which only `rank` exists: collectives are checked,
// counted and recorded, and move nothing. For the planner and for meta.
absl::StatusOr<std::unique_ptr<World>> SimWorld(int rank, int size,
                                                DeviceType device);

}  // namespace eisbach::comm
