#include "bindings/trained.h"

#include "absl/strings/str_cat.h"
#include "bindings/variable.h"

namespace eisbach::bindings {
namespace {

absl::Status CheckBound(const Parameter& parameter) {
  if (parameter.data().defined()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      parameter.spec().name, " has no memory before an Update takes it"));
}

}  // namespace

absl::Status Use(const std::shared_ptr<Parameter>& parameter) {
  KeepForBackward(parameter);
  return CheckBound(*parameter);
}

absl::Status Use(const std::shared_ptr<nn::Module>& layer) {
  KeepForBackward(layer);
  absl::Status status;
  layer->VisitParameters(
      [&](Parameter& parameter) { status.Update(CheckBound(parameter)); });
  return status;
}

absl::StatusOr<ops::AttentionHeads> PlainHeads(int64_t heads, int64_t kv_heads,
                                               int64_t width) {
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0 ||
      width % (heads + 2 * kv_heads) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a packed qkv of width ", width, " is not ", heads, " heads and 2 x ",
        kv_heads, " key/value heads, which divide the heads"));
  }
  return ops::AttentionHeads{.heads = heads,
                             .kv_heads = kv_heads,
                             .head_dim = width / (heads + 2 * kv_heads),
                             .group = heads / kv_heads};
}

}  // namespace eisbach::bindings
