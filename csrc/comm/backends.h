#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/launcher.h"
#include "comm/progress.h"
#include "comm/world.h"

// What the backend folders offer to one another and to the files beside this
// one.
namespace eisbach::comm {

// A world of one, which is this process.
absl::StatusOr<std::unique_ptr<World>> SoloWorld(DeviceType device);

// The ranks that `launcher` has started, connected by MPI. `interface`: see
// InitWorld.
absl::StatusOr<std::unique_ptr<World>> MpiWorld(DeviceType device,
                                                const Launcher& launcher,
                                                absl::string_view interface);

// The control plane that a backend which moves bytes by itself finds its peers
// by: gives everyone's `mine`, of one length on all ranks, in rank order.
// Collective, blocking.
using Gather = std::function<absl::StatusOr<std::vector<std::string>>(
    const std::string& mine)>;

inline constexpr size_t kGroupGatherBytes = sizeof(uint64_t);

// Collectives among ranks of this host as tasks that the caller drives: what a
// group that spans hosts is made of. All members make the same tasks in the
// same order, and each is done before the next is made. Tensors are as for the
// calls of Communicator.
class HostTasks {
 public:
  virtual ~HostTasks() = default;

  virtual std::unique_ptr<Task> AllToAll(const Tensor& in,
                                         const Tensor& out) = 0;
  virtual std::unique_ptr<Task> AllGather(const Tensor& in,
                                          const Tensor& out) = 0;
  virtual std::unique_ptr<Task> Broadcast(const Tensor& inout, int root) = 0;
};

// This process among those of its host whose memory it can reach.
class SharedHost {
 public:
  virtual ~SharedHost() = default;

  // Where peers ring for this rank.
  virtual std::shared_ptr<BellWord> bell() = 0;
  // Makes what `device` allocates as shared memory reachable for the peers.
  virtual void Share(Device& device) = 0;
  // The communicator of `members` (ranks of the host, in the group's order),
  // of which this is number `rank`. `gather` is among them, and called once,
  // with kGroupGatherBytes. The communicator keeps the host alive.
  virtual absl::StatusOr<std::unique_ptr<Communicator>> MakeGroup(
      const std::vector<int>& members, int rank, std::string name,
      std::shared_ptr<Device> device, std::shared_ptr<Progress> progress,
      const Gather& gather) = 0;
  // The same members without a communicator. They keep the host alive, too.
  virtual absl::StatusOr<std::unique_ptr<HostTasks>> MakeTasks(
      const std::vector<int>& members, int rank, const Gather& gather) = 0;
};

// Connects the `size` ranks of this host. When the system does not let them
// share memory all of them get the same error, which says why.
absl::StatusOr<std::shared_ptr<SharedHost>> ConnectHost(int rank, int size,
                                                        const Gather& gather);

// What connects the devices of a type by itself (NCCL), so that MPI is its
// control plane alone. Of one process, for all its communicators.
class Fabric {
 public:
  virtual ~Fabric() = default;

  // The communicator "world" of all ranks. Collective, once.
  virtual absl::StatusOr<std::unique_ptr<Communicator>> Connect() = 0;
  // Lets go of all communicators; no call may follow. Collective.
  virtual void Close() = 0;
  // Ends what is in flight on this rank's device with `cause`, and refuses
  // what comes; returns within seconds. Any thread.
  virtual void Abort(absl::Status cause) = 0;
};

// A rank of the job to be connected, and its control plane over all ranks.
struct FabricPlace {
  int rank = 0;
  int size = 1;
  std::shared_ptr<Device> device;
  Gather gather;
};
using FabricFactory =
    absl::StatusOr<std::shared_ptr<Fabric>> (*)(FabricPlace place);

// Called once by a plug-in, from a static initialiser, for its device.
bool RegisterFabric(DeviceType type, FabricFactory factory);
// Null for devices whose memory the host reads: MPI moves their bytes.
FabricFactory FabricOf(DeviceType type);

}  // namespace eisbach::comm
