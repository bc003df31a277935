#include "parallel/tensor/functions/width_norm.h"

#include <array>
#include <utility>

#include "autograd/functions/written_gradient.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/head_norm.h"

namespace eisbach::parallel {
namespace {

// Where a rank's heads lie in its packed qkv and in the whole [query, key].
struct Piece {
  int64_t local;
  int64_t whole;
  int64_t count;  // numbers
};

struct Places {
  // All key heads of this rank, and those of which it is the first rank.
  Piece query, key, own_key;
  int64_t query_width, key_width;  // of the whole

  explicit Places(const HeadShard& s) {
    const int64_t d = s.local.head_dim;
    query_width = s.query.total * d;
    key_width = s.key_value.total * d;
    query = {0, s.query.start * d, s.query.count * d};
    key = {s.query.count * d, query_width + s.key_value.start * d,
           s.key_value.count * d};
    const int64_t shared = s.shared_below ? d : 0;
    own_key = {key.local + shared, key.whole + shared, key.count - shared};
  }
};

absl::Status CopyPiece(const Tensor& from, int64_t from_at, const Tensor& to,
                       int64_t to_at, int64_t count, Stream& stream) {
  if (count == 0) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(const Tensor source, from.Narrow(2, from_at, count));
  EISBACH_ASSIGN_OR_RETURN(const Tensor target, to.Narrow(2, to_at, count));
  return ops::Copy(source, target, stream);
}

// [B, T, query and key of all ranks]: the sum of what ranks have of it.
absl::StatusOr<Tensor> PutTogether(const Tensor& qkv, const Places& places,
                                   const Piece& key, comm::Communicator& group,
                                   Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor whole, Tensor::Zeros(Shape{qkv.dim(0), qkv.dim(1),
                                        places.query_width + places.key_width},
                                  qkv.dtype(), stream));
  for (const Piece& piece : {places.query, key}) {
    EISBACH_RETURN_IF_ERROR(
        CopyPiece(qkv, piece.local, whole, piece.whole, piece.count, stream));
  }
  EISBACH_RETURN_IF_ERROR(group.AllReduce(whole, comm::ReduceOp::kSum, stream));
  return whole;
}

absl::StatusOr<std::array<Tensor, 2>> Parts(const Tensor& whole,
                                            const Places& places) {
  std::array<Tensor, 2> parts;
  EISBACH_ASSIGN_OR_RETURN(parts[0], whole.Narrow(2, 0, places.query_width));
  EISBACH_ASSIGN_OR_RETURN(
      parts[1], whole.Narrow(2, places.query_width, places.key_width));
  return parts;
}

class WidthNormNode final : public autograd::Node {
 public:
  WidthNormNode(Tensor whole, std::array<Tensor, 2> rstd,
                const HeadShard& shard, Parameter& query, Parameter& key,
                comm::Communicator& group, ops::NormKind kind)
      : whole_(std::move(whole)),
        rstd_(std::move(rstd)),
        shard_(shard),
        weights_{&query, &key},
        group_(group),
        kind_(kind) {}

  absl::string_view name() const override { return "width_norm"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    Stream& stream = context.stream;
    const Places places(shard_);
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor dy_whole,
        PutTogether(grads[0], places, places.key, group_, stream));
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor dx_whole,
        Tensor::Empty(whole_.shape(), whole_.dtype(), whole_.device()));
    EISBACH_ASSIGN_OR_RETURN(const auto x, Parts(whole_, places));
    EISBACH_ASSIGN_OR_RETURN(const auto dy, Parts(dy_whole, places));
    EISBACH_ASSIGN_OR_RETURN(const auto dx, Parts(dx_whole, places));
    for (size_t i = 0; i < weights_.size(); ++i) {
      Parameter& weight = *weights_[i];
      EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
      EISBACH_ASSIGN_OR_RETURN(const Tensor dweight,
                               autograd::WrittenGradient(weight, stream));
      EISBACH_RETURN_IF_ERROR(ops::HeadNormBackward(
          dy[i], x[i], weight.data(), rstd_[i], weight.accumulate(), dweight,
          dx[i], stream, kind_));
      if (weight.trains()) EISBACH_RETURN_IF_ERROR(weight.GradientWritten());
    }
    // A key head that the lower rank has too gets its gradient there.
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dqkv, Tensor::Zeros(grads[0].shape(), grads[0].dtype(), stream));
    for (const Piece& piece : {places.query, places.own_key}) {
      EISBACH_RETURN_IF_ERROR(CopyPiece(dx_whole, piece.whole, dqkv,
                                        piece.local, piece.count, stream));
    }
    const int64_t value = places.key.local + places.key.count;
    EISBACH_RETURN_IF_ERROR(
        CopyPiece(grads[0], value, dqkv, value, places.key.count, stream));
    return Send(0, std::move(dqkv), stream);
  }

 private:
  Tensor whole_;
  std::array<Tensor, 2> rstd_;
  HeadShard shard_;
  std::array<Parameter*, 2> weights_;
  comm::Communicator& group_;
  ops::NormKind kind_;
};

}  // namespace

absl::StatusOr<Tensor> WidthNorm(double eps, const Tensor& qkv,
                                 const HeadShard& shard, Parameter& query,
                                 Parameter& key, comm::Communicator& group,
                                 Stream& stream, ops::NormKind kind) {
  const Places places(shard);
  EISBACH_ASSIGN_OR_RETURN(
      Tensor whole, PutTogether(qkv, places, places.own_key, group, stream));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor normed,
      Tensor::Empty(whole.shape(), whole.dtype(), whole.device()));
  EISBACH_ASSIGN_OR_RETURN(const auto from, Parts(whole, places));
  EISBACH_ASSIGN_OR_RETURN(const auto to, Parts(normed, places));
  std::array<Tensor, 2> rstd;
  for (size_t i = 0; i < rstd.size(); ++i) {
    Parameter& weight = i == 0 ? query : key;
    EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
    EISBACH_ASSIGN_OR_RETURN(
        rstd[i],
        ops::HeadNormForward(eps, from[i], weight.data(), to[i], stream, kind));
  }
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(qkv.shape(), qkv.dtype(), qkv.device()));
  for (const Piece& piece : {places.query, places.key}) {
    EISBACH_RETURN_IF_ERROR(
        CopyPiece(normed, piece.whole, y, piece.local, piece.count, stream));
  }
  const int64_t value = places.key.local + places.key.count;
  EISBACH_RETURN_IF_ERROR(
      CopyPiece(qkv, value, y, value, places.key.count, stream));
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->RecordTraining<WidthNormNode>(Trains(query, &key), {&qkv}, {&y},
                                         std::move(whole), std::move(rstd),
                                         shard, query, key, group, kind);
  }
  return y;
}

}  // namespace eisbach::parallel
