#include "nn/xielu.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "autograd/functions/xielu.h"
#include "ops/xielu.h"

namespace eisbach::nn {
namespace {

// Both slopes begin as this.
constexpr double kSlope = 0.8;

// softplus of the parameter is `start`.
ParamSpec Alpha(std::string name, double start, bool primary) {
  Init init{Init::Kind::kValue};
  init.value = static_cast<float>(std::log(std::expm1(start)));
  ParamSpec spec = WholeParam(std::move(name), Shape{1}, init, /*decay=*/false);
  spec.slices[0].primary = primary;
  spec.slices[0].sum_over_tensor = true;
  return spec;
}

}  // namespace

Xielu::Xielu(const std::string& name, bool primary)
    : alpha_p_(Alpha(absl::StrCat(name, ".alpha_p"), kSlope, primary)),
      alpha_n_(Alpha(absl::StrCat(name, ".alpha_n"),
                     kSlope - double{ops::kXieluBeta}, primary)) {}

absl::StatusOr<Tensor> Xielu::Forward(const Tensor& x,
                                      const ForwardContext& context) {
  return autograd::Xielu(x, alpha_p_, alpha_n_, context.stream);
}

void Xielu::VisitParameters(const Visitor& visit) {
  visit(alpha_p_);
  visit(alpha_n_);
}

}  // namespace eisbach::nn
