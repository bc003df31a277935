#include "comm/mpi/host_chain.h"

#include <algorithm>
#include <utility>

#include "comm/reduction.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// What a host works on in one round: long messages, and yet enough rounds that
// the hosts have something to do at the same time.
constexpr int64_t kMostRoundBytes = 1 << 20;
constexpr int64_t kLeastRoundBytes = 128 << 10;

int64_t Aligned(int64_t bytes) { return (bytes + 63) & ~int64_t{63}; }

int64_t SumBytes(DType dtype, ReduceOp op) {
  return SizeOf(cpu::AccumulatorOf(dtype, ToReduction(op)));
}

}  // namespace

int64_t HostChain::MostOfPiece(const HostsContext& context, int64_t elements,
                               DType dtype) {
  const int64_t round =
      std::clamp<int64_t>(elements * SizeOf(dtype) / (2 * context.blocks.hosts),
                          kLeastRoundBytes, kMostRoundBytes);
  const int64_t piece = round / SizeOf(dtype) / context.blocks.per_host;
  return std::max<int64_t>(piece & ~int64_t{63}, 64);
}

int64_t HostChain::ScratchBytes(const HostsContext& context, int64_t piece,
                                DType dtype, ReduceOp op) {
  return 2 * kBuffers *
         (Aligned(context.blocks.per_host * piece * SizeOf(dtype)) +
          Aligned(piece * SumBytes(dtype, op)));
}

HostChain::HostChain(const HostsContext& context, DType dtype, ReduceOp op,
                     int64_t rounds, int64_t longest, const Tensor& scratch)
    : context_(context),
      dtype_(dtype),
      op_(op),
      rounds_(rounds),
      scratch_(scratch),
      element_bytes_(SizeOf(dtype)),
      sum_bytes_(SumBytes(dtype, op)),
      inputs_stride_(
          Aligned(context.blocks.per_host * longest * element_bytes_)),
      sums_stride_(Aligned(longest * sum_bytes_)) {}

char* HostChain::Inputs(int64_t round) const {
  return static_cast<char*>(scratch_.raw()) + round % kBuffers * inputs_stride_;
}
char* HostChain::Incoming(int64_t round) const {
  return static_cast<char*>(scratch_.raw()) + 2 * kBuffers * inputs_stride_ +
         round % kBuffers * sums_stride_;
}
char* HostChain::Outgoing(int64_t round) const {
  return Incoming(round) + kBuffers * sums_stride_;
}

absl::StatusOr<Tensor> HostChain::InScratch(const char* at,
                                            int64_t elements) const {
  return Tensor::FromStorage(
      scratch_.storage(), at - static_cast<char*>(scratch_.storage()->data()),
      {elements}, dtype_);
}

absl::StatusOr<Tensor> HostChain::Packed(int64_t round) const {
  return InScratch(Inputs(round) + kBuffers * inputs_stride_,
                   context_.blocks.per_host * Piece(round));
}

absl::StatusOr<std::unique_ptr<Task>> HostChain::Gather(int64_t /*round*/) {
  return absl::InternalError("this reduction gathers nothing");
}

absl::StatusOr<Task::Step> HostChain::Poll() {
  bool moved = false;
  for (auto part : {&HostChain::PostIncoming, &HostChain::DriveInside,
                    &HostChain::Reduce, &HostChain::TakeResults}) {
    EISBACH_ASSIGN_OR_RETURN(const bool part_moved, (this->*part)());
    moved |= part_moved;
  }
  for (std::deque<Requests>* sends : {&outgoing_, &relays_}) {
    EISBACH_ASSIGN_OR_RETURN(const bool swept, Sweep(*sends));
    moved |= swept;
  }
  const bool done = reduced_ == rounds_ && coming_.empty() &&
                    outgoing_.empty() && relays_.empty() &&
                    (!Gathers() || gathered_ == rounds_);
  if (done) return Step::kDone;
  return moved ? Step::kMoved : Step::kIdle;
}

absl::StatusOr<bool> HostChain::PostIncoming() {
  if (context_.host() == 0) return false;
  bool moved = false;
  while (posted_ < std::min(rounds_, reduced_ + kBuffers)) {
    EISBACH_RETURN_IF_ERROR(
        incoming_.emplace_back(context_.group.comm)
            .Receive(Incoming(posted_), Piece(posted_) * sum_bytes_,
                     context_.Peer(context_.host() - 1), kTagPartial));
    ++posted_;
    moved = true;
  }
  return moved;
}

absl::StatusOr<bool> HostChain::DriveInside() {
  bool moved = false;
  if (inside_ == nullptr) {
    EISBACH_ASSIGN_OR_RETURN(inside_, NextInside());
    if (inside_ == nullptr) return false;
    moved = true;
  }
  EISBACH_ASSIGN_OR_RETURN(const Step step, inside_->Poll());
  if (step != Step::kDone) return moved || step == Step::kMoved;
  inside_.reset();
  if (gathering_) {
    Gathered(gathered_++);
  } else {
    ++exchanged_;
  }
  return true;
}

// The ranks of a host must do the same in the same order, whenever messages
// come: results are handed round a fixed number of rounds after the exchange,
// by which they have been to the last host and back.
absl::StatusOr<std::unique_ptr<Task>> HostChain::NextInside() {
  const int64_t behind = 2 * context_.blocks.hosts;
  const bool exchange =
      exchanged_ < rounds_ && (!Gathers() || exchanged_ < gathered_ + behind);
  gathering_ = !exchange;
  if (exchange) {
    if (exchanged_ == reduced_ + kBuffers) return nullptr;
    EISBACH_ASSIGN_OR_RETURN(const Tensor in, Input(exchanged_));
    EISBACH_ASSIGN_OR_RETURN(const Tensor out,
                             InScratch(Inputs(exchanged_), in.elements()));
    return context_.inside->AllToAll(in, out);
  }
  if (!Gathers() || gathered_ == results_) return nullptr;
  return Gather(gathered_);
}

absl::StatusOr<bool> HostChain::Reduce() {
  const int64_t round = reduced_;
  if (round == exchanged_ || outgoing_.size() == kBuffers) return false;
  const bool first = context_.host() == 0;
  if (!first) {
    EISBACH_ASSIGN_OR_RETURN(const bool come, incoming_.front().Test());
    if (!come) return false;
    incoming_.pop_front();
  }
  const int64_t piece = Piece(round);
  pieces_.clear();
  for (int rank = 0; rank < context_.blocks.per_host; ++rank) {
    pieces_.push_back(Inputs(round) + rank * piece * element_bytes_);
  }
  char* const kept = is_last() ? Place(round) : nullptr;
  char* const out = kept != nullptr ? kept : Outgoing(round);
  cpu::ReduceNextInOrder(dtype_, ToReduction(op_),
                         first ? nullptr : Incoming(round), pieces_, out,
                         is_last(), piece);
  ++reduced_;
  EISBACH_RETURN_IF_ERROR(SendOn(round, out));
  return true;
}

absl::Status HostChain::SendOn(int64_t round, const char* data) {
  // One entry a round, also when there is nothing to send: they tell which
  // buffers are free.
  Requests& sends = outgoing_.emplace_back(context_.group.comm);
  const int64_t bytes = Piece(round) * element_bytes_;
  if (is_last()) {
    ++results_;
    if (To(round) == kNobody) return absl::OkStatus();
    return sends.Send(data, bytes, context_.Peer(To(round)), kTagResult);
  }
  EISBACH_RETURN_IF_ERROR(sends.Send(data, Piece(round) * sum_bytes_,
                                     context_.Peer(context_.host() + 1),
                                     kTagPartial));
  if (From(round) == kNobody) return absl::OkStatus();
  return coming_.emplace_back(Result{round, Requests(context_.group.comm)})
      .requests.Receive(Place(round), bytes, context_.Peer(From(round)),
                        kTagResult);
}

absl::StatusOr<bool> HostChain::TakeResults() {
  bool moved = false;
  while (!coming_.empty()) {
    EISBACH_ASSIGN_OR_RETURN(const bool come, coming_.front().requests.Test());
    if (!come) break;
    const int64_t round = coming_.front().round;
    coming_.pop_front();
    ++results_;
    moved = true;
    if (To(round) == kNobody) continue;
    EISBACH_RETURN_IF_ERROR(relays_.emplace_back(context_.group.comm)
                                .Send(Place(round),
                                      Piece(round) * element_bytes_,
                                      context_.Peer(To(round)), kTagResult));
  }
  return moved;
}

absl::StatusOr<bool> HostChain::Sweep(std::deque<Requests>& requests) {
  bool moved = false;
  while (!requests.empty()) {
    EISBACH_ASSIGN_OR_RETURN(const bool done, requests.front().Test());
    if (!done) break;
    requests.pop_front();
    moved = true;
  }
  return moved;
}

}  // namespace eisbach::comm
