#include "parallel/context/ulysses.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {
namespace {

// The widths of the sections of a packed row, each of which has heads that the
// ranks divide in their order.
using Sections = absl::Span<const int64_t>;

int64_t WidthOf(Sections sections) {
  int64_t width = 0;
  for (int64_t section : sections) width += section;
  return width;
}

// Copies the heads of each rank from rows of all heads, [B, T, width], to
// [n, B, T, width / n], or back.
absl::Status CopyHeads(const Tensor& rows, Sections sections,
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

// A part of the rows of all heads, [B, T / n, width], to whole rows of this
// rank's heads, [B, T, width / n].
absl::StatusOr<Tensor> ToHeads(const Tensor& part, Sections sections,
                               const DividedRows& rows, Stream& stream) {
  const int ranks = rows.group.size();
  const Shape shape{ranks, part.dim(0), part.dim(1), part.dim(2) / ranks};
  EISBACH_ASSIGN_OR_RETURN(const Tensor sent,
                           Tensor::Empty(shape, part.dtype(), stream.device()));
  EISBACH_ASSIGN_OR_RETURN(const Tensor received,
                           Tensor::Empty(shape, part.dtype(), stream.device()));
  EISBACH_RETURN_IF_ERROR(
      CopyHeads(part, sections, sent, /*back=*/false, stream));
  EISBACH_RETURN_IF_ERROR(rows.group.AllToAll(sent, received, stream));
  return rows.zigzag.Join(received, stream);
}

// The reverse.
absl::StatusOr<Tensor> ToParts(const Tensor& whole, Sections sections,
                               const DividedRows& rows, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor sent, rows.zigzag.Cut(whole, stream));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor received,
      Tensor::Empty(sent.shape(), sent.dtype(), stream.device()));
  EISBACH_RETURN_IF_ERROR(rows.group.AllToAll(sent, received, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor part,
      Tensor::Empty(Shape{whole.dim(0), sent.dim(2), WidthOf(sections)},
                    whole.dtype(), stream.device()));
  EISBACH_RETURN_IF_ERROR(
      CopyHeads(part, sections, received, /*back=*/true, stream));
  return part;
}

std::array<int64_t, 3> SectionsOfQkv(const ops::AttentionHeads& heads) {
  const int64_t keys = heads.kv_heads * heads.head_dim;
  return {heads.heads * heads.head_dim, keys, keys};
}
std::array<int64_t, 1> SectionsOfOut(const ops::AttentionHeads& heads) {
  return {heads.heads * heads.head_dim};
}

class UlyssesNode final : public autograd::Node {
 public:
  UlyssesNode(Tensor whole, ops::AttentionOutput saved,
              const ops::AttentionHeads& heads, const ops::AttentionHeads& mine,
              ops::AttentionOptions options, const DividedRows& rows)
      : whole_(std::move(whole)),
        saved_(std::move(saved)),
        heads_(heads),
        mine_(mine),
        options_(std::move(options)),
        rows_(rows) {}
  absl::string_view name() const override { return "ulysses_attention"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    Stream& stream = context.stream;
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor dout,
        ToHeads(grads[0], SectionsOfOut(heads_), rows_, stream));
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor dwhole,
        ops::AttentionBackward(dout, whole_, saved_.out, saved_.lse, mine_,
                               stream, options_));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dqkv, ToParts(dwhole, SectionsOfQkv(heads_), rows_, stream));
    return Send(0, std::move(dqkv), stream);
  }

 private:
  Tensor whole_;
  ops::AttentionOutput saved_;
  ops::AttentionHeads heads_, mine_;
  ops::AttentionOptions options_;
  DividedRows rows_;
};

}  // namespace

bool DividesHeads(const ops::AttentionHeads& heads, int ranks) {
  return heads.heads % ranks == 0 && heads.kv_heads % ranks == 0 &&
         heads.query_offset == 0 && heads.heads == heads.kv_heads * heads.group;
}

absl::StatusOr<Tensor> UlyssesAttention(const Tensor& qkv,
                                        const ops::AttentionHeads& heads,
                                        const ops::AttentionOptions& options,
                                        const DividedRows& rows,
                                        Stream& stream) {
  const int ranks = rows.group.size();
  if (!DividesHeads(heads, ranks)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ulysses_attention: ", ranks, " ranks do not divide heads=",
        heads.heads, " and kv_heads=", heads.kv_heads));
  }
  ops::AttentionHeads mine = heads;
  mine.heads /= ranks;
  mine.kv_heads /= ranks;
  ops::AttentionOptions whole_rows = options;
  whole_rows.starts = rows.starts;
  EISBACH_ASSIGN_OR_RETURN(Tensor whole,
                           ToHeads(qkv, SectionsOfQkv(heads), rows, stream));
  EISBACH_ASSIGN_OR_RETURN(
      ops::AttentionOutput out,
      ops::AttentionForward(whole, mine, stream, whole_rows));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, ToParts(out.out, SectionsOfOut(heads), rows, stream));
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<UlyssesNode>({&qkv}, {&y}, std::move(whole), std::move(out),
                               heads, mine, std::move(whole_rows), rows);
  }
  return y;
}

}  // namespace eisbach::parallel
