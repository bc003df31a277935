#include "nn/norm.h"

#include "absl/strings/str_cat.h"

namespace eisbach::nn {
namespace {

ParamSpec Spec(std::string name, int64_t hidden, Init::Kind kind,
               bool primary) {
  ParamSpec spec = WholeParam(std::move(name), Shape{hidden}, {kind},
                              /*decay=*/false);
  spec.slices[0].primary = primary;
  return spec;
}

}  // namespace

Init::Kind WeightInit(ops::NormKind kind) {
  return kind == ops::NormKind::kRmsPlusOne ? Init::Kind::kZeros
                                            : Init::Kind::kOnes;
}

Norm::Norm(std::string name, ops::NormKind kind, int64_t hidden, double eps,
           bool primary)
    : kind_(kind),
      eps_(eps),
      weight_(Spec(absl::StrCat(name, ".weight"), hidden, WeightInit(kind),
                   primary)) {
  if (kind == ops::NormKind::kLayer) {
    bias_ = std::make_unique<Parameter>(
        Spec(absl::StrCat(name, ".bias"), hidden, Init::Kind::kZeros, primary));
  }
}

absl::StatusOr<autograd::NormResult> Norm::Forward(
    const Tensor& x, const Tensor& residual, const ForwardContext& context) {
  return autograd::Norm(kind_, eps_, x, residual, weight_, bias_.get(),
                        context.stream);
}

void Norm::VisitParameters(const Visitor& visit) {
  visit(weight_);
  if (bias_ != nullptr) visit(*bias_);
}

}  // namespace eisbach::nn
