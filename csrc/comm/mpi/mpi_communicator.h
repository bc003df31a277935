#pragma once

#include <mpi.h>

#include <memory>
#include <optional>
#include <string>

#include "comm/communicator.h"
#include "comm/mpi/compared_task.h"
#include "comm/mpi/hierarchical_tasks.h"
#include "comm/mpi/mpi_host.h"
#include "comm/mpi/mpi_tasks.h"
#include "comm/progress.h"

namespace eisbach::comm {

// Ranks that are processes, over nonblocking point-to-point messages of MPI.
// MPI moves bytes only; the sums are ours. Where ranks of a host share memory
// (`hosts`), reductions, gathers and broadcasts use MPI between hosts alone,
// but for small ones.
class MpiCommunicator final : public Communicator {
 public:
  // Takes over `comm` and makes its errors return. Groups within one host that
  // are split off use what `host` shares.
  static absl::StatusOr<std::unique_ptr<MpiCommunicator>> Make(
      MPI_Comm comm, std::optional<HostsContext> hosts, std::string name,
      std::shared_ptr<Device> device, std::shared_ptr<Progress> progress,
      std::shared_ptr<MpiHost> host);
  // Waits for what was given to it. Frees `comm` unless MPI has ended.
  ~MpiCommunicator() override;

  // Lets go of `comm`; no call may follow.
  void Release();

  absl::string_view transport() const override {
    return hosts_.has_value() ? "shm+mpi" : "mpi";
  }

 private:
  bool compares_calls() const override { return true; }
  MpiCommunicator(const MpiContext& context, std::optional<HostsContext> hosts,
                  std::string name, std::shared_ptr<Device> device,
                  std::shared_ptr<Progress> progress,
                  std::shared_ptr<MpiHost> host);

  absl::Status DoAllReduce(const Tensor& inout, ReduceOp op,
                           Stream& stream) override;
  absl::Status DoAllGather(const Tensor& in, const Tensor& out,
                           Stream& stream) override;
  absl::Status DoReduceScatter(const Tensor& in, const Tensor& out, ReduceOp op,
                               Stream& stream) override;
  absl::Status DoBroadcast(const Tensor& inout, int root,
                           Stream& stream) override;
  absl::Status DoAllToAllV(const Tensor& in,
                           absl::Span<const int64_t> send_counts,
                           const Tensor& out,
                           absl::Span<const int64_t> receive_counts,
                           Stream& stream) override;
  absl::Status DoExchange(absl::Span<const Transfer> transfers,
                          Stream& stream) override;
  absl::Status DoBarrier(Stream& stream) override;
  absl::StatusOr<std::unique_ptr<Communicator>> DoSplit(
      int color, int key, std::string name) override;

  // A collective; where calls are checked, after what all ranks call was
  // compared.
  absl::Status Submit(std::unique_ptr<Task> task, Stream& stream);
  absl::Status Queue(std::unique_ptr<Task> task, Stream& stream);
  absl::StatusOr<TaskPart> Comparison();
  // At least `bytes` of memory, shared by all calls of this communicator.
  absl::StatusOr<Tensor> Scratch(int64_t bytes);

  MpiContext context_;
  std::optional<HostsContext> hosts_;  // nothing: all ranks talk through MPI
  const std::shared_ptr<Progress> progress_;
  const std::shared_ptr<MpiHost> host_;
  Tensor scratch_;
  TaskQueue queue_;
};

}  // namespace eisbach::comm
