#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "comm/mpi/mpi_tasks.h"
#include "comm/mpi/requests.h"
#include "comm/reduction.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// A tensor up to this size is sent to everyone whole and reduced everywhere:
// one message time instead of two.
constexpr int64_t kWholeBytes = 32 << 10;
constexpr int64_t kWholeTotalBytes = 1 << 20;
// Otherwise slices travel in chunks of at most this size, two at a time.
constexpr int64_t kChunkBytes = 256 << 10;
constexpr int64_t kScratchBytes = 16 << 20;
constexpr int kInFlight = 2;

bool SendWhole(int64_t bytes, int size) {
  return bytes <= kWholeBytes && bytes * size <= kWholeTotalBytes;
}

int64_t ChunkElements(int64_t slice, DType dtype, int size) {
  const int64_t bytes = std::clamp<int64_t>(kScratchBytes / (kInFlight * size),
                                            4096, kChunkBytes);
  return std::min<int64_t>(std::max<int64_t>(slice, 1), bytes / SizeOf(dtype));
}

class WholeAllReduceTask final : public Task {
 public:
  WholeAllReduceTask(const MpiContext& context, const Tensor& inout,
                     ReduceOp op, const Tensor& scratch)
      : context_(context),
        inout_(inout.Detach()),
        op_(op),
        scratch_(scratch),
        requests_(context.comm) {}

  absl::StatusOr<Step> Poll() override {
    if (inout_.bytes() == 0) return Step::kDone;
    const bool first = !started_;
    if (first) {
      started_ = true;
      EISBACH_RETURN_IF_ERROR(Start());
    }
    EISBACH_ASSIGN_OR_RETURN(const bool done, requests_.Test());
    if (!done) return first ? Step::kMoved : Step::kIdle;
    std::vector<const void*> inputs;
    for (int peer = 0; peer < context_.size; ++peer) {
      inputs.push_back(peer == context_.rank ? inout_.raw() : Place(peer));
    }
    cpu::ReduceInOrder(inout_.dtype(), ToReduction(op_), inputs, inout_.raw(),
                       inout_.elements());
    return Step::kDone;
  }

 private:
  char* Place(int peer) const {
    return static_cast<char*>(scratch_.raw()) + peer * inout_.bytes();
  }
  absl::Status Start() {
    const int n = context_.size;
    for (int step = 1; step < n; ++step) {
      const int from = (context_.rank + step) % n;
      EISBACH_RETURN_IF_ERROR(
          requests_.Receive(Place(from), Bytes(inout_), from, kTagScatter));
    }
    for (int step = 1; step < n; ++step) {
      const int to = (context_.rank + n - step) % n;
      EISBACH_RETURN_IF_ERROR(
          requests_.Send(inout_.raw(), Bytes(inout_), to, kTagScatter));
    }
    return absl::OkStatus();
  }

  const MpiContext context_;
  const Tensor inout_;
  const ReduceOp op_;
  const Tensor scratch_;
  Requests requests_;
  bool started_ = false;
};

// Every rank sends each other rank its part of that rank's slice, chunk by
// chunk, and reduces its own slice in rank order as the chunks come. For an
// all-reduce it then sends the reduced chunk to everyone.
class SlicedReduceTask final : public Task {
 public:
  // `slices` are ranges of `in`; the reduction of mine goes to `out`. With
  // `gather`, `out` is my slice of `in`.
  SlicedReduceTask(const MpiContext& context, const Tensor& in,
                   std::vector<Slice> slices, char* out, bool gather,
                   ReduceOp op, const Tensor& scratch,
                   std::vector<Tensor> owned)
      : context_(context),
        in_(in.Detach()),
        slices_(std::move(slices)),
        out_(out),
        gather_(gather),
        op_(op),
        scratch_(scratch),
        owned_(std::move(owned)),
        element_bytes_(SizeOf(in.dtype())) {
    int64_t longest = 0;
    for (const Slice& slice : slices_) {
      longest = std::max(longest, slice.elements());
    }
    chunk_ = ChunkElements(longest, in.dtype(), context.size);
    rounds_ = (longest + chunk_ - 1) / chunk_;
  }

  absl::StatusOr<Step> Poll() override {
    bool moved = false;
    while (posted_ < rounds_ && posted_ < reduced_ + kInFlight &&
           gathers_.size() < kMostGathers) {
      EISBACH_RETURN_IF_ERROR(PostScatter(posted_++));
      moved = true;
    }
    if (!scatters_.empty()) {
      EISBACH_ASSIGN_OR_RETURN(const bool come, scatters_.front().Test());
      if (come) {
        scatters_.pop_front();
        Reduce(reduced_);
        if (gather_) EISBACH_RETURN_IF_ERROR(PostGather(reduced_));
        ++reduced_;
        moved = true;
      }
    }
    while (!gathers_.empty()) {
      EISBACH_ASSIGN_OR_RETURN(const bool come, gathers_.front().Test());
      if (!come) break;
      gathers_.pop_front();
      moved = true;
    }
    if (reduced_ == rounds_ && gathers_.empty()) return Step::kDone;
    return moved ? Step::kMoved : Step::kIdle;
  }

 private:
  static constexpr size_t kMostGathers = 4;

  // Chunk `round` of `owner`'s slice, as a range of `in`.
  Slice Chunk(int owner, int64_t round) const {
    const Slice& slice = slices_[owner];
    const int64_t begin = std::min(slice.begin + round * chunk_, slice.end);
    return {begin, std::min(begin + chunk_, slice.end)};
  }
  char* At(int64_t element) const {
    return static_cast<char*>(in_.raw()) + element * element_bytes_;
  }
  char* Place(int64_t round, int peer) const {
    return static_cast<char*>(scratch_.raw()) +
           ((round % kInFlight) * context_.size + peer) * chunk_ *
               element_bytes_;
  }

  absl::Status PostScatter(int64_t round) {
    Requests& requests = scatters_.emplace_back(context_.comm);
    const int n = context_.size;
    const int64_t mine =
        Chunk(context_.rank, round).elements() * element_bytes_;
    for (int step = 1; step < n && mine > 0; ++step) {
      const int from = (context_.rank + step) % n;
      EISBACH_RETURN_IF_ERROR(
          requests.Receive(Place(round, from), mine, from, kTagScatter));
    }
    for (int step = 1; step < n; ++step) {
      const int to = (context_.rank + n - step) % n;
      const Slice chunk = Chunk(to, round);
      if (chunk.elements() == 0) continue;
      EISBACH_RETURN_IF_ERROR(requests.Send(
          At(chunk.begin), chunk.elements() * element_bytes_, to, kTagScatter));
    }
    return absl::OkStatus();
  }

  char* Out(int64_t round) const {
    return out_ + round * chunk_ * element_bytes_;
  }

  void Reduce(int64_t round) {
    const Slice chunk = Chunk(context_.rank, round);
    if (chunk.elements() == 0) return;
    inputs_.clear();
    for (int peer = 0; peer < context_.size; ++peer) {
      inputs_.push_back(peer == context_.rank ? At(chunk.begin)
                                              : Place(round, peer));
    }
    cpu::ReduceInOrder(in_.dtype(), ToReduction(op_), inputs_, Out(round),
                       chunk.elements());
  }

  absl::Status PostGather(int64_t round) {
    Requests& requests = gathers_.emplace_back(context_.comm);
    const int n = context_.size;
    for (int step = 1; step < n; ++step) {
      const int from = (context_.rank + step) % n;
      const Slice chunk = Chunk(from, round);
      if (chunk.elements() == 0) continue;
      EISBACH_RETURN_IF_ERROR(
          requests.Receive(At(chunk.begin), chunk.elements() * element_bytes_,
                           from, kTagGather));
    }
    const int64_t mine =
        Chunk(context_.rank, round).elements() * element_bytes_;
    for (int step = 1; step < n && mine > 0; ++step) {
      const int to = (context_.rank + n - step) % n;
      EISBACH_RETURN_IF_ERROR(requests.Send(Out(round), mine, to, kTagGather));
    }
    return absl::OkStatus();
  }

  const MpiContext context_;
  const Tensor in_;
  const std::vector<Slice> slices_;
  char* const out_;
  const bool gather_;
  const ReduceOp op_;
  const Tensor scratch_;
  const std::vector<Tensor> owned_;
  const int64_t element_bytes_;
  int64_t chunk_ = 1;  // elements
  int64_t rounds_ = 0;
  int64_t posted_ = 0;
  int64_t reduced_ = 0;
  std::deque<Requests> scatters_;  // rounds [reduced_, posted_)
  std::deque<Requests> gathers_;
  std::vector<const void*> inputs_;
};

int64_t SlicedScratchBytes(int64_t slice, DType dtype, int size) {
  return kInFlight * size * ChunkElements(slice, dtype, size) * SizeOf(dtype);
}

int64_t LongestSlice(int64_t elements, int size) {
  int64_t longest = 0;
  for (int rank = 0; rank < size; ++rank) {
    longest = std::max(longest, SliceOf(elements, rank, size).elements());
  }
  return longest;
}

}  // namespace

int64_t AllReduceScratchBytes(int64_t elements, DType dtype, int size) {
  const int64_t bytes = elements * SizeOf(dtype);
  return SendWhole(bytes, size)
             ? bytes * size
             : SlicedScratchBytes(LongestSlice(elements, size), dtype, size);
}

int64_t ReduceScatterScratchBytes(int64_t piece, DType dtype, int size) {
  return SlicedScratchBytes(piece, dtype, size);
}

std::unique_ptr<Task> MakeMpiAllReduce(const MpiContext& context,
                                       const Tensor& inout, ReduceOp op,
                                       const Tensor& scratch) {
  if (SendWhole(Bytes(inout), context.size)) {
    return std::make_unique<WholeAllReduceTask>(context, inout, op, scratch);
  }
  std::vector<Slice> slices;
  for (int rank = 0; rank < context.size; ++rank) {
    slices.push_back(SliceOf(inout.elements(), rank, context.size));
  }
  char* out = static_cast<char*>(inout.raw()) +
              slices[context.rank].begin * SizeOf(inout.dtype());
  return std::make_unique<SlicedReduceTask>(context, inout, std::move(slices),
                                            out, /*gather=*/true, op, scratch,
                                            std::vector<Tensor>());
}

std::unique_ptr<Task> MakeMpiReduceScatter(const MpiContext& context,
                                           const Tensor& in, const Tensor& out,
                                           ReduceOp op, const Tensor& scratch) {
  std::vector<Slice> slices;
  for (int rank = 0; rank < context.size; ++rank) {
    slices.push_back({rank * out.elements(), (rank + 1) * out.elements()});
  }
  return std::make_unique<SlicedReduceTask>(
      context, in, std::move(slices), static_cast<char*>(out.raw()),
      /*gather=*/false, op, scratch, std::vector<Tensor>{out.Detach()});
}

}  // namespace eisbach::comm
