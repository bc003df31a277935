#include "models/decoder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/embedding.h"
#include "parallel/pipeline/dependencies.h"
#include "parallel/tensor/heads.h"
#include "tensor/host_values.h"

namespace eisbach::models {

absl::StatusOr<std::unique_ptr<Decoder>> Decoder::Make(
    Transformer& model, const parallel::ScheduleShape& shape, DType dtype,
    const parallel::ParallelContext& context) {
  const ModelConfig& config = model.config();
  EISBACH_ASSIGN_OR_RETURN(
      const parallel::HeadShard heads,
      parallel::ShardHeads(config.heads, config.kv_heads, config.head_dim,
                           context.index(Axis::kTensor),
                           context.size(Axis::kTensor)));
  nn::KeyValueCache cache({.layers = model.layers(),
                           .kv_heads = heads.local.kv_heads,
                           .head_dim = config.head_dim,
                           .dtype = dtype});
  return std::unique_ptr<Decoder>(
      new Decoder(model, shape, dtype, std::move(cache), context));
}

int64_t Decoder::Keep(int64_t slot, absl::Span<const int32_t> text) {
  if (slot >= static_cast<int64_t>(seen_.size())) seen_.resize(slot + 1);
  std::vector<int32_t>& seen = seen_[slot];
  const size_t most = std::min(seen.size(), text.size() - 1);
  const auto end = seen.begin() + static_cast<int64_t>(most);
  seen.erase(std::mismatch(seen.begin(), end, text.begin()).first, seen.end());
  return static_cast<int64_t>(seen.size());
}

absl::StatusOr<Decoder::Pass> Decoder::Arrange(absl::Span<const Piece> pieces) {
  Pass pass;
  int64_t longest = 0;
  for (const Piece& piece : pieces) {
    if (piece.slot >= static_cast<int64_t>(seen_.size())) {
      seen_.resize(piece.slot + 1);
    }
    const auto before = static_cast<int64_t>(seen_[piece.slot].size());
    const auto count = static_cast<int64_t>(piece.tokens.size());
    if (count == 0 || before + count > context()) {
      return absl::InvalidArgumentError(absl::StrCat(
          count, " tokens behind ", before, " of slot ", piece.slot,
          " do not fit a context of ", context(), " (model.context)"));
    }
    longest = std::max(longest, before + count);
    for (int64_t i = 0; i < count; ++i) {
      pass.tokens.push_back(piece.tokens[i]);
      pass.slots.push_back(static_cast<int32_t>(piece.slot));
      pass.positions.push_back(static_cast<int32_t>(before + i));
    }
    pass.ends.push_back(static_cast<int32_t>(pass.tokens.size()) - 1);
  }
  EISBACH_RETURN_IF_ERROR(cache_.Reserve(static_cast<int64_t>(seen_.size()),
                                         longest, context(),
                                         context_.device().compute_stream()));
  return pass;
}

absl::StatusOr<std::vector<float>> Decoder::Feed(
    absl::Span<const Piece> pieces) {
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  EISBACH_ASSIGN_OR_RETURN(const Pass pass, Arrange(pieces));
  EISBACH_ASSIGN_OR_RETURN(const Tensor logits, Logits(pass));
  std::vector<float> host(logits.elements());
  EISBACH_RETURN_IF_ERROR(
      ReadValues(logits, host.data(), context_.device().compute_stream()));
  for (const Piece& piece : pieces) {
    std::vector<int32_t>& seen = seen_[piece.slot];
    seen.insert(seen.end(), piece.tokens.begin(), piece.tokens.end());
  }
  return host;
}

absl::StatusOr<Tensor> Decoder::ToDevice(
    const std::vector<int32_t>& ids) const {
  Device& device = context_.device();
  EISBACH_ASSIGN_OR_RETURN(
      Tensor tensor, Tensor::Empty(Shape{static_cast<int64_t>(ids.size())},
                                   DType::kI32, device));
  // `ids` live until the logits have been read.
  EISBACH_RETURN_IF_ERROR(device.CopyToDevice(
      tensor.raw(), ids.data(), tensor.bytes(), device.compute_stream()));
  return tensor;
}

absl::StatusOr<Tensor> Decoder::Logits(const Pass& pass) {
  Stream& stream = context_.device().compute_stream();
  const auto tokens = static_cast<int64_t>(pass.tokens.size());
  const auto pieces = static_cast<int64_t>(pass.ends.size());
  nn::CachedTokens cached{cache_, {}};
  EISBACH_ASSIGN_OR_RETURN(cached.places.slots, ToDevice(pass.slots));
  EISBACH_ASSIGN_OR_RETURN(cached.places.positions, ToDevice(pass.positions));
  nn::ForwardContext forward{stream};
  forward.cached = &cached;
  autograd::GraphScope scope(nullptr);

  EISBACH_ASSIGN_OR_RETURN(Tensor hidden, RunChunks(pass, forward));
  const int head_stage =
      PlaceOf(shape_, shape_.stages * shape_.chunks - 1).stage;
  Tensor logits;
  if (context_.index(Axis::kPipeline) == head_stage) {
    const int64_t width = model_.config().hidden;
    EISBACH_ASSIGN_OR_RETURN(hidden, hidden.View(Shape{tokens, width}));
    EISBACH_ASSIGN_OR_RETURN(const Tensor ends, ToDevice(pass.ends));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor rows,
        ops::EmbeddingForward(ends, hidden, /*first_row=*/0, tokens, stream));
    EISBACH_ASSIGN_OR_RETURN(rows, rows.View(Shape{1, pieces, width}));
    EISBACH_ASSIGN_OR_RETURN(logits, model_.head().Logits(rows, forward));
  } else {
    EISBACH_ASSIGN_OR_RETURN(logits, Tensor::Empty(Shape{1, pieces, vocab()},
                                                   dtype_, context_.device()));
  }
  if (shape_.stages > 1) {
    EISBACH_RETURN_IF_ERROR(
        context_.pipeline().Broadcast(logits, head_stage, stream));
  }
  return logits;
}

absl::StatusOr<Tensor> Decoder::RunChunks(const Pass& pass,
                                          const nn::ForwardContext& forward) {
  const auto tokens = static_cast<int64_t>(pass.tokens.size());
  const int stage = context_.index(Axis::kPipeline);
  const int parts = shape_.stages * shape_.chunks;
  Tensor x;
  // In the order of the model: no rank waits for what comes later.
  for (int chunk = 0; chunk < shape_.chunks; ++chunk) {
    const int part = PartAt(shape_, {stage, chunk});
    if (part == 0) {
      EISBACH_ASSIGN_OR_RETURN(x, ToDevice(pass.tokens));
      EISBACH_ASSIGN_OR_RETURN(x, x.View(Shape{1, tokens}));
    } else if (const int from = PlaceOf(shape_, part - 1).stage;
               from != stage) {
      EISBACH_ASSIGN_OR_RETURN(x, Receive(from, tokens));
    }
    EISBACH_ASSIGN_OR_RETURN(x, model_.Forward(x, forward, chunk));
    if (part + 1 == parts) continue;
    if (const int to = PlaceOf(shape_, part + 1).stage; to != stage) {
      EISBACH_RETURN_IF_ERROR(Send(to, x));
    }
  }
  return x;
}

absl::StatusOr<Tensor> Decoder::Receive(int stage, int64_t tokens) const {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor input, Tensor::Empty(Shape{1, tokens, model_.config().hidden},
                                  dtype_, context_.device()));
  EISBACH_RETURN_IF_ERROR(context_.pipeline().Exchange(
      {{comm::Transfer::Kind::kReceive, stage, input}},
      context_.device().compute_stream()));
  return input;
}

absl::Status Decoder::Send(int stage, const Tensor& hidden) const {
  return context_.pipeline().Exchange(
      {{comm::Transfer::Kind::kSend, stage, hidden}},
      context_.device().compute_stream());
}

}  // namespace eisbach::models
