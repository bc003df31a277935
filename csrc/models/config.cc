#include "models/config.h"

#include "absl/strings/str_cat.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "models/family.h"
#include "ops/dropout_bits.h"

namespace eisbach::models {
namespace {

// Products of a few sizes are still numbers.
constexpr int64_t kMostSize = (int64_t{1} << 31) - 1;

absl::Status CheckSize(absl::string_view key, int64_t value) {
  if (value > kMostSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.", key, "=", value,
                     " is above 2^31 - 1; nearest that works: ", kMostSize));
  }
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "model.", key, "=", value, " is below 1; nearest that works: 1"));
}

int64_t NearestDivisor(int64_t n, int64_t wanted) {
  for (int64_t distance = 0; distance < n; ++distance) {
    if (wanted - distance >= 1 && n % (wanted - distance) == 0) {
      return wanted - distance;
    }
    if (wanted + distance <= n && n % (wanted + distance) == 0) {
      return wanted + distance;
    }
  }
  return 1;
}

int64_t MatrixWeightsOfLayer(const ModelConfig& c, const Family& family) {
  const int64_t kv = c.kv_heads * c.head_dim();
  const int64_t attention = c.hidden * (2 * c.hidden + 2 * kv);
  const int64_t ups = family.activation == nn::Activation::kSwiglu ? 2 : 1;
  return attention + (ups + 1) * c.hidden * c.ffn_hidden;
}

}  // namespace

absl::Status Validate(const ModelConfig& c) {
  EISBACH_ASSIGN_OR_RETURN(Family family, FindFamily(c.family));
  EISBACH_RETURN_IF_ERROR(CheckSize("layers", c.layers));
  EISBACH_RETURN_IF_ERROR(CheckSize("hidden", c.hidden));
  EISBACH_RETURN_IF_ERROR(CheckSize("heads", c.heads));
  EISBACH_RETURN_IF_ERROR(CheckSize("kv_heads", c.kv_heads));
  EISBACH_RETURN_IF_ERROR(CheckSize("ffn_hidden", c.ffn_hidden));
  EISBACH_RETURN_IF_ERROR(CheckSize("context", c.context));
  EISBACH_RETURN_IF_ERROR(CheckSize("vocab", c.vocab));
  if (c.hidden % c.heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("heads=", c.heads, " does not divide hidden=", c.hidden,
                     " (model.heads); nearest that works: ",
                     NearestDivisor(c.hidden, c.heads)));
  }
  if (c.heads % c.kv_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "kv_heads=", c.kv_heads, " does not divide heads=", c.heads,
        " (model.kv_heads); nearest that works: ",
        NearestDivisor(c.heads, c.kv_heads)));
  }
  if (family.rope && c.head_dim() % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("hidden/heads=", c.head_dim(),
                     " is odd, and rotary positions turn "
                     "pairs (model.heads); nearest hidden that works: ",
                     c.heads * (c.head_dim() + 1)));
  }
  if (!(c.dropout >= 0 && c.dropout <= ops::kMostDropout)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dropout=", c.dropout, " is outside [0, 1 - 2^-24] ",
                     "(model.dropout); nearest that works: ",
                     c.dropout > 0 ? "0.9999999" : "0"));
  }
  return CheckFitsF32("norm_eps", c.norm_eps, "model.norm_eps");
}

int64_t ParameterCount(const ModelConfig& c) {
  const Family family = FindFamily(c.family).value();
  const int64_t norm =
      family.norm == ops::NormKind::kLayer ? 2 * c.hidden : c.hidden;
  int64_t layer = MatrixWeightsOfLayer(c, family) + 2 * norm;
  if (family.bias) {
    const int64_t kv = c.kv_heads * c.head_dim();
    const int64_t ups = family.activation == nn::Activation::kSwiglu ? 2 : 1;
    layer += 2 * c.hidden + 2 * kv + ups * c.ffn_hidden + c.hidden;
  }
  int64_t tables = c.vocab * c.hidden * (c.tie_embeddings ? 1 : 2);
  if (!family.rope) tables += c.context * c.hidden;
  return c.layers * layer + tables + norm;
}

double TrainingFlopsPerToken(const ModelConfig& c) {
  const Family family = FindFamily(c.family).value();
  const double weights = static_cast<double>(
      c.layers * MatrixWeightsOfLayer(c, family) + c.vocab * c.hidden);
  return 6.0 * weights + 12.0 * static_cast<double>(c.layers) *
                             static_cast<double>(c.hidden) *
                             static_cast<double>(c.context);
}

}  // namespace eisbach::models
