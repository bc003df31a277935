#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/shm/group.h"
#include "comm/shm/shm_task.h"

namespace eisbach::comm {

// Ranks that are processes of one host and share memory.
class ShmCommunicator final : public Communicator {
 public:
  ShmCommunicator(std::shared_ptr<Group> group, std::string name,
                  std::shared_ptr<Device> device,
                  std::shared_ptr<Progress> progress);

  absl::string_view transport() const override { return "shm"; }

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

  ShmCall NextCall() { return {group_, next_call_++}; }
  absl::Status Submit(std::unique_ptr<Task> task, Stream& stream);
  // Everyone's `mine`, of one length on all ranks.
  absl::StatusOr<std::vector<std::string>> GatherBytes(const std::string& mine);

  const std::shared_ptr<Group> group_;
  const std::shared_ptr<Progress> progress_;
  int64_t next_call_ = 0;
  TaskQueue queue_;
};

}  // namespace eisbach::comm
