#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "comm/mpi/hierarchical_tasks.h"
#include "comm/mpi/requests.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// The bytes of a tensor.
absl::StatusOr<Tensor> BytesOf(const Tensor& tensor) {
  const int64_t before =
      tensor.elements() == 0
          ? 0
          : static_cast<const char*>(tensor.raw()) -
                static_cast<const char*>(tensor.storage()->data());
  return Tensor::FromStorage(tensor.storage(), before, {Bytes(tensor)},
                             DType::kU8);
}

// Pieces of the peers come from other hosts; those of a host that has come are
// gathered from the ranks of this one, the own host's first.
class HostsAllGatherTask final : public Task {
 public:
  HostsAllGatherTask(const HostsContext& context, const Tensor& in,
                     const Tensor& out)
      : context_(context), in_(in), out_(out), sends_(context.group.comm) {}

  absl::StatusOr<Step> Poll() override {
    if (Bytes(in_) == 0) return Step::kDone;
    bool moved = false;
    if (!started_) {
      started_ = true;
      moved = true;
      EISBACH_RETURN_IF_ERROR(Start());
    }
    if (inside_ == nullptr && gathered_ < context_.blocks.hosts) {
      EISBACH_ASSIGN_OR_RETURN(inside_, Next());
    }
    if (inside_ != nullptr) {
      EISBACH_ASSIGN_OR_RETURN(const Step step, inside_->Poll());
      moved |= step != Step::kIdle;
      if (step == Step::kDone) {
        inside_.reset();
        ++gathered_;
      }
    }
    if (gathered_ == context_.blocks.hosts) {
      EISBACH_ASSIGN_OR_RETURN(const bool sent, sends_.Test());
      if (sent) return Step::kDone;
    }
    return moved ? Step::kMoved : Step::kIdle;
  }

 private:
  int HostAfter(int steps) const {
    return (context_.host() + steps) % context_.blocks.hosts;
  }
  absl::StatusOr<Tensor> PieceOf(int rank) const {
    return out_.Narrow(0, rank * Bytes(in_), Bytes(in_));
  }

  absl::Status Start() {
    const int hosts = context_.blocks.hosts;
    for (int step = 1; step < hosts; ++step) {
      const int from = context_.Peer(HostAfter(step));
      EISBACH_ASSIGN_OR_RETURN(const Tensor piece, PieceOf(from));
      EISBACH_RETURN_IF_ERROR(
          receives_.emplace_back(context_.group.comm)
              .Receive(piece.raw(), Bytes(piece), from, kTagMove));
    }
    for (int step = 1; step < hosts; ++step) {
      EISBACH_RETURN_IF_ERROR(
          sends_.Send(in_.raw(), Bytes(in_),
                      context_.Peer(HostAfter(hosts - step)), kTagMove));
    }
    return absl::OkStatus();
  }

  // Null while the next host's piece has not come.
  absl::StatusOr<std::unique_ptr<Task>> Next() {
    const int host = HostAfter(gathered_);
    Tensor mine = in_;
    if (gathered_ > 0) {
      EISBACH_ASSIGN_OR_RETURN(const bool come, receives_.front().Test());
      if (!come) return nullptr;
      receives_.pop_front();
      EISBACH_ASSIGN_OR_RETURN(mine, PieceOf(context_.Peer(host)));
    }
    const int64_t bytes = context_.blocks.per_host * Bytes(in_);
    EISBACH_ASSIGN_OR_RETURN(const Tensor all,
                             out_.Narrow(0, host * bytes, bytes));
    return context_.inside->AllGather(mine, all);
  }

  const HostsContext context_;
  const Tensor in_;   // bytes
  const Tensor out_;  // bytes
  Requests sends_;
  std::deque<Requests> receives_;  // of the hosts after this, in their order
  std::unique_ptr<Task> inside_;
  int gathered_ = 0;  // hosts
  bool started_ = false;
};

class HostsBroadcastTask final : public Task {
 public:
  HostsBroadcastTask(const HostsContext& context, const Tensor& inout, int root)
      : context_(context),
        inout_(inout),
        root_host_(root / context.blocks.per_host),
        root_place_(root % context.blocks.per_host),
        chunks_((Bytes(inout) + kChunkBytes - 1) / kChunkBytes) {
    const int hosts = context.blocks.hosts;
    const int behind_root = (context.host() + hosts - root_host_) % hosts;
    const bool is_peer = context.place() == root_place_;
    receives_from_host_ = is_peer && behind_root > 0;
    sends_to_host_ = is_peer && behind_root < hosts - 1;
  }

  absl::StatusOr<Step> Poll() override {
    EISBACH_ASSIGN_OR_RETURN(bool moved, PostReceives());
    if (inside_ == nullptr && shared_ < chunks_) {
      EISBACH_ASSIGN_OR_RETURN(inside_, Next());
      moved |= inside_ != nullptr;
    }
    if (inside_ != nullptr) {
      EISBACH_ASSIGN_OR_RETURN(const Step step, inside_->Poll());
      moved |= step != Step::kIdle;
      if (step == Step::kDone) {
        inside_.reset();
        ++shared_;
      }
    }
    while (!sends_.empty()) {
      EISBACH_ASSIGN_OR_RETURN(const bool sent, sends_.front().Test());
      if (!sent) break;
      sends_.pop_front();
      moved = true;
    }
    if (shared_ == chunks_ && sends_.empty()) return Step::kDone;
    return moved ? Step::kMoved : Step::kIdle;
  }

 private:
  static constexpr int64_t kChunkBytes = 1 << 20;
  static constexpr size_t kInFlight = 4;

  absl::StatusOr<Tensor> Chunk(int64_t chunk) const {
    const int64_t begin = chunk * kChunkBytes;
    return inout_.Narrow(0, begin,
                         std::min(kChunkBytes, Bytes(inout_) - begin));
  }
  int HostAfter(int steps) const {
    return (context_.host() + steps) % context_.blocks.hosts;
  }

  absl::StatusOr<bool> PostReceives() {
    bool moved = false;
    while (receives_from_host_ && posted_ < chunks_ &&
           receives_.size() < kInFlight) {
      EISBACH_ASSIGN_OR_RETURN(const Tensor chunk, Chunk(posted_));
      EISBACH_RETURN_IF_ERROR(
          receives_.emplace_back(context_.group.comm)
              .Receive(chunk.raw(), Bytes(chunk),
                       context_.Peer(HostAfter(context_.last_host())),
                       kTagMove));
      ++posted_;
      moved = true;
    }
    return moved;
  }

  // Null while the next chunk has not come, or too many are still to be sent.
  absl::StatusOr<std::unique_ptr<Task>> Next() {
    if (sends_.size() == kInFlight) return nullptr;
    if (receives_from_host_) {
      EISBACH_ASSIGN_OR_RETURN(const bool come, receives_.front().Test());
      if (!come) return nullptr;
      receives_.pop_front();
    }
    EISBACH_ASSIGN_OR_RETURN(const Tensor chunk, Chunk(shared_));
    if (sends_to_host_) {
      EISBACH_RETURN_IF_ERROR(sends_.emplace_back(context_.group.comm)
                                  .Send(chunk.raw(), Bytes(chunk),
                                        context_.Peer(HostAfter(1)), kTagMove));
    }
    return context_.inside->Broadcast(chunk, root_place_);
  }

  const HostsContext context_;
  const Tensor inout_;  // bytes
  const int root_host_;
  const int root_place_;
  const int64_t chunks_;
  bool receives_from_host_ = false;
  bool sends_to_host_ = false;
  int64_t posted_ = 0;
  int64_t shared_ = 0;             // chunks that the ranks of this host have
  std::deque<Requests> receives_;  // chunks [shared_, posted_)
  std::deque<Requests> sends_;
  std::unique_ptr<Task> inside_;
};

}  // namespace

bool GoesByHosts(int64_t bytes) {
  constexpr int64_t kLeastBytes = 64 << 10;
  return bytes >= kLeastBytes;
}

std::unique_ptr<Task> MakeHierarchicalAllGather(const HostsContext& context,
                                                const Tensor& in,
                                                const Tensor& out) {
  return std::make_unique<HostsAllGatherTask>(context, *BytesOf(in),
                                              *BytesOf(out));
}

std::unique_ptr<Task> MakeHierarchicalBroadcast(const HostsContext& context,
                                                const Tensor& inout, int root) {
  return std::make_unique<HostsBroadcastTask>(context, *BytesOf(inout), root);
}

}  // namespace eisbach::comm
