#pragma once

#include <memory>

#include "comm/backends.h"
#include "comm/mpi/host_blocks.h"
#include "comm/mpi/mpi_tasks.h"

// Collectives of a group that spans hosts of several ranks each: between hosts
// rank i of each talks to its peers, the ranks i of the others, by MPI; inside
// a host memory is shared. Results have the bits of the other backends.
namespace eisbach::comm {

struct HostsContext {
  MpiContext group;  // rank = host x per_host + place on the host
  HostBlocks blocks;
  std::shared_ptr<HostTasks> inside;

  int host() const { return group.rank / blocks.per_host; }
  int place() const { return group.rank % blocks.per_host; }
  int last_host() const { return blocks.hosts - 1; }
  int Peer(int host) const { return host * blocks.per_host + place(); }
};

// Whether a reduce-scatter or an all-gather of `bytes`, of all pieces, is worth
// the way over peers; a smaller one sends fewer messages one after the other
// when all ranks talk to all.
bool GoesByHosts(int64_t bytes);

// Bytes of temporary memory; best in the device's shared memory.
int64_t HierarchicalAllReduceScratchBytes(const HostsContext& context,
                                          int64_t elements, DType dtype,
                                          ReduceOp op);
int64_t HierarchicalReduceScatterScratchBytes(const HostsContext& context,
                                              int64_t piece, DType dtype,
                                              ReduceOp op);

// `scratch` has at least that many bytes; tasks of one communicator share it.
// A small tensor is gathered and reduced everywhere, a larger one goes along
// the hosts (host_chain.h).
std::unique_ptr<Task> MakeHierarchicalAllReduce(const HostsContext& context,
                                                const Tensor& inout,
                                                ReduceOp op,
                                                const Tensor& scratch);
std::unique_ptr<Task> MakeHierarchicalReduceScatter(const HostsContext& context,
                                                    const Tensor& in,
                                                    const Tensor& out,
                                                    ReduceOp op,
                                                    const Tensor& scratch);
// Pieces go to the peers, then to the ranks of each host.
std::unique_ptr<Task> MakeHierarchicalAllGather(const HostsContext& context,
                                                const Tensor& in,
                                                const Tensor& out);
// Chunks go from the root along the hosts, and from its peers to the ranks of
// each host.
std::unique_ptr<Task> MakeHierarchicalBroadcast(const HostsContext& context,
                                                const Tensor& inout, int root);

}  // namespace eisbach::comm
