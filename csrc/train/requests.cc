#include "train/requests.h"

#include "core/status_macros.h"

namespace eisbach::train {

absl::StatusOr<std::unique_ptr<Requests>> Requests::Make(Stream& stream) {
  std::unique_ptr<Requests> requests(new Requests());
  EISBACH_ASSIGN_OR_RETURN(
      requests->values_, Tensor::Zeros(Shape{kRequests}, DType::kF64, stream));
  EISBACH_ASSIGN_OR_RETURN(requests->memory_,
                           stream.device().AllocateHost(kSlots * sizeof(Slot)));
  return requests;
}

absl::Status Requests::Begin(Stream& stream) {
  Slot& slot = static_cast<Slot*>(memory_.get())[next_];
  Event& copied = copied_[next_];
  next_ = (next_ + 1) % kSlots;
  EISBACH_RETURN_IF_ERROR(copied.Wait());
  for (int i = 0; i < kRequests; ++i) {
    slot[i] = asked_[i].exchange(false, std::memory_order_relaxed) ? 1 : 0;
  }
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToDevice(
      values_.raw(), slot.data(), sizeof(slot), stream));
  EISBACH_ASSIGN_OR_RETURN(copied, stream.Record());
  return absl::OkStatus();
}

}  // namespace eisbach::train
