#include "nn/dropout.h"

#include "autograd/functions/elementwise.h"
#include "core/hash.h"

namespace eisbach::nn {

Dropout::Dropout(const std::string& name, double p, int64_t first_feature)
    : name_(name),
      layer_(StableHash(name)),
      p_(p),
      first_feature_(first_feature) {}

void Dropout::VisitRandom(const NameVisitor& visit) {
  if (p_ > 0) visit(name_);
}

std::optional<ops::DropoutSource> Dropout::Source(
    const ForwardContext& context) const {
  if (!context.training || p_ == 0) return std::nullopt;
  ops::DropoutSource source;
  source.seed = context.seed;
  source.layer = layer_;
  source.step = context.step;
  source.sample_index = context.sample_index;
  source.first_feature = first_feature_;
  return source;
}

absl::StatusOr<Tensor> Dropout::Forward(const Tensor& x,
                                        const ForwardContext& context) const {
  std::optional<ops::DropoutSource> source = Source(context);
  if (!source) return x;
  if (context.share) {
    source->positions = context.share->positions;
    source->first_row = context.share->first;
  }
  return autograd::Dropout(x, p_, *source, context.stream);
}

}  // namespace eisbach::nn
