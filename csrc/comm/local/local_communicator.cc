#include "comm/local/local_communicator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::comm {

LocalCommunicator::LocalCommunicator(std::shared_ptr<LocalGroup> group,
                                     int rank, std::string name,
                                     std::shared_ptr<Device> device)
    : Communicator(rank, group->size(), std::move(name), std::move(device)),
      group_(std::move(group)),
      queue_(group_->job().progress(group_->world_rank(rank)), this->name(),
             this->device().tracer()) {}

absl::Status LocalCommunicator::Submit(std::unique_ptr<Task> task,
                                       Stream& stream) {
  task->set_label(call());
  return Annotate(queue_.Submit(std::move(task), stream),
                  absl::StrCat("communicator \"", name(), "\""));
}

absl::Status LocalCommunicator::DoAllReduce(const Tensor& inout, ReduceOp op,
                                            Stream& stream) {
  return Submit(MakeAllReduce(NextCall(), inout, op), stream);
}

absl::Status LocalCommunicator::DoAllGather(const Tensor& in, const Tensor& out,
                                            Stream& stream) {
  return Submit(MakeAllGather(NextCall(), in, out), stream);
}

absl::Status LocalCommunicator::DoReduceScatter(const Tensor& in,
                                                const Tensor& out, ReduceOp op,
                                                Stream& stream) {
  return Submit(MakeReduceScatter(NextCall(), in, out, op), stream);
}

absl::Status LocalCommunicator::DoBroadcast(const Tensor& inout, int root,
                                            Stream& stream) {
  return Submit(MakeBroadcast(NextCall(), inout, root), stream);
}

absl::Status LocalCommunicator::DoAllToAllV(
    const Tensor& in, absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts, Stream& stream) {
  return Submit(MakeAllToAllV(NextCall(), in, send_counts, out, receive_counts),
                stream);
}

absl::Status LocalCommunicator::DoExchange(absl::Span<const Transfer> transfers,
                                           Stream& stream) {
  return Submit(MakeExchange({group_, rank(), 0}, transfers), stream);
}

absl::Status LocalCommunicator::DoBarrier(Stream& stream) {
  return Submit(MakeBarrier(NextCall()), stream);
}

absl::StatusOr<std::unique_ptr<Communicator>> LocalCommunicator::DoSplit(
    int color, int key, std::string name) {
  SplitResult result;
  EISBACH_RETURN_IF_ERROR(
      Annotate(queue_.Run(MakeSplit(NextCall(), color, key, &result)),
               absl::StrCat("communicator \"", this->name(), "\"")));
  if (result.group == nullptr) return nullptr;
  return std::make_unique<LocalCommunicator>(std::move(result.group),
                                             result.rank, std::move(name),
                                             device().shared_from_this());
}

}  // namespace eisbach::comm
