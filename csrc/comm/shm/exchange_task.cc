#include <algorithm>
#include <cstring>
#include <deque>

#include "absl/strings/str_cat.h"
#include "comm/shm/shm_task.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// Messages between two ranks go through the ring that the sender's block has
// for the receiver, in chunks; a tensor that lies in an arena is only named
// there and read in place. Done when all was received, and what is read in
// place was taken; what fits a ring does not wait for its receiver.
class ExchangeTask final : public Task {
 public:
  ExchangeTask(std::shared_ptr<Group> group,
               absl::Span<const Transfer> transfers)
      : group_(std::move(group)), peers_(group_->size()) {
    for (const Transfer& transfer : transfers) {
      Peer& peer = peers_[transfer.peer];
      (transfer.kind == Transfer::Kind::kSend ? peer.sends : peer.receives)
          .push_back(transfer.tensor.Detach());
    }
  }

  absl::StatusOr<Step> Poll() override {
    if (!started_) {
      started_ = true;
      for (int p = 0; p < group_->size(); ++p) {
        peers_[p].sent = Sent(p).Get();
        peers_[p].taken = Taken(p).Get();
      }
      CopyToSelf();
    }
    bool moved = false, open = false;
    for (int p = 0; p < group_->size(); ++p) {
      Peer& peer = peers_[p];
      if (!peer.sends.empty()) moved |= Send(p, peer);
      if (!peer.receives.empty()) {
        EISBACH_ASSIGN_OR_RETURN(const bool received, Receive(p, peer));
        moved |= received;
      }
      open |= !peer.sends.empty() || !peer.receives.empty() ||
              TakenBy(p).Get() < peer.must_be_taken;
    }
    if (!open) return Step::kDone;
    return moved ? Step::kMoved : Step::kIdle;
  }

 private:
  struct Peer {
    std::deque<Tensor> sends;     // not wholly sent
    std::deque<Tensor> receives;  // not wholly received
    int64_t send_at = 0;          // bytes of the first of them
    int64_t receive_at = 0;
    uint64_t sent = 0;  // chunks, over the life of the group
    uint64_t taken = 0;
    uint64_t must_be_taken = 0;  // chunks that name this rank's tensors
    std::vector<Tensor> named;
  };

  Counter& Sent(int to) const {
    return group_->layout().sent(group_->block(group_->rank()), to);
  }
  Counter& SentBy(int from) const {
    return group_->layout().sent(group_->block(from), group_->rank());
  }
  Counter& Taken(int from) const {
    return group_->layout().taken(group_->block(group_->rank()), from);
  }
  Counter& TakenBy(int to) const {
    return group_->layout().taken(group_->block(to), group_->rank());
  }

  void CopyToSelf() {
    Peer& self = peers_[group_->rank()];
    for (size_t i = 0; i < self.sends.size(); ++i) {
      if (self.sends[i].bytes() == 0) continue;
      std::memmove(self.receives[i].raw(), self.sends[i].raw(),
                   self.sends[i].bytes());
    }
    self.sends.clear();
    self.receives.clear();
  }

  // Puts what fits into the ring; false when nothing does.
  bool Send(int to, Peer& peer) {
    const BlockLayout& layout = group_->layout();
    char* block = group_->block(group_->rank());
    const uint64_t end = TakenBy(to).Get() + kRingChunks;
    const uint64_t before = peer.sent;
    while (!peer.sends.empty() && peer.sent < end) {
      const Tensor& tensor = peer.sends.front();
      const int64_t bytes = static_cast<int64_t>(tensor.bytes());
      const int64_t place =
          bytes > kRingChunk ? group_->OffsetOf(tensor.raw()) : kPrivate;
      if (peer.send_at == 0) {
        layout.message(block, to, peer.sent) = {bytes, place, tensor.dtype()};
      }
      int64_t n = bytes;
      if (place == kPrivate) {
        n = std::min(kRingChunk, bytes - peer.send_at);
        if (n > 0) {
          std::memcpy(layout.ring(block, to, peer.sent),
                      static_cast<const char*>(tensor.raw()) + peer.send_at, n);
        }
      }
      Sent(to).Set(++peer.sent);
      peer.send_at += n;
      if (place != kPrivate) peer.must_be_taken = peer.sent;
      if (peer.send_at == bytes) {
        if (place != kPrivate) peer.named.push_back(tensor);
        peer.sends.pop_front();
        peer.send_at = 0;
      }
    }
    if (peer.sent == before) return false;
    group_->Ring(to);
    return true;
  }

  // Takes what has come; false when nothing has.
  absl::StatusOr<bool> Receive(int from, Peer& peer) {
    const BlockLayout& layout = group_->layout();
    char* block = group_->block(from);
    const uint64_t end = SentBy(from).Get();
    const uint64_t before = peer.taken;
    while (!peer.receives.empty() && peer.taken < end) {
      const Tensor& tensor = peer.receives.front();
      const int64_t bytes = static_cast<int64_t>(tensor.bytes());
      char* to = static_cast<char*>(tensor.raw()) + peer.receive_at;
      const char* source = layout.ring(block, Me(), peer.taken);
      int64_t n = std::min(kRingChunk, bytes - peer.receive_at);
      if (peer.receive_at == 0) {
        const MessageHeader& message = layout.message(block, Me(), peer.taken);
        EISBACH_RETURN_IF_ERROR(Check(from, message, tensor));
        if (message.from != kPrivate) {
          source = group_->At(from, message.from);
          n = bytes;
        }
      }
      if (n > 0) std::memcpy(to, source, n);
      Taken(from).Set(++peer.taken);
      peer.receive_at += n;
      if (peer.receive_at == bytes) {
        peer.receives.pop_front();
        peer.receive_at = 0;
      }
    }
    if (peer.taken == before) return false;
    group_->Ring(from);
    return true;
  }

  int Me() const { return group_->rank(); }

  absl::Status Check(int from, const MessageHeader& message,
                     const Tensor& tensor) const {
    if (message.bytes == static_cast<int64_t>(tensor.bytes()) &&
        message.dtype == tensor.dtype()) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "exchange: rank ", from, " sends ", message.bytes, " bytes of ",
        Name(message.dtype), " to rank ", group_->rank(), ", which expects ",
        tensor.bytes(), " of ", Name(tensor.dtype())));
  }

  const std::shared_ptr<Group> group_;
  std::vector<Peer> peers_;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<Task> MakeShmExchange(std::shared_ptr<Group> group,
                                      absl::Span<const Transfer> transfers) {
  return std::make_unique<ExchangeTask>(std::move(group), transfers);
}

}  // namespace eisbach::comm
