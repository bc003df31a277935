#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "device/stream.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::nn {

struct CachedTokens;
struct SequencePart;

// What backward computes again rather than keeps of a block, in the same bits:
// attention and MLP up to what their last projection takes, each from its
// input; or all of it.
enum class Recompute : uint8_t { kNothing, kSelective, kBlock };

// Which of the tokens [B, T] of a batch, in the order of its rows, this rank
// has between projections where the ranks of a tensor group divide them:
// activations there are [1, count, H].
struct TokenShare {
  int64_t samples;    // B
  int64_t positions;  // T
  int64_t first;
  int64_t count;
  // Where backward gathers again what a weight's gradient needs, beside the
  // product before it; null: between them.
  Stream* beside = nullptr;
};

// What a forward pass runs with, besides its inputs.
struct ForwardContext {
  Stream& stream;
  bool training = false;  // dropout is on
  uint64_t seed = 0;      // of dropout
  Tensor step;            // i64 [1] in device memory
  Tensor sample_index;    // i64 [B]: each sample's index in the whole run
  // f32 [1] in device memory: what the loss's gradient is multiplied by, so
  // that f16 can hold it; the update divides by it. Undefined: 1.
  Tensor loss_scale{};
  // f64 [1] in device memory: a loss adds how many of its tokens count, which
  // are those whose target is not below 0; one with more totals takes a place
  // for each. Undefined: nobody asks.
  Tensor counted{};
  // What came before the tokens, see nn/cache.h; no gradient goes through it.
  // Null: nothing did, and rows are whole.
  const CachedTokens* cached = nullptr;
  bool adapters = true;  // false: a model computes as if it had none
  // i32 [B, T]: where each token's document begins in its row
  // (ops/document_starts.h). Undefined: rows are one document each.
  Tensor starts{};
  // Nothing: a rank has all tokens everywhere.
  std::optional<TokenShare> share{};
  // What rows are where this rank has a part of them, see nn/sequence_part.h;
  // then there are no `starts`. Null: rows are whole.
  std::shared_ptr<const SequencePart> part{};
};

// A layer: it owns parameters and other modules. Forward functions differ from
// kind to kind and are not part of this class; they record into the thread's
// current autograd graph.
class Module {
 public:
  using Visitor = std::function<void(Parameter&)>;

  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Calls `visit` for every parameter in the order in which forward uses them.
  // A parameter that is used twice is visited twice.
  virtual void VisitParameters(const Visitor& visit) = 0;

  // Whether one of them is trained.
  bool Trains() {
    bool trains = false;
    VisitParameters([&](const Parameter& p) { trains |= p.trains(); });
    return trains;
  }

  // Calls `visit` for the name of every layer inside that draws random numbers,
  // which depend on it: two of one name would draw the same.
  using NameVisitor = std::function<void(const std::string&)>;
  virtual void VisitRandom(const NameVisitor&) {}
};

// y [..., N] from x [..., K]; where tokens are divided, x or y has this rank's
// (ForwardContext::share) and the other is [B, T, ...]. Attention and MLP take
// their projections through this interface and do not know whether they are
// divided among ranks.
class Projection : public Module {
 public:
  virtual absl::StatusOr<Tensor> Forward(const Tensor& x,
                                         const ForwardContext& context) = 0;
};

}  // namespace eisbach::nn
