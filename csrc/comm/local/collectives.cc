#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "comm/local/collective_task.h"
#include "comm/reduction.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// A cursor over the bytes that a task has to move.
class Cursor {
 public:
  explicit Cursor(int64_t end = 0) : end_(end) {}
  bool done() const { return at_ >= end_; }
  int64_t at() const { return at_; }
  int64_t Take(int64_t most) {
    const int64_t n = std::min(most, end_ - at_);
    at_ += n;
    return n;
  }

 private:
  int64_t at_ = 0;
  int64_t end_;
};

class TensorTask : public CollectiveTask {
 public:
  TensorTask(const CallContext& context, CallKind kind, Tensor in, Tensor out)
      : CollectiveTask(context.group, context.rank, context.index),
        in_(in.Detach()),
        out_(out.Detach()) {
    call_.shape.kind = kind;
    call_.shape.dtype = in_.dtype();
    call_.shape.elements = in_.elements();
    call_.in = static_cast<const char*>(in_.raw());
    call_.out = static_cast<char*>(out_.raw());
    call_.eager = Bytes(in_) <= kLocalEagerBytes;
  }

 protected:
  // Copies up to `bytes` from cursor-relative memory of another rank.
  static void Copy(char* to, const char* from, int64_t bytes) {
    if (bytes > 0 && to != from) std::memmove(to, from, bytes);
  }
  int64_t element_bytes() const { return SizeOf(in_.dtype()); }

  // Reduces `elements` of everybody's input from `first` on.
  void ReduceInputs(int64_t first, int64_t elements, void* to) {
    inputs_.clear();
    for (const LocalCall& call : calls()) {
      inputs_.push_back(call.in + first * element_bytes());
    }
    cpu::ReduceInOrder(in_.dtype(), ToReduction(call_.shape.op), inputs_, to,
                       elements);
  }
  // Elements of one step of a reduction: what all ranks read stays in cache.
  int64_t ReduceStep() const {
    return std::max<int64_t>(64, (64 << 10) / size() / element_bytes() & ~63);
  }

  const Tensor in_;
  const Tensor out_;

 private:
  std::vector<const void*> inputs_;
};

// Each rank reduces its slice from everybody's memory, in rank order, and
// writes the result into everybody's. Nobody else touches that slice. A small
// tensor is reduced by everyone from the copies in the group.
class AllReduceTask final : public TensorTask {
 public:
  AllReduceTask(const CallContext& context, const Tensor& inout, ReduceOp op)
      : TensorTask(context, CallKind::kAllReduce, inout, inout) {
    call_.shape.op = op;
    slice_ = call_.eager ? Slice{0, inout.elements()}
                         : SliceOf(inout.elements(), rank(), size());
    cursor_ = Cursor(slice_.elements());
  }

  absl::StatusOr<bool> Work() override {
    int64_t budget = kBytesAPoll / element_bytes();
    while (!cursor_.done() && budget > 0) {
      const int64_t first = slice_.begin + cursor_.at();
      const int64_t n = cursor_.Take(ReduceStep());
      const int64_t offset = first * element_bytes();
      ReduceInputs(first, n, call_.out + offset);
      if (!call_.eager) {
        for (const LocalCall& call : calls()) {
          Copy(call.out + offset, call_.out + offset, n * element_bytes());
        }
      }
      budget -= n * size();
    }
    return cursor_.done();
  }

 private:
  Slice slice_;
  Cursor cursor_;
};

class ReduceScatterTask final : public TensorTask {
 public:
  ReduceScatterTask(const CallContext& context, const Tensor& in,
                    const Tensor& out, ReduceOp op)
      : TensorTask(context, CallKind::kReduceScatter, in, out),
        cursor_(out.elements()) {
    call_.shape.op = op;
  }

  absl::StatusOr<bool> Work() override {
    int64_t budget = kBytesAPoll / element_bytes();
    while (!cursor_.done() && budget > 0) {
      const int64_t at = cursor_.at();
      const int64_t n = cursor_.Take(ReduceStep());
      ReduceInputs(rank() * out_.elements() + at, n,
                   call_.out + at * element_bytes());
      budget -= n * size();
    }
    return cursor_.done();
  }

 private:
  Cursor cursor_;
};

class AllGatherTask final : public TensorTask {
 public:
  AllGatherTask(const CallContext& context, const Tensor& in, const Tensor& out)
      : TensorTask(context, CallKind::kAllGather, in, out),
        cursor_(Bytes(in)) {}

  absl::StatusOr<bool> Work() override {
    while (turn_ < size()) {
      // Start with the next rank: not everyone reads from the same.
      const int from = (rank() + turn_) % size();
      const int64_t at = cursor_.at();
      const int64_t n = cursor_.Take(kBytesAPoll);
      Copy(call_.out + from * Bytes(in_) + at, calls()[from].in + at, n);
      if (!cursor_.done()) return false;
      cursor_ = Cursor(Bytes(in_));
      ++turn_;
      if (n == kBytesAPoll) return turn_ == size();
    }
    return true;
  }

 private:
  int turn_ = 0;
  Cursor cursor_;
};

class BroadcastTask final : public TensorTask {
 public:
  BroadcastTask(const CallContext& context, const Tensor& inout, int root)
      : TensorTask(context, CallKind::kBroadcast, inout, inout),
        cursor_(context.rank == root ? 0 : Bytes(inout)) {
    call_.shape.root = root;
    if (context.rank != root) call_.in = nullptr;  // nobody reads it
  }

  absl::StatusOr<bool> Work() override {
    const int64_t at = cursor_.at();
    const int64_t n = cursor_.Take(kBytesAPoll);
    if (n > 0) Copy(call_.out + at, calls()[call_.shape.root].in + at, n);
    return cursor_.done();
  }

 private:
  Cursor cursor_;
};

class AllToAllVTask final : public TensorTask {
 public:
  AllToAllVTask(const CallContext& context, const Tensor& in,
                absl::Span<const int64_t> send_counts, const Tensor& out,
                absl::Span<const int64_t> receive_counts)
      : TensorTask(context, CallKind::kAllToAll, in, out),
        send_counts_(send_counts.begin(), send_counts.end()),
        receive_counts_(receive_counts.begin(), receive_counts.end()) {
    call_.eager = false;
    call_.shape.elements = 0;  // differ between ranks
    call_.send_counts = send_counts_;
  }

  absl::StatusOr<bool> Work() override {
    int64_t budget = kBytesAPoll;
    while (from_ < size() && budget > 0) {
      const LocalCall& theirs = calls()[from_];
      if (!started_) EISBACH_RETURN_IF_ERROR(Start(theirs));
      const int64_t at = cursor_.at();
      const int64_t n = cursor_.Take(budget);
      Copy(call_.out + to_offset_ + at, theirs.in + from_offset_ + at, n);
      budget -= n;
      if (!cursor_.done()) continue;
      to_offset_ += receive_counts_[from_] * element_bytes();
      ++from_;
      started_ = false;
    }
    return from_ == size();
  }

 private:
  absl::Status Start(const LocalCall& theirs) {
    const int64_t expected = receive_counts_[from_];
    if (theirs.send_counts[rank()] != expected) {
      return absl::InvalidArgumentError(absl::StrCat(
          "all_to_all: rank ", from_, " sends ", theirs.send_counts[rank()],
          " elements to rank ", rank(), ", which expects ", expected));
    }
    from_offset_ = 0;
    for (int i = 0; i < rank(); ++i) from_offset_ += theirs.send_counts[i];
    from_offset_ *= element_bytes();
    cursor_ = Cursor(expected * element_bytes());
    started_ = true;
    return absl::OkStatus();
  }

  const std::vector<int64_t> send_counts_;
  const std::vector<int64_t> receive_counts_;
  int from_ = 0;
  bool started_ = false;
  int64_t from_offset_ = 0;  // bytes
  int64_t to_offset_ = 0;
  Cursor cursor_;
};

class BarrierTask final : public CollectiveTask {
 public:
  explicit BarrierTask(const CallContext& context)
      : CollectiveTask(context.group, context.rank, context.index) {
    call_.shape.kind = CallKind::kBarrier;
    call_.eager = true;
  }
  absl::StatusOr<bool> Work() override { return true; }
};

class SplitTask final : public CollectiveTask {
 public:
  SplitTask(const CallContext& context, int color, int key, SplitResult* result)
      : CollectiveTask(context.group, context.rank, context.index),
        result_(result) {
    call_.shape.kind = CallKind::kSplit;
    call_.color = color;
    call_.key = key;
    call_.eager = true;
  }

  absl::StatusOr<bool> Work() override {
    if (call_.color < 0) return true;
    std::vector<int> members;
    for (int peer = 0; peer < size(); ++peer) {
      if (calls()[peer].color == call_.color) members.push_back(peer);
    }
    std::stable_sort(members.begin(), members.end(), [&](int a, int b) {
      return calls()[a].key < calls()[b].key;
    });
    result_->rank = static_cast<int>(
        std::find(members.begin(), members.end(), rank()) - members.begin());
    result_->group = group().Subgroup(index(), call_.color, members);
    return true;
  }

 private:
  SplitResult* const result_;
};

}  // namespace

std::unique_ptr<Task> MakeAllReduce(const CallContext& context,
                                    const Tensor& inout, ReduceOp op) {
  return std::make_unique<AllReduceTask>(context, inout, op);
}

std::unique_ptr<Task> MakeAllGather(const CallContext& context,
                                    const Tensor& in, const Tensor& out) {
  return std::make_unique<AllGatherTask>(context, in, out);
}

std::unique_ptr<Task> MakeReduceScatter(const CallContext& context,
                                        const Tensor& in, const Tensor& out,
                                        ReduceOp op) {
  return std::make_unique<ReduceScatterTask>(context, in, out, op);
}

std::unique_ptr<Task> MakeBroadcast(const CallContext& context,
                                    const Tensor& inout, int root) {
  return std::make_unique<BroadcastTask>(context, inout, root);
}

std::unique_ptr<Task> MakeAllToAllV(const CallContext& context,
                                    const Tensor& in,
                                    absl::Span<const int64_t> send_counts,
                                    const Tensor& out,
                                    absl::Span<const int64_t> receive_counts) {
  return std::make_unique<AllToAllVTask>(context, in, send_counts, out,
                                         receive_counts);
}

std::unique_ptr<Task> MakeBarrier(const CallContext& context) {
  return std::make_unique<BarrierTask>(context);
}

std::unique_ptr<Task> MakeSplit(const CallContext& context, int color, int key,
                                SplitResult* result) {
  return std::make_unique<SplitTask>(context, color, key, result);
}

}  // namespace eisbach::comm
