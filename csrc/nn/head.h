#pragma once

#include "autograd/functions/cross_entropy.h"
#include "autograd/functions/preference.h"
#include "nn/module.h"
#include "nn/token_rows.h"

namespace eisbach::nn {

// The language-model head: logits = x · weight^T over this rank's part of the
// vocabulary, bounded by a cap where there is one (ops/softcap.h), and the
// cross-entropy over all of it.
class Head : public Module {
 public:
  // loss (f64 [1]) = scale * sum of the tokens' losses; see
  // autograd/functions/cross_entropy.h. x: [B, T, H], targets: i32 [B, T]. With
  // terms (set_terms) `context` has in `counted` a place for their sums.
  absl::StatusOr<Tensor> Loss(const Tensor& x, const Tensor& targets,
                              float scale, const ForwardContext& context);
  // What the model thinks of rows that are pairs, f64 [B, ops::kPairSums], and
  // the loss (f64 [1]) = scale * sum of the pairs' losses against a reference;
  // see autograd/functions/preference.h. x: [B, T, H], targets: i32 [B, T];
  // `context` has starts, or a part that has, and in `counted` a place for
  // totals.
  absl::StatusOr<Tensor> PairLogProbabilities(const Tensor& x,
                                              const Tensor& targets,
                                              const ForwardContext& context);
  absl::StatusOr<Tensor> Preference(const Tensor& x, const Tensor& targets,
                                    const Tensor& reference,
                                    const ops::PreferenceRule& rule,
                                    float scale, const ForwardContext& context);
  // The logits of the whole vocabulary, [B, T, vocab], without padding.
  virtual absl::StatusOr<Tensor> Logits(const Tensor& x,
                                        const ForwardContext& context) = 0;

  // What losses of tokens have besides their cross-entropy, from now on.
  void set_terms(const ops::LossTerms& terms) { terms_ = terms; }

 protected:
  // This rank's part, with x as its logits take it.
  virtual absl::StatusOr<autograd::HeadInput> Part(
      const Tensor& x, const ForwardContext& context) = 0;

 private:
  ops::LossTerms terms_;
};

// The head of one rank. The weight is made elsewhere: it may be the
// embedding's.
class PlainHead final : public Head {
 public:
  // cap: of the logits; 0: none.
  explicit PlainHead(Parameter& weight, double cap = 0,
                     TokenRows* rows = nullptr)
      : table_{weight, rows}, cap_(cap) {}
  absl::StatusOr<Tensor> Logits(const Tensor& x,
                                const ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    table_.VisitParameters(visit);
  }

 protected:
  absl::StatusOr<autograd::HeadInput> Part(
      const Tensor& x, const ForwardContext& context) override;

 private:
  Table table_;
  double cap_;
};

}  // namespace eisbach::nn
