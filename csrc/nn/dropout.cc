#include "nn/dropout.h"

#include "autograd/functions/elementwise.h"
#include "core/hash.h"

namespace eisbach::nn {

Dropout::Dropout(const std::string& name, double p)
    : name_(name), layer_(StableHash(name)), p_(p) {}

void Dropout::VisitRandom(const NameVisitor& visit) {
  if (p_ > 0) visit(name_);
}

absl::StatusOr<Tensor> Dropout::Forward(const Tensor& x,
                                        const ForwardContext& context) const {
  if (!context.training || p_ == 0) return x;
  ops::DropoutSource source;
  source.seed = context.seed;
  source.layer = layer_;
  source.step = context.step;
  source.sample_index = context.sample_index;
  return autograd::Dropout(x, p_, source, context.stream);
}

}  // namespace eisbach::nn
