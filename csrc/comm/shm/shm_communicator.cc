#include "comm/shm/shm_communicator.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::comm {

ShmCommunicator::ShmCommunicator(std::shared_ptr<Group> group, std::string name,
                                 std::shared_ptr<Device> device,
                                 std::shared_ptr<Progress> progress)
    : Communicator(group->rank(), group->size(), std::move(name),
                   std::move(device)),
      group_(std::move(group)),
      progress_(std::move(progress)),
      queue_(progress_, this->name(), this->device().tracer(),
             /*peers_ring=*/true) {}

absl::Status ShmCommunicator::Submit(std::unique_ptr<Task> task,
                                     Stream& stream) {
  task->set_label(call());
  const absl::Status status = queue_.Submit(std::move(task), stream);
  if (status.ok()) return status;  // a small call costs less than the text
  return Annotate(status, absl::StrCat("communicator \"", name(), "\""));
}

absl::Status ShmCommunicator::DoAllReduce(const Tensor& inout, ReduceOp op,
                                          Stream& stream) {
  return Submit(MakeShmAllReduce(NextCall(), inout, op), stream);
}

absl::Status ShmCommunicator::DoAllGather(const Tensor& in, const Tensor& out,
                                          Stream& stream) {
  return Submit(MakeShmAllGather(NextCall(), CallKind::kAllGather, in, out),
                stream);
}

absl::Status ShmCommunicator::DoReduceScatter(const Tensor& in,
                                              const Tensor& out, ReduceOp op,
                                              Stream& stream) {
  return Submit(MakeShmReduceScatter(NextCall(), in, out, op), stream);
}

absl::Status ShmCommunicator::DoBroadcast(const Tensor& inout, int root,
                                          Stream& stream) {
  return Submit(MakeShmBroadcast(NextCall(), inout, root), stream);
}

absl::Status ShmCommunicator::DoAllToAllV(
    const Tensor& in, absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts, Stream& stream) {
  return Submit(
      MakeShmAllToAllV(NextCall(), in, send_counts, out, receive_counts),
      stream);
}

absl::Status ShmCommunicator::DoExchange(absl::Span<const Transfer> transfers,
                                         Stream& stream) {
  return Submit(MakeShmExchange(group_, transfers), stream);
}

absl::Status ShmCommunicator::DoBarrier(Stream& stream) {
  return Submit(MakeShmBarrier(NextCall()), stream);
}

absl::StatusOr<std::vector<std::string>> ShmCommunicator::GatherBytes(
    const std::string& mine) {
  const int64_t bytes = static_cast<int64_t>(mine.size());
  EISBACH_ASSIGN_OR_RETURN(const Tensor in,
                           Tensor::Empty({bytes}, DType::kU8, device()));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor out, Tensor::Empty({bytes * size()}, DType::kU8, device()));
  std::memcpy(in.raw(), mine.data(), bytes);
  EISBACH_RETURN_IF_ERROR(Annotate(
      queue_.Run(MakeShmAllGather(NextCall(), CallKind::kSplit, in, out)),
      absl::StrCat("communicator \"", name(), "\"")));
  std::vector<std::string> all;
  for (int member = 0; member < size(); ++member) {
    all.emplace_back(static_cast<const char*>(out.raw()) + member * bytes,
                     bytes);
  }
  return all;
}

absl::StatusOr<std::unique_ptr<Communicator>> ShmCommunicator::DoSplit(
    int color, int key, std::string name) {
  struct Choice {
    int color;
    int key;
  };
  std::string mine(sizeof(Choice), '\0');
  const Choice choice{color, key};
  std::memcpy(mine.data(), &choice, sizeof(Choice));
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           GatherBytes(mine));
  std::vector<std::pair<int, int>> chosen;  // key and rank, of my color
  for (int member = 0; member < size(); ++member) {
    Choice theirs;
    std::memcpy(&theirs, all[member].data(), sizeof(Choice));
    if (theirs.color == color) chosen.emplace_back(theirs.key, member);
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<int> host_ranks;
  int rank = 0;
  for (size_t i = 0; i < chosen.size(); ++i) {
    host_ranks.push_back(group_->host_rank(chosen[i].second));
    if (chosen[i].second == this->rank()) rank = static_cast<int>(i);
  }
  // All ranks of this group gather, each takes what its new group said.
  const Gather gather =
      [&](const std::string& said) -> absl::StatusOr<std::vector<std::string>> {
    EISBACH_ASSIGN_OR_RETURN(std::vector<std::string> everyone,
                             GatherBytes(said));
    std::vector<std::string> members;
    for (const auto& [unused, member] : chosen) {
      members.push_back(std::move(everyone[member]));
    }
    return members;
  };
  if (color < 0) {
    EISBACH_RETURN_IF_ERROR(
        gather(std::string(kGroupGatherBytes, '\0')).status());
    return nullptr;
  }
  return group_->host().MakeGroup(host_ranks, rank, std::move(name),
                                  device().shared_from_this(), progress_,
                                  gather);
}

}  // namespace eisbach::comm
