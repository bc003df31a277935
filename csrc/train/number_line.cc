#include "train/number_line.h"

#include "core/status_macros.h"

namespace eisbach::train {

NumberLine::NumberLine(comm::Communicator& group, int peer)
    : group_(group), stream_(group.device().compute_stream()), peer_(peer) {}

absl::StatusOr<NumberLine> NumberLine::Make(comm::Communicator& group,
                                            int peer) {
  NumberLine line(group, peer);
  EISBACH_ASSIGN_OR_RETURN(
      line.number_, Tensor::Empty(Shape{1}, DType::kI64, group.device()));
  return line;
}

absl::Status NumberLine::Send(int64_t value) {
  EISBACH_RETURN_IF_ERROR(group_.device().CopyToDevice(number_.raw(), &value,
                                                       sizeof(value), stream_));
  return Move(comm::Transfer::Kind::kSend);
}

absl::StatusOr<int64_t> NumberLine::Receive() {
  EISBACH_RETURN_IF_ERROR(Move(comm::Transfer::Kind::kReceive));
  int64_t value = 0;
  EISBACH_RETURN_IF_ERROR(group_.device().CopyToHost(&value, number_.raw(),
                                                     sizeof(value), stream_));
  EISBACH_RETURN_IF_ERROR(stream_.Synchronize());
  return value;
}

absl::Status NumberLine::Move(comm::Transfer::Kind kind) {
  const comm::Transfer transfer{kind, peer_, number_};
  EISBACH_RETURN_IF_ERROR(group_.Exchange({&transfer, 1}, stream_));
  return stream_.Synchronize();
}

}  // namespace eisbach::train
