#include "models/config.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/divisor.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/attention.h"
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

// Rows of the MLP's first projection: up, and gate where there is one.
int64_t UpRows(const ModelConfig& c) {
  return (c.architecture.gated() ? 2 : 1) * c.ffn_hidden;
}

int64_t QkvRows(const ModelConfig& c) {
  return (c.heads + 2 * c.kv_heads) * c.head_dim;
}

// Of one weight of the model itself.
double FlopsOfWeight(const ModelConfig& c, bool trains) {
  return c.adapter.enabled() && !trains ? 4.0 : 6.0;
}

// What bounds or multiplies scores and logits.
absl::Status CheckFactor(absl::string_view key, double value) {
  if (value == 0 ||
      (value >= ops::kLeastScoreFactor && value <= ops::kMostScoreFactor)) {
    return absl::OkStatus();
  }
  const double nearest = value > ops::kMostScoreFactor ? ops::kMostScoreFactor
                         : value > 0                   ? ops::kLeastScoreFactor
                                                       : 0;
  return absl::InvalidArgumentError(
      absl::StrCat(key, "=", value, " is neither 0 nor between ",
                   ops::kLeastScoreFactor, " and ", ops::kMostScoreFactor,
                   " (model.", key, "); nearest that works: ", nearest));
}

// A window that no layer has would be a wish that nobody hears.
absl::Status CheckWindow(const ModelConfig& c) {
  const Architecture& a = c.architecture;
  const auto refuse = [](absl::string_view key, int64_t value,
                         absl::string_view why, int64_t nearest) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, "=", value, " (model.", key, "): ", why,
                     "; nearest that works: ", nearest));
  };
  constexpr absl::string_view kBelow = "is below 0";
  constexpr absl::string_view kNone = "the model has no window (model.window)";
  if (a.window < 0) return refuse("window", a.window, kBelow, 0);
  if (a.window > kMostSize) {
    return refuse("window", a.window, "is above 2^31 - 1", kMostSize);
  }
  if (a.window_from < 0) return refuse("window_from", a.window_from, kBelow, 0);
  if (a.window_full_every < 0) {
    return refuse("window_full_every", a.window_full_every, kBelow, 0);
  }
  if (a.window == 0 && a.window_from != 0) {
    return refuse("window_from", a.window_from, kNone, 0);
  }
  if (a.window == 0 && a.window_full_every != 0) {
    return refuse("window_full_every", a.window_full_every, kNone, 0);
  }
  if (a.window_full_every == 1) {
    return refuse("window_full_every", 1, "no layer would have the window", 2);
  }
  if (a.window_from >= c.layers) {
    return refuse("window_from", a.window_from,
                  absl::StrCat("no layer of layers=", c.layers, " has it"),
                  c.layers - 1);
  }
  return absl::OkStatus();
}

}  // namespace

int64_t MatrixWeightsOfLayer(const ModelConfig& c) {
  const int64_t attention = QkvRows(c) + c.heads * c.head_dim;
  return c.hidden * (attention + UpRows(c) + c.ffn_hidden);
}

int64_t AdapterWeightsOfLayer(const ModelConfig& c) {
  const int64_t queries = c.heads * c.head_dim;
  const int64_t keys = c.kv_heads * c.head_dim;
  struct Layer {
    absl::string_view name;
    int64_t inputs, outputs;
  };
  int64_t sum = 0;
  for (const Layer& layer :
       {Layer{"qkv", c.hidden, QkvRows(c)}, Layer{"query", c.hidden, queries},
        Layer{"key", c.hidden, keys}, Layer{"value", c.hidden, keys},
        Layer{"output", queries, c.hidden},
        Layer{"gate_up", c.hidden, 2 * c.ffn_hidden},
        Layer{"gate", c.hidden, c.ffn_hidden},
        Layer{"up", c.hidden, c.ffn_hidden},
        Layer{"down", c.ffn_hidden, c.hidden}}) {
    const std::vector<std::string> all = AdapterTargets(c.architecture);
    if (std::find(all.begin(), all.end(), layer.name) == all.end()) continue;
    if (!c.adapter.Adapts(layer.name)) continue;
    sum += c.adapter.rank * (layer.inputs + layer.outputs);
  }
  return sum;
}

absl::StatusOr<int64_t> DefaultHeadDim(int64_t hidden, int64_t heads) {
  EISBACH_RETURN_IF_ERROR(CheckSize("hidden", hidden));
  EISBACH_RETURN_IF_ERROR(CheckSize("heads", heads));
  if (hidden % heads == 0) return hidden / heads;
  return absl::InvalidArgumentError(absl::StrCat(
      "heads=", heads, " does not divide hidden=", hidden,
      " (model.heads); nearest that works: ", NearestDivisor(hidden, heads),
      ", or give model.head_dim"));
}

absl::Status Validate(const ModelConfig& c) {
  EISBACH_RETURN_IF_ERROR(CheckSize("layers", c.layers));
  EISBACH_RETURN_IF_ERROR(CheckSize("hidden", c.hidden));
  EISBACH_RETURN_IF_ERROR(CheckSize("heads", c.heads));
  EISBACH_RETURN_IF_ERROR(CheckSize("kv_heads", c.kv_heads));
  EISBACH_RETURN_IF_ERROR(CheckSize("head_dim", c.head_dim));
  EISBACH_RETURN_IF_ERROR(CheckSize("ffn_hidden", c.ffn_hidden));
  EISBACH_RETURN_IF_ERROR(CheckSize("context", c.context));
  EISBACH_RETURN_IF_ERROR(CheckSize("vocab", c.vocab));
  if (c.heads % c.kv_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "kv_heads=", c.kv_heads, " does not divide heads=", c.heads,
        " (model.kv_heads); nearest that works: ",
        NearestDivisor(c.heads, c.kv_heads)));
  }
  if (c.architecture.rotary) {
    if (c.head_dim % 2 != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "head_dim=", c.head_dim,
          " is odd, and rotary positions turn pairs (model.head_dim, "
          "model.heads); nearest that works: ",
          c.head_dim + 1));
    }
    EISBACH_RETURN_IF_ERROR(ops::CheckRope(c.architecture.rope, c.head_dim));
  }
  const int64_t every = c.architecture.no_rope_every;
  if (every < 0 || (every > 0 && !c.architecture.rotary)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no_rope_every=", every, " (model.no_rope_every): ",
        every < 0 ? "is below 0" : "the model has no rotary positions",
        "; nearest that works: 0"));
  }
  EISBACH_RETURN_IF_ERROR(CheckWindow(c));
  const Architecture& a = c.architecture;
  if (!(a.window_rope_theta >= 0) ||
      (a.window_rope_theta > 0 && !(a.rotary && a.window > 0))) {
    return absl::InvalidArgumentError(
        absl::StrCat("window_rope_theta=", a.window_rope_theta,
                     " (model.window_rope_theta): ",
                     a.window_rope_theta > 0
                         ? "the model has no window, or no rotary positions"
                         : "is below 0",
                     "; nearest that works: 0"));
  }
  EISBACH_RETURN_IF_ERROR(CheckFactor("attention_scale", a.attention_scale));
  EISBACH_RETURN_IF_ERROR(CheckFactor("attention_cap", a.attention_cap));
  EISBACH_RETURN_IF_ERROR(CheckFactor("final_cap", a.final_cap));
  if (!(c.dropout >= 0 && c.dropout <= ops::kMostDropout)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dropout=", c.dropout, " is outside [0, 1 - 2^-24] ",
                     "(model.dropout); nearest that works: ",
                     c.dropout > 0 ? "0.9999999" : "0"));
  }
  EISBACH_RETURN_IF_ERROR(
      Validate(c.adapter, c.architecture, c.vocab, c.tie_embeddings));
  return CheckFitsF32("norm_eps", c.norm_eps, "model.norm_eps");
}

int64_t ParameterCount(const ModelConfig& c) {
  const Architecture& a = c.architecture;
  const int64_t norm =
      a.norm == ops::NormKind::kLayer ? 2 * c.hidden : c.hidden;
  const int64_t norms = a.norm_placement == NormPlacement::kBoth ? 4 : 2;
  int64_t layer = MatrixWeightsOfLayer(c) + norms * norm;
  if (a.qkv_bias) layer += QkvRows(c);
  if (a.output_bias) layer += c.hidden;
  if (a.mlp_bias) layer += UpRows(c) + c.hidden;
  if (a.activation == nn::Activation::kXielu) layer += 2;
  if (a.qk_norm == QkNorm::kHead) layer += 2 * c.head_dim;
  if (a.qk_norm == QkNorm::kFull) {
    layer += (c.heads + c.kv_heads) * c.head_dim;
  }
  int64_t tables = c.vocab * c.hidden * (c.tie_embeddings ? 1 : 2);
  if (!a.rotary) tables += c.context * c.hidden;
  return c.layers * layer + tables + norm;
}

int64_t TrainedParameterCount(const ModelConfig& c) {
  if (!c.adapter.enabled()) return ParameterCount(c);
  const int64_t tables = c.tie_embeddings ? 1 : 2;
  const int64_t divided = TablesWithRows(c.adapter, c.tie_embeddings);
  const int64_t rows = (tables - divided) * c.vocab +
                       divided * static_cast<int64_t>(c.adapter.tokens.size());
  return c.layers * AdapterWeightsOfLayer(c) + rows * c.hidden;
}

double HeadFlopsPerToken(const ModelConfig& c) {
  return FlopsOfWeight(c, c.adapter.Saves("head")) *
         static_cast<double>(c.vocab * c.hidden);
}

double TrainingFlopsPerToken(const ModelConfig& c) {
  const double weights =
      static_cast<double>(c.layers * MatrixWeightsOfLayer(c));
  const double adapters =
      static_cast<double>(c.layers * AdapterWeightsOfLayer(c));
  int64_t keys = 0;  // that a query of the whole context sees, of all layers
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    const int64_t window = c.architecture.WindowOf(layer);
    keys += window == 0 ? c.context : std::min(window, c.context);
  }
  return FlopsOfWeight(c, /*trains=*/false) * weights + 6.0 * adapters +
         HeadFlopsPerToken(c) +
         12.0 * static_cast<double>(keys) *
             static_cast<double>(c.heads * c.head_dim);
}

}  // namespace eisbach::models
