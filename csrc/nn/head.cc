#include "nn/head.h"

#include "autograd/functions/linear.h"
#include "autograd/functions/softcap.h"
#include "core/status_macros.h"
#include "nn/sequence_part.h"

namespace eisbach::nn {
namespace {

autograd::PairRows PairsOf(const Tensor& targets,
                           const ForwardContext& context) {
  if (context.part == nullptr) return {targets, context.starts};
  return {targets, context.part->starts,
          [part = context.part, &stream = context.stream](const Tensor& sums) {
            return part->add_up(sums, stream);
          }};
}

}  // namespace

absl::StatusOr<Tensor> Head::Loss(const Tensor& x, const Tensor& targets,
                                  float scale, const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const autograd::HeadInput part, Part(x, context));
  return autograd::LinearCrossEntropy(
      part.x, part.weight, targets, part.shard,
      {scale, context.loss_scale, context.counted, terms_}, context.stream,
      part.logits_bytes, part.cap, part.rows);
}

absl::StatusOr<Tensor> Head::PairLogProbabilities(
    const Tensor& x, const Tensor& targets, const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const autograd::HeadInput part, Part(x, context));
  return autograd::PairLogProbabilities(part, PairsOf(targets, context),
                                        context.stream);
}

absl::StatusOr<Tensor> Head::Preference(const Tensor& x, const Tensor& targets,
                                        const Tensor& reference,
                                        const ops::PreferenceRule& rule,
                                        float scale,
                                        const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const autograd::HeadInput part, Part(x, context));
  return autograd::LinearPreference(
      part, PairsOf(targets, context), reference, rule,
      {scale, context.loss_scale, context.counted}, context.stream);
}

absl::StatusOr<autograd::HeadInput> PlainHead::Part(
    const Tensor& x, const ForwardContext& context) {
  autograd::HeadInput input{
      x, table_.weight,
      autograd::WholeVocabulary(table_.weight.spec().shape[0]), cap_};
  input.rows = table_.RowsIn(context);
  return input;
}

absl::StatusOr<Tensor> PlainHead::Logits(const Tensor& x,
                                         const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor logits, table_.Multiply(x, context));
  return autograd::Softcap(logits, cap_, context.stream);
}

}  // namespace eisbach::nn
