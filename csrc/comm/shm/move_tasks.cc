#include <algorithm>

#include "comm/shm/shm_task.h"

namespace eisbach::comm {
namespace {

int64_t Bytes(const Tensor& tensor) {
  return static_cast<int64_t>(tensor.bytes());
}

// Copies between ranks and computes nothing. Each rank takes one piece of the
// input of each that has one for it.
class MoveTask : public ShmTask {
 public:
  MoveTask(const ShmCall& call, const Call& shown, const Tensor& in,
           const Tensor& out)
      : ShmTask(call.group, call.index, shown),
        in_(in.Detach()),
        out_(out.Detach()),
        whole_(std::max(Bytes(in), Bytes(out))),
        taken_(size()) {}

 protected:
  // A range of the input of `from`, and where it goes here.
  struct Piece {
    int64_t begin = 0;
    int64_t bytes = 0;
    char* to = nullptr;
  };
  virtual Piece PieceFrom(int from) const = 0;

  char* In() const { return static_cast<char*>(in_.raw()); }
  char* Out() const { return static_cast<char*>(out_.raw()); }

  bool WorkInPlace() final {
    int64_t budget = kBytesAPoll;
    while (step_ < size() && budget > 0) {
      const int from = (rank() + step_) % size();
      const Piece piece = PieceFrom(from);
      int64_t& at = taken_[from];
      const int64_t n = std::min(budget, piece.bytes - at);
      if (n > 0) {
        const char* source = from == rank() ? In() : Input(from);
        Copy(piece.to + at, source + piece.begin + at, n, whole_);
        at += n;
        budget -= n;
      }
      if (at == piece.bytes) ++step_;
    }
    return step_ == size();
  }

  // What this rank has for itself, in the first round of a staged call.
  void CopyOwn() const {
    const Piece piece = PieceFrom(rank());
    Copy(piece.to, In() + piece.begin, piece.bytes, whole_);
  }

  const Tensor in_;
  const Tensor out_;

  const int64_t whole_;  // bytes

 private:
  int step_ = 0;
  std::vector<int64_t> taken_;
};

// All-gather and broadcast: some ranks show their whole input to everyone.
class ShareTask final : public MoveTask {
 public:
  // `root` is the rank that speaks; -1 when all do.
  ShareTask(const ShmCall& call, const Call& shown, const Tensor& in,
            const Tensor& out, int root)
      : MoveTask(call, shown, in, out),
        root_(root),
        eager_(Bytes(in) <= kEagerBytes),
        chunk_(group().layout().slot_bytes()) {}

 private:
  bool Speaks(int member) const { return root_ < 0 || member == root_; }
  const void* EagerInput() const override {
    if (!eager_) return nullptr;
    return in_.raw() != nullptr ? in_.raw() : "";
  }
  int64_t EagerBytes() const override {
    return eager_ && Speaks(rank()) ? Bytes(in_) : 0;
  }
  bool Reachable(int member, const Call& call) const override {
    return !Speaks(member) || call.in != kPrivate;
  }
  Piece PieceFrom(int from) const override {
    if (root_ < 0) return {0, Bytes(in_), Out() + from * Bytes(in_)};
    if (from != root_ || rank() == root_) return {};
    return {0, Bytes(in_), Out()};
  }
  int64_t Rounds() const override { return (Bytes(in_) + chunk_ - 1) / chunk_; }
  int64_t ChunkBytes(int64_t round) const {
    return std::min(chunk_, Bytes(in_) - round * chunk_);
  }
  void Stage(int64_t round) override {
    if (round == 0) CopyOwn();
    if (!Speaks(rank())) return;
    Copy(Part(rank(), 0, round), In() + round * chunk_, ChunkBytes(round),
         whole_);
  }
  void Combine(int64_t round) override {
    for (int step = 1; step < size(); ++step) {
      const int from = (rank() + step) % size();
      const Piece piece = PieceFrom(from);
      if (piece.bytes == 0) continue;
      Copy(piece.to + round * chunk_, Part(from, 0, round), ChunkBytes(round),
           whole_);
    }
  }

  const int root_;
  const bool eager_;
  const int64_t chunk_;
};

// Each rank has a piece of its own for each other.
class AllToAllVTask final : public MoveTask {
 public:
  AllToAllVTask(const ShmCall& call, const Call& shown, const Tensor& in,
                absl::Span<const int64_t> send_counts, const Tensor& out,
                absl::Span<const int64_t> receive_counts)
      : MoveTask(call, shown, in, out),
        element_bytes_(SizeOf(in.dtype())),
        chunk_(group().layout().part_bytes()),
        send_counts_(send_counts.begin(), send_counts.end()),
        receive_counts_(receive_counts.begin(), receive_counts.end()) {}

 private:
  // What `member` sends to rank i.
  int64_t SendCount(int member, int i) const { return Counts(member)[i]; }
  int64_t* Counts(int member) const {
    return group().layout().counts(group().block(member), index());
  }

  void Show() override {
    int64_t* counts = Counts(rank());
    std::copy(send_counts_.begin(), send_counts_.end(), counts);
    std::copy(receive_counts_.begin(), receive_counts_.end(), counts + size());
  }
  absl::Status Met() override {
    std::vector<int64_t> all;
    for (int from = 0; from < size(); ++from) {
      all.insert(all.end(), Counts(from), Counts(from) + 2 * size());
      for (int to = 0; to < size(); ++to) {
        if (from == to) continue;
        longest_ = std::max(longest_, SendCount(from, to) * element_bytes_);
      }
    }
    const std::string text = CountDisagreement(all, size());
    return text.empty() ? absl::OkStatus() : absl::InvalidArgumentError(text);
  }
  bool Reachable(int, const Call& call) const override {
    return call.in != kPrivate;
  }

  // The range of the input of `from` that is for `to`.
  Piece PieceOf(int from, int to) const {
    int64_t before = 0;
    for (int i = 0; i < to; ++i) before += SendCount(from, i);
    return {before * element_bytes_, SendCount(from, to) * element_bytes_};
  }
  Piece PieceFrom(int from) const override {
    Piece piece = PieceOf(from, rank());
    int64_t before = 0;
    for (int i = 0; i < from; ++i) before += receive_counts_[i];
    piece.to = Out() + before * element_bytes_;
    return piece;
  }

  int64_t Rounds() const override { return (longest_ + chunk_ - 1) / chunk_; }
  int64_t ChunkBytes(const Piece& piece, int64_t round) const {
    return std::clamp<int64_t>(piece.bytes - round * chunk_, 0, chunk_);
  }
  void Stage(int64_t round) override {
    if (round == 0) CopyOwn();
    for (int step = 1; step < size(); ++step) {
      const int to = (rank() + step) % size();
      const Piece piece = PieceOf(rank(), to);
      Copy(Part(rank(), to, round), In() + piece.begin + round * chunk_,
           ChunkBytes(piece, round), whole_);
    }
  }
  void Combine(int64_t round) override {
    for (int step = 1; step < size(); ++step) {
      const int from = (rank() + step) % size();
      const Piece piece = PieceFrom(from);
      Copy(piece.to + round * chunk_, Part(from, rank(), round),
           ChunkBytes(piece, round), whole_);
    }
  }

  const int64_t element_bytes_;
  const int64_t chunk_;
  const std::vector<int64_t> send_counts_;
  const std::vector<int64_t> receive_counts_;
  int64_t longest_ = 0;  // bytes between two ranks
};

class BarrierTask final : public ShmTask {
 public:
  explicit BarrierTask(const ShmCall& call)
      : ShmTask(call.group, call.index,
                {.shape = {.kind = CallKind::kBarrier}}) {}

 private:
  const void* EagerInput() const override { return ""; }
  bool Reachable(int, const Call&) const override { return true; }
  bool WorkInPlace() override { return true; }
};

Call Shown(const ShmCall& call, CallKind kind, const Tensor& in) {
  return {
      .shape = {.kind = kind, .dtype = in.dtype(), .elements = in.elements()},
      .in = call.group->OffsetOf(in.raw())};
}

}  // namespace

std::unique_ptr<Task> MakeShmAllGather(const ShmCall& call, CallKind kind,
                                       const Tensor& in, const Tensor& out) {
  return std::make_unique<ShareTask>(call, Shown(call, kind, in), in, out, -1);
}

std::unique_ptr<Task> MakeShmBroadcast(const ShmCall& call, const Tensor& inout,
                                       int root) {
  Call shown = Shown(call, CallKind::kBroadcast, inout);
  shown.shape.root = root;
  return std::make_unique<ShareTask>(call, shown, inout, inout, root);
}

std::unique_ptr<Task> MakeShmAllToAllV(
    const ShmCall& call, const Tensor& in,
    absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts) {
  Call shown = Shown(call, CallKind::kAllToAll, in);
  shown.shape.elements = 0;  // differ between ranks
  return std::make_unique<AllToAllVTask>(call, shown, in, send_counts, out,
                                         receive_counts);
}

std::unique_ptr<Task> MakeShmBarrier(const ShmCall& call) {
  return std::make_unique<BarrierTask>(call);
}

}  // namespace eisbach::comm
