#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Softmax cross-entropy over a vocabulary that may be divided among ranks.
// Logits are [N, columns]; column c stands for token first_column + c, and
// columns from `valid_columns` on are padding. targets: i32 [N]; one below 0 is
// masked: its row has no loss and no gradient. All sums are in f32. Works in
// three parts, so that ranks can combine between them and the gradient
// overwrites the logits: they are never held twice.

// What a token's loss may have besides its cross-entropy lse - x_t, with logits
// x_j of a vocabulary of V tokens, of which t is the target:
//
//   z_loss * lse^2                          keeps lse near 0 (PaLM, Chowdhery
//   et
//                                           al., arXiv:2204.02311, section 5)
//   label_smoothing * (x_t - mean_j x_j)    makes the target a mixture of t, by
//                                           1 - label_smoothing, and of all V
//                                           tokens alike (Szegedy et al.,
//                                           arXiv:1512.00567, section 7)
struct LossTerms {
  float z_loss = 0;           // not below 0
  float label_smoothing = 0;  // in [0, 1)

  bool any() const { return z_loss != 0 || label_smoothing != 0; }
};
// Messages name the key.
absl::Status Validate(const LossTerms& terms);

// stats: f32 [N, 3] = (max m, sum of exp(x - m), logit of the target or 0 where
// another rank holds it), and where asked for a fourth, the sum of x, for label
// smoothing. With no valid column, (-inf, 0, 0, 0).
struct CrossEntropyStatsArgs {
  const Tensor& logits;
  const Tensor& targets;
  int64_t first_column;
  int64_t valid_columns;
  const Tensor& stats;
};
using CrossEntropyStatsKernel = KernelSlot<CrossEntropyStatsArgs>;
CrossEntropyStatsKernel& CrossEntropyStatsSlot();
absl::StatusOr<Tensor> CrossEntropyStats(const Tensor& logits,
                                         const Tensor& targets,
                                         int64_t first_column,
                                         int64_t valid_columns, Stream& stream,
                                         bool with_sum = false);

// From the stats of all ranks [R, N, 3 or 4], combined in rank order: the log
// of the sum of exponentials and the loss (lse - target logit), each f32 [N]. A
// masked row has a loss of 0 and an lse of infinity, of which backward makes a
// gradient of 0. For a target of `vocab` or above see ids.h; lse and loss are
// NaN there. The number of rows that are not masked is added to `counted`, f64
// [1], where it is not null. With `terms`, which take the fourth of the stats
// where labels are smoothed, f32 [2, N]: what each adds to the loss of a row,
// which is not in `loss`; 0 where it is masked.
struct CrossEntropyCombineArgs {
  const Tensor& stats;
  const Tensor& targets;
  int64_t vocab;
  const Tensor* counted;
  LossTerms terms;
  const Tensor& lse;
  const Tensor& loss;
  const Tensor* added;  // null without terms
};
using CrossEntropyCombineKernel = KernelSlot<CrossEntropyCombineArgs>;
CrossEntropyCombineKernel& CrossEntropyCombineSlot();

struct CrossEntropyOutput {
  Tensor lse;
  Tensor loss;
  Tensor added;  // undefined without terms
};
absl::StatusOr<CrossEntropyOutput> CrossEntropyCombine(
    const Tensor& stats, const Tensor& targets, int64_t vocab, Stream& stream,
    const Tensor* counted = nullptr, const LossTerms& terms = {});

// logits <- scale * factor * (softmax(logits) - onehot(target)), in place, by
// the lse of CrossEntropyCombine; padding columns become 0. `scale` is what the
// loss of one token counts, `factor` (f32 [1], 1 where there is none) what its
// gradient is multiplied by besides: a loss scale, which changes from step to
// step; and `weights` (f32 [N], 1 where there are none) that of each row. With
// `terms`, of a vocabulary of `vocab` tokens:
//
//   softmax (1 + 2 z_loss lse) - (1 - label_smoothing) onehot
//     - label_smoothing / vocab
struct CrossEntropyBackwardArgs {
  const Tensor& logits;
  const Tensor& targets;
  const Tensor& lse;
  int64_t first_column;
  int64_t valid_columns;
  float scale;
  const Tensor* factor;   // may be null
  const Tensor* weights;  // may be null
  LossTerms terms;
  int64_t vocab;
};
using CrossEntropyBackwardKernel = KernelSlot<CrossEntropyBackwardArgs>;
CrossEntropyBackwardKernel& CrossEntropyBackwardSlot();
absl::Status CrossEntropyBackward(
    const Tensor& logits, const Tensor& targets, const Tensor& lse,
    int64_t first_column, int64_t valid_columns, float scale, Stream& stream,
    const Tensor* factor = nullptr, const Tensor* weights = nullptr,
    const LossTerms& terms = {}, int64_t vocab = 1);

}  // namespace eisbach::ops
