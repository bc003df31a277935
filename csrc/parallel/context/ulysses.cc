#include "parallel/context/ulysses.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {
namespace {

// The widths of the sections of a packed row, each of which has heads that the
// ranks divide in their order.
using Sections = std::vector<int64_t>;

int64_t WidthOf(const Sections& sections) {
  int64_t width = 0;
  for (int64_t section : sections) width += section;
  return width;
}

// Copies the heads of each rank from rows of all heads, [B, T, width], to
// [n, B, T, width / n], or back.
absl::Status CopyHeads(const Tensor& rows, const Sections& sections,
                       const Tensor& parts, bool back, Stream& stream) {
  const int64_t ranks = parts.dim(0);
  for (int64_t rank = 0; rank < ranks; ++rank) {
    EISBACH_ASSIGN_OR_RETURN(Tensor part, parts.Narrow(0, rank, 1));
    EISBACH_ASSIGN_OR_RETURN(part,
                             part.View(Shape(parts.shape().dims().subspan(1))));
    int64_t at = 0;
    for (int64_t section : sections) {
      const int64_t width = section / ranks;
      EISBACH_ASSIGN_OR_RETURN(const Tensor mine,
                               rows.Narrow(2, at + rank * width, width));
      EISBACH_ASSIGN_OR_RETURN(const Tensor theirs,
                               part.Narrow(2, at / ranks, width));
      EISBACH_RETURN_IF_ERROR(back ? ops::Copy(theirs, mine, stream)
                                   : ops::Copy(mine, theirs, stream));
      at += section;
    }
  }
  return absl::OkStatus();
}

// Heads and tokens, each of which a rank has all or a part of.
class Exchange {
 public:
  Exchange(const Zigzag& zigzag, comm::Communicator& group, Sections sections)
      : zigzag_(zigzag), group_(group), sections_(std::move(sections)) {}

  // A part of the rows of all heads, [B, T / n, width], to all rows of this
  // rank's heads, [B, T, width / n].
  absl::StatusOr<Tensor> ToHeads(const Tensor& part, Stream& stream) const {
    const int ranks = group_.size();
    const Shape shape{ranks, part.dim(0), part.dim(1), part.dim(2) / ranks};
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor sent, Tensor::Empty(shape, part.dtype(), stream.device()));
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor received,
        Tensor::Empty(shape, part.dtype(), stream.device()));
    EISBACH_RETURN_IF_ERROR(
        CopyHeads(part, sections_, sent, /*back=*/false, stream));
    EISBACH_RETURN_IF_ERROR(group_.AllToAll(sent, received, stream));
    return zigzag_.Join(received, stream);
  }

  // The reverse.
  absl::StatusOr<Tensor> ToParts(const Tensor& rows, Stream& stream) const {
    EISBACH_ASSIGN_OR_RETURN(const Tensor sent, zigzag_.Cut(rows, stream));
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor received,
        Tensor::Empty(sent.shape(), sent.dtype(), stream.device()));
    EISBACH_RETURN_IF_ERROR(group_.AllToAll(sent, received, stream));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor part,
        Tensor::Empty(Shape{rows.dim(0), sent.dim(2), WidthOf(sections_)},
                      rows.dtype(), stream.device()));
    EISBACH_RETURN_IF_ERROR(
        CopyHeads(part, sections_, received, /*back=*/true, stream));
    return part;
  }

 private:
  Zigzag zigzag_;
  comm::Communicator& group_;
  Sections sections_;
};

enum class To { kHeads, kParts };

absl::StatusOr<Tensor> Run(const Exchange& exchange, To to, const Tensor& x,
                           Stream& stream) {
  return to == To::kHeads ? exchange.ToHeads(x, stream)
                          : exchange.ToParts(x, stream);
}

// The gradient goes the other way.
class ExchangeNode final : public autograd::Node {
 public:
  ExchangeNode(Exchange exchange, To to)
      : exchange_(std::move(exchange)),
        back_(to == To::kHeads ? To::kParts : To::kHeads) {}
  absl::string_view name() const override { return "ulysses_exchange"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor dx,
                             Run(exchange_, back_, grads[0], context.stream));
    return Send(0, std::move(dx), context.stream);
  }

 private:
  Exchange exchange_;
  To back_;
};

absl::StatusOr<Tensor> Exchanged(Exchange exchange, To to, const Tensor& x,
                                 Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, Run(exchange, to, x, stream));
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<ExchangeNode>({&x}, {&y}, std::move(exchange), to);
  }
  return y;
}

}  // namespace

bool DividesHeads(const ops::AttentionHeads& heads, int ranks) {
  return heads.heads % ranks == 0 && heads.kv_heads % ranks == 0 &&
         heads.query_offset == 0 && heads.heads == heads.kv_heads * heads.group;
}

absl::StatusOr<Tensor> UlyssesAttention(const Tensor& qkv,
                                        const ops::AttentionHeads& heads,
                                        const ops::AttentionOptions& options,
                                        const Zigzag& zigzag,
                                        comm::Communicator& group,
                                        const nn::AttentionFunction& attend,
                                        Stream& stream) {
  const int ranks = group.size();
  if (!DividesHeads(heads, ranks)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ulysses_attention: ", ranks, " ranks do not divide heads=",
        heads.heads, " and kv_heads=", heads.kv_heads));
  }
  const int64_t queries = heads.heads * heads.head_dim;
  const int64_t keys = heads.kv_heads * heads.head_dim;
  ops::AttentionHeads mine = heads;
  mine.heads /= ranks;
  mine.kv_heads /= ranks;
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor my_heads,
      Exchanged(Exchange(zigzag, group, {queries, keys, keys}), To::kHeads, qkv,
                stream));
  EISBACH_ASSIGN_OR_RETURN(const Tensor out,
                           attend(my_heads, mine, options, stream));
  return Exchanged(Exchange(zigzag, group, {queries}), To::kParts, out, stream);
}

}  // namespace eisbach::parallel
