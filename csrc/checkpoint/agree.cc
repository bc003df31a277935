#include "checkpoint/agree.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

// The largest over the ranks of each of two numbers.
struct Pair {
  int64_t a, b;
};

absl::StatusOr<Pair> Max(Pair values, comm::Communicator& group,
                         Stream& stream) {
  Device& device = stream.device();
  EISBACH_ASSIGN_OR_RETURN(Tensor tensor,
                           Tensor::Empty(Shape{2}, DType::kI64, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(tensor.raw(), &values, sizeof(values), stream));
  EISBACH_RETURN_IF_ERROR(
      group.AllReduce(tensor, comm::ReduceOp::kMax, stream));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(&values, tensor.raw(), sizeof(values), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return values;
}

// `text` of rank `root`, which has `bytes` bytes.
absl::StatusOr<std::string> BroadcastText(std::string text, int64_t bytes,
                                          int root, comm::Communicator& group,
                                          Stream& stream) {
  text.resize(bytes);
  if (bytes == 0) return text;
  Device& device = stream.device();
  EISBACH_ASSIGN_OR_RETURN(Tensor tensor,
                           Tensor::Empty(Shape{bytes}, DType::kU8, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(tensor.raw(), text.data(), text.size(), stream));
  EISBACH_RETURN_IF_ERROR(group.Broadcast(tensor, root, stream));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(text.data(), tensor.raw(), text.size(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return text;
}

}  // namespace

absl::Status AgreeOnStatus(const absl::Status& local, comm::Communicator& group,
                           Stream& stream) {
  if (group.size() == 1) return local;
  // The lowest rank wins: its distance from the end is the largest. A rank's
  // code and length of message ride on the second call.
  const int64_t distance = local.ok() ? 0 : group.size() - group.rank();
  EISBACH_ASSIGN_OR_RETURN(const Pair first, Max({distance, 0}, group, stream));
  if (first.a == 0) return absl::OkStatus();
  const int root = static_cast<int>(group.size() - first.a);
  std::string message;
  Pair mine{0, 0};
  if (group.rank() == root) {
    message = absl::StrCat("rank ", root, ": ", local.message());
    mine = {static_cast<int64_t>(local.code()),
            static_cast<int64_t>(message.size())};
  }
  EISBACH_ASSIGN_OR_RETURN(const Pair error, Max(mine, group, stream));
  EISBACH_ASSIGN_OR_RETURN(
      message, BroadcastText(std::move(message), error.b, root, group, stream));
  return absl::Status(static_cast<absl::StatusCode>(error.a), message);
}

absl::Status AgreeOnValue(uint64_t value, absl::string_view what,
                          comm::Communicator& group, Stream& stream) {
  const int64_t half = static_cast<int64_t>(value >> 1);
  EISBACH_ASSIGN_OR_RETURN(const Pair most, Max({half, -half}, group, stream));
  if (most.a == -most.b) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " is not the same on all ranks"));
}

absl::StatusOr<std::vector<std::string>> GatherText(absl::string_view text,
                                                    comm::Communicator& group,
                                                    Stream& stream) {
  Device& device = stream.device();
  EISBACH_ASSIGN_OR_RETURN(
      const Pair longest,
      Max({static_cast<int64_t>(text.size()), 0}, group, stream));
  const int64_t width = longest.a + 8;  // its length first
  std::string local(width, '\0');
  const int64_t length = static_cast<int64_t>(text.size());
  std::copy_n(reinterpret_cast<const char*>(&length), 8, local.begin());
  std::copy(text.begin(), text.end(), local.begin() + 8);
  EISBACH_ASSIGN_OR_RETURN(Tensor in,
                           Tensor::Empty(Shape{width}, DType::kU8, device));
  EISBACH_ASSIGN_OR_RETURN(Tensor out, Tensor::Empty(Shape{group.size(), width},
                                                     DType::kU8, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(in.raw(), local.data(), local.size(), stream));
  EISBACH_RETURN_IF_ERROR(group.AllGather(in, out, stream));
  std::string all(out.bytes(), '\0');
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(all.data(), out.raw(), all.size(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  std::vector<std::string> texts;
  for (int rank = 0; rank < group.size(); ++rank) {
    int64_t bytes = 0;
    std::copy_n(all.begin() + rank * width, 8, reinterpret_cast<char*>(&bytes));
    texts.push_back(all.substr(rank * width + 8, bytes));
  }
  return texts;
}

}  // namespace eisbach::checkpoint
