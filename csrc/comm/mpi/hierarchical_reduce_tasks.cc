#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "comm/mpi/hierarchical_tasks.h"
#include "comm/mpi/host_chain.h"
#include "comm/mpi/requests.h"
#include "comm/reduction.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

char* At(const Tensor& tensor, int64_t bytes) {
  return static_cast<char*>(tensor.raw()) + bytes;
}

// Everyone gets everybody's data, from the peers and then from the ranks of the
// host, and reduces it alone.
class GatherAndReduceTask final : public Task {
 public:
  GatherAndReduceTask(const HostsContext& context, const Tensor& inout,
                      ReduceOp op, const Tensor& scratch)
      : context_(context),
        inout_(inout.Detach()),
        op_(op),
        scratch_(scratch),
        requests_(context.group.comm) {}

  static int64_t ScratchBytes(const HostsContext& context, int64_t bytes) {
    return context.blocks.hosts * bytes + context.group.size * bytes;
  }

  absl::StatusOr<Step> Poll() override {
    if (inout_.bytes() == 0) return Step::kDone;
    const bool first = !started_;
    if (first) {
      started_ = true;
      EISBACH_RETURN_IF_ERROR(Start());
    }
    if (inside_ == nullptr) {
      EISBACH_ASSIGN_OR_RETURN(const bool come, requests_.Test());
      if (!come) return first ? Step::kMoved : Step::kIdle;
      EISBACH_ASSIGN_OR_RETURN(inside_, ShareInside());
    }
    EISBACH_ASSIGN_OR_RETURN(const Step step, inside_->Poll());
    if (step != Step::kDone) return step;
    Reduce();
    return Step::kDone;
  }

 private:
  absl::Status Start() {
    const int hosts = context_.blocks.hosts;
    const int64_t bytes = Bytes(inout_);
    std::memcpy(At(scratch_, context_.host() * bytes), inout_.raw(), bytes);
    for (int step = 1; step < hosts; ++step) {
      const int from = (context_.host() + step) % hosts;
      EISBACH_RETURN_IF_ERROR(requests_.Receive(
          At(scratch_, from * bytes), bytes, context_.Peer(from), kTagPartial));
    }
    for (int step = 1; step < hosts; ++step) {
      const int to = (context_.host() + hosts - step) % hosts;
      EISBACH_RETURN_IF_ERROR(
          requests_.Send(inout_.raw(), bytes, context_.Peer(to), kTagPartial));
    }
    return absl::OkStatus();
  }

  int64_t PeerBytes() const { return context_.blocks.hosts * Bytes(inout_); }

  absl::StatusOr<std::unique_ptr<Task>> ShareInside() const {
    EISBACH_ASSIGN_OR_RETURN(const Tensor mine,
                             scratch_.Narrow(0, 0, PeerBytes()));
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor all,
        scratch_.Narrow(0, PeerBytes(),
                        context_.blocks.per_host * PeerBytes()));
    return context_.inside->AllGather(mine, all);
  }

  void Reduce() const {
    std::vector<const void*> inputs;
    for (int host = 0; host < context_.blocks.hosts; ++host) {
      for (int place = 0; place < context_.blocks.per_host; ++place) {
        inputs.push_back(
            At(scratch_, (1 + place) * PeerBytes() + host * Bytes(inout_)));
      }
    }
    cpu::ReduceInOrder(inout_.dtype(), ToReduction(op_), inputs, inout_.raw(),
                       inout_.elements());
  }

  const HostsContext context_;
  const Tensor inout_;
  const ReduceOp op_;
  const Tensor scratch_;
  Requests requests_;
  std::unique_ptr<Task> inside_;
  bool started_ = false;
};

// A round is a range of the tensor. The last one is filled up to a multiple of
// the ranks of a host.
class ChainAllReduceTask final : public HostChain {
 public:
  ChainAllReduceTask(const HostsContext& context, const Tensor& flat,
                     ReduceOp op, int64_t most, const Tensor& scratch)
      : HostChain(context, flat.dtype(), op,
                  Ceil(flat.elements(), most * context.blocks.per_host),
                  Longest(context, flat.elements(), most), scratch),
        inout_(flat),
        range_(most * context.blocks.per_host) {}

  static int64_t Longest(const HostsContext& context, int64_t elements,
                         int64_t most) {
    return std::min(most, Ceil(elements, context.blocks.per_host));
  }

 private:
  static int64_t Ceil(int64_t a, int64_t b) { return (a + b - 1) / b; }
  int64_t Elements(int64_t round) const {
    return std::min(range_, inout_.elements() - round * range_);
  }
  bool Uneven(int64_t round) const {
    return Elements(round) % context().blocks.per_host != 0;
  }
  char* Range(int64_t round) const {
    return At(inout_, round * range_ * element_bytes());
  }
  absl::StatusOr<Tensor> Whole(int64_t round) const {
    if (Uneven(round)) return Packed(round);
    return inout_.Narrow(0, round * range_, Elements(round));
  }

  int64_t Piece(int64_t round) const override {
    return Ceil(Elements(round), context().blocks.per_host);
  }
  absl::StatusOr<Tensor> Input(int64_t round) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor whole, Whole(round));
    if (Uneven(round)) {
      const int64_t bytes = Elements(round) * element_bytes();
      std::memcpy(whole.raw(), Range(round), bytes);
      std::memset(At(whole, bytes), 0, Bytes(whole) - bytes);
      packed_ = whole;
    }
    return whole;
  }
  char* Place(int64_t round) const override {
    char* whole = Uneven(round) ? At(packed_, 0) : Range(round);
    return whole + context().place() * Piece(round) * element_bytes();
  }
  int From(int64_t) const override {
    const int host = context().host();
    return host == context().last_host() ? kNobody : host + 1;
  }
  int To(int64_t) const override {
    const int host = context().host();
    return host == 0 ? kNobody : host - 1;
  }
  bool Gathers() const override { return true; }
  absl::StatusOr<std::unique_ptr<Task>> Gather(int64_t round) override {
    const int64_t piece = Piece(round);
    EISBACH_ASSIGN_OR_RETURN(const Tensor whole, Whole(round));
    EISBACH_ASSIGN_OR_RETURN(const Tensor mine,
                             whole.Narrow(0, context().place() * piece, piece));
    return context().inside->AllGather(mine, whole);
  }
  void Gathered(int64_t round) override {
    if (!Uneven(round)) return;
    std::memcpy(Range(round), packed_.raw(), Elements(round) * element_bytes());
  }

  const Tensor inout_;
  const int64_t range_;  // elements
  Tensor packed_;        // what the last round works on, when it is uneven
};

// A round is a part of the pieces of one host's ranks; the hosts take turns.
class ChainReduceScatterTask final : public HostChain {
 public:
  ChainReduceScatterTask(const HostsContext& context, const Tensor& in,
                         const Tensor& out, ReduceOp op, int64_t most,
                         const Tensor& scratch)
      : HostChain(context, in.dtype(), op,
                  (out.elements() + most - 1) / most * context.blocks.hosts,
                  std::min(most, out.elements()), scratch),
        in_(in),
        out_(out),
        most_(most) {}

 private:
  int Owner(int64_t round) const {
    return static_cast<int>(round % context().blocks.hosts);
  }
  int64_t Begin(int64_t round) const {  // in a piece
    return round / context().blocks.hosts * most_;
  }

  int64_t Piece(int64_t round) const override {
    return std::min(most_, out_.elements() - Begin(round));
  }
  absl::StatusOr<Tensor> Input(int64_t round) override {
    const int per_host = context().blocks.per_host;
    const int64_t n = out_.elements(), piece = Piece(round);
    const int64_t first = Owner(round) * per_host * n;
    if (piece == n) return in_.Narrow(0, first, per_host * n);
    EISBACH_ASSIGN_OR_RETURN(Tensor packed, Packed(round));
    for (int place = 0; place < per_host; ++place) {
      const int64_t from = first + place * n + Begin(round);
      std::memcpy(At(packed, place * piece * element_bytes()),
                  At(in_, from * element_bytes()), piece * element_bytes());
    }
    return packed;
  }
  char* Place(int64_t round) const override {
    if (Owner(round) != context().host()) return nullptr;
    return At(out_, Begin(round) * element_bytes());
  }
  int From(int64_t round) const override {
    const bool elsewhere = Owner(round) != context().last_host();
    return elsewhere && Owner(round) == context().host() ? context().last_host()
                                                         : kNobody;
  }
  int To(int64_t round) const override {
    const bool mine = context().host() == context().last_host();
    return mine && Owner(round) != context().host() ? Owner(round) : kNobody;
  }

  const Tensor in_;
  const Tensor out_;
  const int64_t most_;  // elements of a piece in a round
};

constexpr int64_t kGatheredBytes = 32 << 10;
constexpr int64_t kGatheredTotalBytes = 1 << 20;

bool GatherWhole(const HostsContext& context, int64_t bytes) {
  return bytes <= kGatheredBytes &&
         bytes * context.group.size <= kGatheredTotalBytes;
}

Tensor Flat(const Tensor& tensor) {
  // Cannot fail: tensors of collectives are contiguous.
  return *tensor.Detach().View({tensor.elements()});
}

}  // namespace

int64_t HierarchicalAllReduceScratchBytes(const HostsContext& context,
                                          int64_t elements, DType dtype,
                                          ReduceOp op) {
  const int64_t bytes = elements * SizeOf(dtype);
  if (GatherWhole(context, bytes)) {
    return GatherAndReduceTask::ScratchBytes(context, bytes);
  }
  const int64_t most = HostChain::MostOfPiece(context, elements, dtype);
  return HostChain::ScratchBytes(
      context, ChainAllReduceTask::Longest(context, elements, most), dtype, op);
}

int64_t HierarchicalReduceScatterScratchBytes(const HostsContext& context,
                                              int64_t piece, DType dtype,
                                              ReduceOp op) {
  const int64_t most =
      HostChain::MostOfPiece(context, piece * context.group.size, dtype);
  return HostChain::ScratchBytes(context, std::min(most, piece), dtype, op);
}

std::unique_ptr<Task> MakeHierarchicalAllReduce(const HostsContext& context,
                                                const Tensor& inout,
                                                ReduceOp op,
                                                const Tensor& scratch) {
  if (GatherWhole(context, Bytes(inout))) {
    return std::make_unique<GatherAndReduceTask>(context, inout, op, scratch);
  }
  return std::make_unique<ChainAllReduceTask>(
      context, Flat(inout), op,
      HostChain::MostOfPiece(context, inout.elements(), inout.dtype()),
      scratch);
}

std::unique_ptr<Task> MakeHierarchicalReduceScatter(const HostsContext& context,
                                                    const Tensor& in,
                                                    const Tensor& out,
                                                    ReduceOp op,
                                                    const Tensor& scratch) {
  return std::make_unique<ChainReduceScatterTask>(
      context, Flat(in), Flat(out), op,
      HostChain::MostOfPiece(context, in.elements(), in.dtype()), scratch);
}

}  // namespace eisbach::comm
