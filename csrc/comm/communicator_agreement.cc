#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/communicator.h"
#include "core/status_macros.h"

// For backends that cannot compare calls themselves: before data moves, by
// calls that are the same whatever is compared.
namespace eisbach::comm {
namespace {

template <typename T>
absl::StatusOr<Tensor> TensorOf(const std::vector<T>& values, Device& device) {
  const int64_t bytes = static_cast<int64_t>(values.size() * sizeof(T));
  EISBACH_ASSIGN_OR_RETURN(Tensor tensor,
                           Tensor::Empty({bytes}, DType::kU8, device));
  Stream& stream = device.compute_stream();
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(tensor.raw(), values.data(), bytes, stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return tensor;
}

template <typename T>
absl::StatusOr<std::vector<T>> ValuesOf(const Tensor& tensor, Device& device) {
  std::vector<T> values(tensor.bytes() / sizeof(T));
  Stream& stream = device.compute_stream();
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(values.data(), tensor.raw(), tensor.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return values;
}

}  // namespace

absl::Status Communicator::Disagrees(absl::string_view text) {
  disagreement_ = DisagreementError(Where(call_.name), text);
  return disagreement_;
}

template <typename T>
absl::StatusOr<std::vector<T>> Communicator::GatherFromAll(
    const std::vector<T>& mine) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor shown, TensorOf(mine, *device_));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor all,
      Tensor::Empty({shown.elements() * size_}, DType::kU8, *device_));
  // The watch knows the call itself, which is being driven.
  const TaskLabel call = std::exchange(call_, {.name = "compare_calls"});
  const absl::Status gathered =
      DoAllGather(shown, all, device_->compute_stream());
  call_ = call;
  EISBACH_RETURN_IF_ERROR(gathered);
  return ValuesOf<T>(all, *device_);
}

absl::Status Communicator::Agree(const CallShape& mine) {
  shape_ = mine;
  if (!checks() || compares_calls()) return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(disagreement_);
  call_.mark.Begun(Tracer::Now());
  EISBACH_ASSIGN_OR_RETURN(const std::vector<CallShape> all,
                           GatherFromAll(std::vector<CallShape>{mine}));
  return Disagrees(Disagreement(all));
}

absl::Status Communicator::AgreeOnCounts(
    absl::Span<const int64_t> send_counts,
    absl::Span<const int64_t> receive_counts) {
  if (!checks() || compares_calls()) return absl::OkStatus();
  std::vector<int64_t> mine(send_counts.begin(), send_counts.end());
  mine.insert(mine.end(), receive_counts.begin(), receive_counts.end());
  EISBACH_ASSIGN_OR_RETURN(const std::vector<int64_t> all, GatherFromAll(mine));
  return Disagrees(CountDisagreement(all, size_));
}

absl::Status Communicator::AgreeOnTransfers(
    absl::Span<const Transfer> transfers) {
  if (!checks() || compares_calls()) return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(disagreement_);
  call_.mark.Begun(Tracer::Now());
  // Both partners in one order: first what the lower rank sends.
  std::vector<TransferShape> mine;
  for (const Transfer& transfer : transfers) {
    if (transfer.peer != rank_) mine.push_back(ShapeOf(transfer));
  }
  std::stable_sort(mine.begin(), mine.end(),
                   [&](const TransferShape& a, const TransferShape& b) {
                     return (a.sends == (rank_ < a.peer)) >
                            (b.sends == (rank_ < b.peer));
                   });
  std::vector<Transfer> told;
  for (const TransferShape& shape : mine) {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor sent, TensorOf(std::vector<TransferShape>{shape}, *device_));
    EISBACH_ASSIGN_OR_RETURN(Tensor received,
                             TensorOf(std::vector<TransferShape>(1), *device_));
    told.push_back({Transfer::Kind::kSend, shape.peer, std::move(sent)});
    told.push_back({Transfer::Kind::kReceive, shape.peer, std::move(received)});
  }
  const TaskLabel call = std::exchange(call_, {.name = "compare_calls"});
  const absl::Status moved = DoExchange(told, device_->compute_stream());
  call_ = call;
  EISBACH_RETURN_IF_ERROR(moved);
  for (size_t i = 0; i < mine.size(); ++i) {
    EISBACH_ASSIGN_OR_RETURN(
        const std::vector<TransferShape> theirs,
        ValuesOf<TransferShape>(told[2 * i + 1].tensor, *device_));
    EISBACH_RETURN_IF_ERROR(
        Disagrees(TransferDisagreement(rank_, mine[i], theirs[0])));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::comm
