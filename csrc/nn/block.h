#pragma once

#include <memory>

#include "nn/attention.h"
#include "nn/dropout.h"
#include "nn/mlp.h"
#include "nn/module.h"
#include "nn/norm.h"

namespace eisbach::nn {

// The residual stream between two blocks: the sum x + branch, not yet added, so
// that the next norm can do it. Both [B, T, H]; `branch` may be undefined.
struct Residual {
  Tensor x;
  Tensor branch;
};

// x + branch as one tensor.
absl::StatusOr<Tensor> Join(const Residual& residual,
                            const ForwardContext& context);

// A transformer block:
//   x += post_norm1(attention(norm1(x))); x += post_norm2(mlp(norm2(x)))
// where norms may be missing: those after (pre-norm), those before (post-norm,
// as in OLMo 2), none (Gemma 2 has four).
class Block final : public Module {
 public:
  struct Parts {
    std::unique_ptr<Norm> norm1;  // each norm: or null
    std::unique_ptr<Attention> attention;
    std::unique_ptr<Norm> post_norm1;
    std::unique_ptr<Dropout> dropout1;
    std::unique_ptr<Norm> norm2;
    std::unique_ptr<Mlp> mlp;
    std::unique_ptr<Norm> post_norm2;
    std::unique_ptr<Dropout> dropout2;
    // All of it, or nothing: what is selected is its parts' concern.
    bool recompute = false;
  };
  explicit Block(Parts parts);

  absl::StatusOr<Residual> Forward(const Residual& input,
                                   const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;
  void VisitRandom(const NameVisitor& visit) override;

 private:
  absl::StatusOr<Residual> Run(const Residual& input,
                               const ForwardContext& context);

  Parts parts_;
};

}  // namespace eisbach::nn
