#include <cstring>
#include <utility>
#include <vector>

#include "comm/mpi/mpi_tasks.h"
#include "comm/mpi/requests.h"
#include "core/status_macros.h"

// Collectives that move bytes and compute nothing.
namespace eisbach::comm {
namespace {

char* Data(const Tensor& tensor) { return static_cast<char*>(tensor.raw()); }
// Starts everything at the first poll, then waits for all of it.
class MoveTask : public Task {
 public:
  MoveTask(const MpiContext& context, std::vector<Tensor> tensors)
      : context_(context),
        tensors_(std::move(tensors)),
        requests_(context.comm) {
    for (Tensor& tensor : tensors_) tensor = tensor.Detach();
  }

  absl::StatusOr<Step> Poll() final {
    const bool first = !started_;
    if (first) {
      started_ = true;
      EISBACH_RETURN_IF_ERROR(Start(requests_));
    }
    EISBACH_ASSIGN_OR_RETURN(const bool done, requests_.Test());
    if (done) return Step::kDone;
    return first ? Step::kMoved : Step::kIdle;
  }

 protected:
  virtual absl::Status Start(Requests& requests) = 0;

  const MpiContext context_;
  std::vector<Tensor> tensors_;

 private:
  Requests requests_;
  bool started_ = false;
};

class AllGatherTask final : public MoveTask {
 public:
  AllGatherTask(const MpiContext& context, const Tensor& in, const Tensor& out)
      : MoveTask(context, {in, out}) {}

  absl::Status Start(Requests& requests) override {
    const char* in = Data(tensors_[0]);
    char* out = Data(tensors_[1]);
    const int64_t bytes = Bytes(tensors_[0]);
    if (bytes == 0) return absl::OkStatus();
    for (int step = 1; step < context_.size; ++step) {
      const int from = (context_.rank + step) % context_.size;
      EISBACH_RETURN_IF_ERROR(
          requests.Receive(out + from * bytes, bytes, from, kTagMove));
    }
    for (int step = 1; step < context_.size; ++step) {
      const int to = (context_.rank + context_.size - step) % context_.size;
      EISBACH_RETURN_IF_ERROR(requests.Send(in, bytes, to, kTagMove));
    }
    char* mine = out + context_.rank * bytes;
    if (mine != in) std::memcpy(mine, in, bytes);
    return absl::OkStatus();
  }
};

class AllToAllVTask final : public MoveTask {
 public:
  AllToAllVTask(const MpiContext& context, const Tensor& in,
                absl::Span<const int64_t> send_counts, const Tensor& out,
                absl::Span<const int64_t> receive_counts)
      : MoveTask(context, {in, out}),
        sends_(Offsets(send_counts, in.dtype())),
        receives_(Offsets(receive_counts, out.dtype())) {}

  absl::Status Start(Requests& requests) override {
    const char* in = Data(tensors_[0]);
    char* out = Data(tensors_[1]);
    // Empty pieces are sent too: the counts of both sides are compared.
    for (int step = 1; step < context_.size; ++step) {
      const int from = (context_.rank + step) % context_.size;
      EISBACH_RETURN_IF_ERROR(requests.Receive(
          out + receives_[from], receives_[from + 1] - receives_[from], from,
          kTagMove));
    }
    for (int step = 1; step < context_.size; ++step) {
      const int to = (context_.rank + context_.size - step) % context_.size;
      EISBACH_RETURN_IF_ERROR(requests.Send(
          in + sends_[to], sends_[to + 1] - sends_[to], to, kTagMove));
    }
    const int me = context_.rank;
    const int64_t bytes = sends_[me + 1] - sends_[me];
    if (bytes > 0) std::memcpy(out + receives_[me], in + sends_[me], bytes);
    return absl::OkStatus();
  }

 private:
  static std::vector<int64_t> Offsets(absl::Span<const int64_t> counts,
                                      DType dtype) {
    std::vector<int64_t> offsets = {0};
    for (int64_t count : counts) {
      offsets.push_back(offsets.back() + count * SizeOf(dtype));
    }
    return offsets;
  }

  const std::vector<int64_t> sends_;  // byte offsets, one more than ranks
  const std::vector<int64_t> receives_;
};

class BroadcastTask final : public MoveTask {
 public:
  BroadcastTask(const MpiContext& context, const Tensor& inout, int root)
      : MoveTask(context, {inout}), root_(root) {}

  absl::Status Start(Requests& requests) override {
    return requests.Broadcast(Data(tensors_[0]), Bytes(tensors_[0]), root_);
  }

 private:
  const int root_;
};

class ExchangeTask final : public MoveTask {
 public:
  ExchangeTask(const MpiContext& context, absl::Span<const Transfer> transfers)
      : MoveTask(context, {}) {
    for (const Transfer& transfer : transfers) {
      transfers_.push_back(
          {transfer.kind, transfer.peer, transfer.tensor.Detach()});
    }
  }

  absl::Status Start(Requests& requests) override {
    for (const Transfer& transfer : transfers_) {
      const Tensor& tensor = transfer.tensor;
      if (transfer.kind == Transfer::Kind::kReceive) {
        EISBACH_RETURN_IF_ERROR(requests.Receive(Data(tensor), Bytes(tensor),
                                                 transfer.peer, kTagExchange));
      }
    }
    for (const Transfer& transfer : transfers_) {
      const Tensor& tensor = transfer.tensor;
      if (transfer.kind == Transfer::Kind::kSend) {
        EISBACH_RETURN_IF_ERROR(requests.Send(Data(tensor), Bytes(tensor),
                                              transfer.peer, kTagExchange));
      }
    }
    return absl::OkStatus();
  }

 private:
  std::vector<Transfer> transfers_;
};

class BarrierTask final : public MoveTask {
 public:
  explicit BarrierTask(const MpiContext& context) : MoveTask(context, {}) {}
  absl::Status Start(Requests& requests) override { return requests.Barrier(); }
};

}  // namespace

std::unique_ptr<Task> MakeMpiAllGather(const MpiContext& context,
                                       const Tensor& in, const Tensor& out) {
  return std::make_unique<AllGatherTask>(context, in, out);
}

std::unique_ptr<Task> MakeMpiBroadcast(const MpiContext& context,
                                       const Tensor& inout, int root) {
  return std::make_unique<BroadcastTask>(context, inout, root);
}

std::unique_ptr<Task> MakeMpiAllToAllV(
    const MpiContext& context, const Tensor& in,
    absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts) {
  return std::make_unique<AllToAllVTask>(context, in, send_counts, out,
                                         receive_counts);
}

std::unique_ptr<Task> MakeMpiExchange(const MpiContext& context,
                                      absl::Span<const Transfer> transfers) {
  return std::make_unique<ExchangeTask>(context, transfers);
}

std::unique_ptr<Task> MakeMpiBarrier(const MpiContext& context) {
  return std::make_unique<BarrierTask>(context);
}

}  // namespace eisbach::comm
