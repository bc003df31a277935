#include <algorithm>
#include <cstring>

#include "absl/container/inlined_vector.h"
#include "comm/reduction.h"
#include "comm/shm/shm_task.h"

namespace eisbach::comm {
namespace {

// What ranks read of one another in one step of a direct reduction, in all:
// it is written again right after, while it is in the first-level cache.
constexpr int64_t kStepBytes = 16 << 10;

// Of each rank.
using Slices = absl::InlinedVector<Slice, 8>;

// Each rank reduces its slice of everybody's data, in rank order. For an
// all-reduce it then writes the result into everybody's memory (direct), or
// shows it to them (staged); a small tensor is reduced by everyone.
class ReduceTask final : public ShmTask {
 public:
  // `slices` are ranges of `in`; the reduction of mine goes to `out`. With
  // `gather`, `out` is `in` itself.
  ReduceTask(const ShmCall& call, const Call& shown, const Tensor& in,
             const Tensor& out, Slices slices, bool gather)
      : ShmTask(call.group, call.index, shown),
        in_(in.Detach()),
        out_(out.Detach()),
        slices_(std::move(slices)),
        gather_(gather),
        eager_(static_cast<int64_t>(in.bytes()) <= kEagerBytes),
        element_bytes_(SizeOf(in.dtype())),
        mine_(slices_[call.group->rank()]),
        out_base_(gather ? 0 : -mine_.begin) {
    if (gather && eager_) mine_ = {0, in.elements()};
    at_ = mine_.begin;
    step_ = std::max<int64_t>(
        kStepBytes / size() / element_bytes_ & ~int64_t{63}, 64);
    chunk_ = group().layout().part_bytes() / element_bytes_;
  }

 private:
  const void* EagerInput() const override {
    return eager_ ? Kept(in_.raw()) : nullptr;
  }
  int64_t EagerBytes() const override {
    return eager_ ? static_cast<int64_t>(in_.bytes()) : 0;
  }
  // A tensor without elements has no address.
  static const void* Kept(const void* data) { return data ? data : ""; }

  bool Reachable(int, const Call& call) const override {
    return call.in != kPrivate;
  }

  bool WorkInPlace() override {
    int64_t budget = kBytesAPoll;
    const bool spread = gather_ && way() == Way::kDirect;
    while (at_ < mine_.end && budget > 0) {
      const int64_t n = std::min(step_, mine_.end - at_);
      const int64_t offset = at_ * element_bytes_;
      inputs_.clear();
      for (int member = 0; member < size(); ++member) {
        inputs_.push_back(Input(member) + offset);
      }
      outputs_.assign(1, Out(at_));
      for (int member = 0; spread && member < size(); ++member) {
        if (member == rank()) continue;
        outputs_.push_back(const_cast<char*>(Input(member)) + offset);
      }
      cpu::ReduceInOrder(in_.dtype(), ToReduction(call_.shape.op), inputs_,
                         outputs_, n);
      at_ += n;
      budget -= n * size() * element_bytes_;
    }
    return at_ == mine_.end;
  }

  int64_t Rounds() const override {
    int64_t longest = 0;
    for (const Slice& slice : slices_) {
      longest = std::max(longest, slice.elements());
    }
    return (longest + chunk_ - 1) / chunk_;
  }
  bool Collects() const override { return gather_; }

  void Stage(int64_t round) override {
    for (int step = 1; step < size(); ++step) {
      const int to = (rank() + step) % size();
      const Slice chunk = Chunk(to, round);
      if (chunk.elements() == 0) continue;
      Copy(Part(rank(), to, round), In(chunk.begin),
           chunk.elements() * element_bytes_, in_.bytes());
    }
  }

  void Combine(int64_t round) override {
    const Slice chunk = Chunk(rank(), round);
    if (chunk.elements() == 0) return;
    for (int64_t at = chunk.begin; at < chunk.end; at += step_) {
      const int64_t n = std::min(step_, chunk.end - at);
      const int64_t offset = (at - chunk.begin) * element_bytes_;
      inputs_.clear();
      for (int member = 0; member < size(); ++member) {
        inputs_.push_back(
            member == rank() ? In(at) : Part(member, rank(), round) + offset);
      }
      outputs_.assign(1, Out(at));
      if (gather_) outputs_.push_back(Result(rank(), round) + offset);
      cpu::ReduceInOrder(in_.dtype(), ToReduction(call_.shape.op), inputs_,
                         outputs_, n);
    }
  }

  void Collect(int64_t round) override {
    for (int step = 1; step < size(); ++step) {
      const int from = (rank() + step) % size();
      const Slice chunk = Chunk(from, round);
      if (chunk.elements() == 0) continue;
      std::memcpy(In(chunk.begin), Result(from, round),
                  chunk.elements() * element_bytes_);
    }
  }

  Slice Chunk(int owner, int64_t round) const {
    const Slice& slice = slices_[owner];
    const int64_t begin = std::min(slice.begin + round * chunk_, slice.end);
    return {begin, std::min(begin + chunk_, slice.end)};
  }
  char* In(int64_t element) const {
    return static_cast<char*>(in_.raw()) + element * element_bytes_;
  }
  // Where the reduction of an element of `in` goes on this rank.
  char* Out(int64_t element) const {
    return static_cast<char*>(out_.raw()) +
           (element + out_base_) * element_bytes_;
  }

  const Tensor in_;
  const Tensor out_;
  const Slices slices_;
  const bool gather_;
  const bool eager_;
  const int64_t element_bytes_;
  Slice mine_;
  const int64_t out_base_;
  int64_t at_ = 0;
  int64_t step_ = 0;   // elements
  int64_t chunk_ = 0;  // elements
  absl::InlinedVector<const void*, 8> inputs_;
  absl::InlinedVector<void*, 8> outputs_;
};

Call Shown(const ShmCall& call, CallKind kind, const Tensor& in, ReduceOp op) {
  return {.shape = {.kind = kind,
                    .dtype = in.dtype(),
                    .op = op,
                    .elements = in.elements()},
          .in = call.group->OffsetOf(in.raw())};
}

}  // namespace

std::unique_ptr<Task> MakeShmAllReduce(const ShmCall& call, const Tensor& inout,
                                       ReduceOp op) {
  Slices slices;
  for (int rank = 0; rank < call.group->size(); ++rank) {
    slices.push_back(SliceOf(inout.elements(), rank, call.group->size()));
  }
  return std::make_unique<ReduceTask>(
      call, Shown(call, CallKind::kAllReduce, inout, op), inout, inout,
      std::move(slices), /*gather=*/true);
}

std::unique_ptr<Task> MakeShmReduceScatter(const ShmCall& call,
                                           const Tensor& in, const Tensor& out,
                                           ReduceOp op) {
  Slices slices;
  for (int64_t rank = 0; rank < call.group->size(); ++rank) {
    slices.push_back({rank * out.elements(), (rank + 1) * out.elements()});
  }
  return std::make_unique<ReduceTask>(
      call, Shown(call, CallKind::kReduceScatter, in, op), in, out,
      std::move(slices), /*gather=*/false);
}

}  // namespace eisbach::comm
