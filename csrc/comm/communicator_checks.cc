#include <cstdint>

#include "absl/strings/str_cat.h"
#include "comm/communicator.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

bool Overlap(const Tensor& a, const Tensor& b) {
  if (a.raw() == nullptr || b.raw() == nullptr) return false;
  const auto a0 = reinterpret_cast<uintptr_t>(a.raw());
  const auto b0 = reinterpret_cast<uintptr_t>(b.raw());
  return a0 < b0 + b.bytes() && b0 < a0 + a.bytes();
}

}  // namespace

std::string Communicator::Where(absl::string_view call) const {
  return absl::StrCat(call, " on \"", name_, "\" (rank ", rank_, " of ", size_,
                      ")");
}

absl::Status Communicator::CheckTensor(absl::string_view call,
                                       absl::string_view what,
                                       const Tensor& tensor,
                                       const Stream& stream) const {
  EISBACH_RETURN_IF_ERROR(CheckJoined());
  if (!tensor.defined()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where(call), ": ", what, " is an undefined tensor"));
  }
  if (&tensor.device() != device_.get()) {
    return absl::InvalidArgumentError(absl::StrCat(
        Where(call), ": ", what, " is ", tensor.ToString(),
        ", not on this rank's ", Name(device_->type()), " device"));
  }
  if (&stream.device() != device_.get()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where(call), ": the stream is of another device"));
  }
  if (!tensor.contiguous()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where(call), ": ", what, " is ", tensor.ToString(),
                     " and not contiguous; copy it first"));
  }
  return absl::OkStatus();
}

absl::Status Communicator::CheckPair(absl::string_view call, const Tensor& in,
                                     const Tensor& out,
                                     const Stream& stream) const {
  EISBACH_RETURN_IF_ERROR(CheckTensor(call, "in", in, stream));
  EISBACH_RETURN_IF_ERROR(CheckTensor(call, "out", out, stream));
  if (in.dtype() != out.dtype()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where(call), ": in is ", Name(in.dtype()), " and out ",
                     Name(out.dtype()), "; they must be the same"));
  }
  return absl::OkStatus();
}

absl::Status Communicator::CheckPieces(absl::string_view call,
                                       const Tensor& whole,
                                       absl::string_view whole_name,
                                       const Tensor& piece,
                                       absl::string_view piece_name) const {
  if (whole.elements() != piece.elements() * size_) {
    return absl::InvalidArgumentError(absl::StrCat(
        Where(call), ": ", whole_name, " has ", whole.elements(), " elements; ",
        piece_name, " has ", piece.elements(), ", times ", size_, " ranks is ",
        piece.elements() * size_));
  }
  const char* mine = static_cast<const char*>(whole.raw()) +
                     (whole.raw() == nullptr ? 0 : rank_ * piece.bytes());
  if (Overlap(whole, piece) && piece.raw() != mine) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where(call), ": ", piece_name, " overlaps ", whole_name,
                     " elsewhere than as its piece ", rank_));
  }
  return absl::OkStatus();
}

absl::Status Communicator::CheckApart(absl::string_view call, const Tensor& in,
                                      const Tensor& out) const {
  if (!Overlap(in, out)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Where(call), ": in and out overlap"));
}

absl::Status Communicator::CheckCounts(const Tensor& tensor,
                                       absl::string_view what,
                                       absl::Span<const int64_t> counts,
                                       absl::string_view counts_name) const {
  if (counts.size() != size_) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where("all_to_all"), ": ", counts_name, " has ",
                     counts.size(), " entries; it needs ", size_));
  }
  int64_t sum = 0;
  for (int i = 0; i < size_; ++i) {
    if (counts[i] < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(Where("all_to_all"), ": ", counts_name, "[", i,
                       "]=", counts[i], " is negative"));
    }
    sum += counts[i];
  }
  if (sum != tensor.elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where("all_to_all"), ": ", counts_name, " add up to ", sum,
                     "; ", what, " has ", tensor.elements(), " elements"));
  }
  return absl::OkStatus();
}

absl::Status Communicator::CheckTransfers(absl::Span<const Transfer> transfers,
                                          const Stream& stream) const {
  std::vector<const Tensor*> sends, receives;  // of and to this rank itself
  for (size_t i = 0; i < transfers.size(); ++i) {
    const Transfer& transfer = transfers[i];
    const bool send = transfer.kind == Transfer::Kind::kSend;
    const std::string what =
        absl::StrCat(send ? "send" : "receive", " [", i, "]");
    EISBACH_RETURN_IF_ERROR(
        CheckTensor("exchange", what, transfer.tensor, stream));
    if (transfer.peer < 0 || transfer.peer >= size_) {
      return absl::InvalidArgumentError(absl::StrCat(
          Where("exchange"), ": ", what, " has peer=", transfer.peer,
          ", which is outside [0, ", size_, ")"));
    }
    if (transfer.peer == rank_) {
      (send ? sends : receives).push_back(&transfer.tensor);
    }
  }
  bool paired = sends.size() == receives.size();
  for (size_t i = 0; paired && i < sends.size(); ++i) {
    paired = sends[i]->bytes() == receives[i]->bytes() &&
             sends[i]->dtype() == receives[i]->dtype();
  }
  if (!paired) {
    return absl::InvalidArgumentError(absl::StrCat(
        Where("exchange"), ": lists ", sends.size(), " sends to and ",
        receives.size(),
        " receives from itself; they must pair up in order, size and dtype"));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::comm
