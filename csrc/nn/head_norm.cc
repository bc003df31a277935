#include "nn/head_norm.h"

#include "absl/strings/str_cat.h"
#include "autograd/functions/head_norm.h"
#include "nn/norm.h"

namespace eisbach::nn {
namespace {

ParamSpec HeadWeight(std::string name, int64_t head_dim, bool primary,
                     ops::NormKind kind) {
  ParamSpec spec = WholeParam(std::move(name), Shape{head_dim},
                              {WeightInit(kind)}, /*decay=*/false);
  spec.slices[0].primary = primary;
  spec.slices[0].sum_over_tensor = true;
  return spec;
}

}  // namespace

HeadNorm::HeadNorm(const std::string& name, int64_t head_dim, double eps,
                   bool primary, ops::NormKind kind)
    : kind_(kind),
      eps_(eps),
      query_(HeadWeight(absl::StrCat(name, ".query_norm.weight"), head_dim,
                        primary, kind)),
      key_(HeadWeight(absl::StrCat(name, ".key_norm.weight"), head_dim, primary,
                      kind)) {}

absl::StatusOr<Tensor> HeadNorm::Forward(const Tensor& qkv,
                                         const ops::AttentionHeads& heads,
                                         const ForwardContext& context) {
  return autograd::HeadNorm(eps_, qkv, heads, query_, key_, context.stream,
                            kind_);
}

void HeadNorm::VisitParameters(const Visitor& visit) {
  visit(query_);
  visit(key_);
}

ParamSpec WidthWeight(std::string name, int64_t width, bool primary,
                      ops::NormKind kind) {
  ParamSpec spec = WholeParam(std::move(name), Shape{width}, {WeightInit(kind)},
                              /*decay=*/false);
  spec.slices[0].primary = primary;
  return spec;
}

WidthNorm::WidthNorm(const std::string& name, const ops::AttentionHeads& heads,
                     double eps, ops::NormKind kind)
    : kind_(kind),
      eps_(eps),
      query_(WidthWeight(absl::StrCat(name, ".query_norm.weight"),
                         heads.heads * heads.head_dim, /*primary=*/true, kind)),
      key_(WidthWeight(absl::StrCat(name, ".key_norm.weight"),
                       heads.kv_heads * heads.head_dim, /*primary=*/true,
                       kind)) {}

// All heads of a kind are one row.
absl::StatusOr<Tensor> WidthNorm::Forward(const Tensor& qkv,
                                          const ops::AttentionHeads& heads,
                                          const ForwardContext& context) {
  return autograd::HeadNorm(eps_, qkv, heads, query_, key_, context.stream,
                            kind_);
}

void WidthNorm::VisitParameters(const Visitor& visit) {
  visit(query_);
  visit(key_);
}

}  // namespace eisbach::nn
