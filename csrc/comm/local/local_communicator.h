#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/local/collective_task.h"
#include "comm/local/local_group.h"

namespace eisbach::comm {

// Ranks that are threads of this process and read one another's memory.
class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(std::shared_ptr<LocalGroup> group, int rank,
                    std::string name, std::shared_ptr<Device> device);

  absl::string_view transport() const override { return "threads"; }

 private:
  bool compares_calls() const override { return true; }
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

  CallContext NextCall() { return {group_, rank(), next_call_++}; }
  absl::Status Submit(std::unique_ptr<Task> task, Stream& stream);

  const std::shared_ptr<LocalGroup> group_;
  int64_t next_call_ = 0;
  TaskQueue queue_;
};

}  // namespace eisbach::comm
