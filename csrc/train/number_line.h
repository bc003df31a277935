#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "tensor/tensor.h"

namespace eisbach::train {

// One number at a time between this rank and `peer` of a group, through device
// memory: what the two measure round trips with. Each call returns when the
// device is done.
class NumberLine {
 public:
  static absl::StatusOr<NumberLine> Make(comm::Communicator& group, int peer);

  absl::Status Send(int64_t value);
  absl::StatusOr<int64_t> Receive();

 private:
  NumberLine(comm::Communicator& group, int peer);
  absl::Status Move(comm::Transfer::Kind kind);

  comm::Communicator& group_;
  Stream& stream_;
  int peer_;
  Tensor number_;  // i64 [1]
};

}  // namespace eisbach::train
