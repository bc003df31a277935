#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "comm/local/collective_task.h"

namespace eisbach::comm {
namespace {

// Shows every send to its receiver at once; then receives, from each peer in
// the order of the list; done when every send has been taken too.
class ExchangeTask final : public Task {
 public:
  ExchangeTask(const CallContext& context, absl::Span<const Transfer> transfers)
      : group_(context.group), rank_(context.rank), sources_(group_->size()) {
    for (const Transfer& transfer : transfers) {
      Tensor tensor = transfer.tensor.Detach();
      if (transfer.kind == Transfer::Kind::kReceive) {
        sources_[transfer.peer].tensors.push_back(std::move(tensor));
        continue;
      }
      auto message = std::make_shared<LocalMessage>();
      message->data = static_cast<const char*>(tensor.raw());
      message->bytes = static_cast<int64_t>(tensor.bytes());
      message->dtype = tensor.dtype();
      sends_.push_back({transfer.peer, std::move(tensor), std::move(message)});
    }
  }

  absl::StatusOr<Step> Poll() override {
    if (group_->failed()) return Fail({});
    if (!posted_) {
      posted_ = true;
      for (const Send& send : sends_) {
        group_->Send(rank_, send.peer, send.message);
      }
    }
    bool moved = false;
    for (int peer = 0; peer < group_->size(); ++peer) {
      if (sources_[peer].tensors.empty()) continue;
      if (!group_->StartReading()) return Fail({});
      const absl::StatusOr<bool> took = Take(peer);
      group_->StopReading();
      if (!took.ok()) return Fail(took.status());
      moved |= *took;
    }
    if (moved) return Step::kMoved;
    for (const Source& source : sources_) {
      if (!source.tensors.empty()) return Await();
    }
    for (const Send& send : sends_) {
      if (!send.message->taken.load(std::memory_order_acquire)) {
        return Await();
      }
    }
    return Step::kDone;
  }

 private:
  static constexpr int64_t kBytesAPoll = 1 << 20;

  struct Send {
    int peer;
    Tensor tensor;
    std::shared_ptr<LocalMessage> message;
  };
  struct Source {
    std::deque<Tensor> tensors;  // still to be received
    std::shared_ptr<LocalMessage> message;
    int64_t at = 0;
  };

  // Receives a bounded piece from `peer`; false when nothing is there.
  absl::StatusOr<bool> Take(int peer) {
    Source& source = sources_[peer];
    const Tensor& tensor = source.tensors.front();
    if (source.message == nullptr) {
      source.message = group_->Receive(peer, rank_);
      if (source.message == nullptr) return false;
      source.at = 0;
      if (source.message->bytes != tensor.bytes() ||
          source.message->dtype != tensor.dtype()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "exchange: rank ", peer, " sends ", source.message->bytes,
            " bytes of ", Name(source.message->dtype), " to rank ", rank_,
            ", which expects ", tensor.bytes(), " of ", Name(tensor.dtype())));
      }
    }
    LocalMessage& message = *source.message;
    const int64_t n = std::min(kBytesAPoll, message.bytes - source.at);
    if (n > 0) {
      std::memmove(static_cast<char*>(tensor.raw()) + source.at,
                   message.data + source.at, n);
      source.at += n;
    }
    if (source.at == message.bytes) {
      message.taken.store(true, std::memory_order_release);
      group_->Ring(peer);
      source.message.reset();
      source.tensors.pop_front();
    }
    return true;
  }

  // Waits, unless for a rank that has ended: it has taken all that was for it.
  absl::StatusOr<Step> Await() {
    for (int peer = 0; peer < group_->size(); ++peer) {
      if (!group_->job().departed(group_->world_rank(peer))) continue;
      bool open = !sources_[peer].tensors.empty();
      for (const Send& send : sends_) {
        open |= send.peer == peer && !send.message->taken.load();
      }
      if (open) {
        return Fail(absl::AbortedError(
            absl::StrCat("rank ", group_->world_rank(peer),
                         " has ended and will not take part")));
      }
    }
    return Step::kIdle;
  }

  absl::Status Fail(absl::Status cause) {
    if (!cause.ok()) group_->Fail(std::move(cause));
    group_->AwaitReaders();
    return group_->Failure();
  }

  const std::shared_ptr<LocalGroup> group_;
  const int rank_;
  bool posted_ = false;
  std::vector<Send> sends_;
  std::vector<Source> sources_;
};

}  // namespace

std::unique_ptr<Task> MakeExchange(const CallContext& context,
                                   absl::Span<const Transfer> transfers) {
  return std::make_unique<ExchangeTask>(context, transfers);
}

}  // namespace eisbach::comm
