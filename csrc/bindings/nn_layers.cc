#include "bindings/nn_layers.h"

#include <pybind11/pybind11.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "bindings/trained.h"
#include "bindings/unwrap.h"
#include "nn/linear.h"
#include "ops/rope.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;

nn::Activation ParseActivation(const std::string& name) {
  if (name == "gelu") return nn::Activation::kGelu;
  if (name == "swiglu") return nn::Activation::kSwiglu;
  if (name == "geglu") return nn::Activation::kGeglu;
  throw py::value_error("activation=" + name +
                        " is none of gelu, swiglu, geglu");
}

std::unique_ptr<nn::Attention> Attention(const std::string& name,
                                         int64_t hidden, int64_t heads,
                                         int64_t kv_heads, bool bias,
                                         float stddev, float output_stddev,
                                         const Variable* rope) {
  CheckSizes(name, {hidden, heads, kv_heads});
  CheckNotBelow0(name, "stddev", stddev);
  CheckNotBelow0(name, "output_stddev", output_stddev);
  if (hidden % heads != 0 || heads % kv_heads != 0) {
    throw py::value_error(absl::StrCat(name, ": kv_heads=", kv_heads,
                                       " must divide heads=", heads,
                                       ", which must divide hidden=", hidden));
  }
  const int64_t d = hidden / heads;
  nn::LinearOptions qkv;
  qkv.name = absl::StrCat(name, ".qkv");
  qkv.pieces = {{absl::StrCat(name, ".query"), nn::Range::Whole(hidden)},
                {absl::StrCat(name, ".key"), nn::Range::Whole(kv_heads * d)},
                {absl::StrCat(name, ".value"), nn::Range::Whole(kv_heads * d)}};
  qkv.columns = nn::Range::Whole(hidden);
  qkv.bias = bias;
  qkv.stddev = stddev;
  const ops::AttentionHeads counts =
      Unwrap(PlainHeads(heads, kv_heads, (heads + 2 * kv_heads) * d));
  nn::Attention::Parts parts;
  parts.qkv = std::make_unique<nn::Linear>(qkv);
  parts.output = std::make_unique<nn::Linear>(nn::PlainLinear(
      absl::StrCat(name, ".output"), hidden, hidden, bias, output_stddev));
  parts.heads = counts;
  if (rope != nullptr) parts.rope_table = rope->value;
  return std::make_unique<nn::Attention>(std::move(parts));
}

std::unique_ptr<nn::Mlp> Mlp(const std::string& name, int64_t hidden,
                             int64_t ffn_hidden, nn::Activation activation,
                             bool bias, float stddev, float output_stddev) {
  CheckSizes(name, {hidden, ffn_hidden});
  CheckNotBelow0(name, "stddev", stddev);
  CheckNotBelow0(name, "output_stddev", output_stddev);
  nn::LinearOptions up;
  if (nn::Gated(activation)) {
    up.name = absl::StrCat(name, ".gate_up");
    up.pieces = {{absl::StrCat(name, ".gate"), nn::Range::Whole(ffn_hidden)},
                 {absl::StrCat(name, ".up"), nn::Range::Whole(ffn_hidden)}};
  } else {
    up.name = absl::StrCat(name, ".up");
    up.pieces = {{up.name, nn::Range::Whole(ffn_hidden)}};
  }
  up.columns = nn::Range::Whole(hidden);
  up.bias = bias;
  up.stddev = stddev;
  return std::make_unique<nn::Mlp>(std::make_unique<nn::Linear>(up),
                                   std::make_unique<nn::Linear>(nn::PlainLinear(
                                       absl::StrCat(name, ".down"), ffn_hidden,
                                       hidden, bias, output_stddev)),
                                   activation);
}

}  // namespace

void CheckSizes(const std::string& name, std::initializer_list<int64_t> sizes) {
  for (int64_t size : sizes) {
    if (size >= 1) continue;
    throw py::value_error(
        absl::StrCat(name, ": a size of ", size, " is below 1"));
  }
}

void CheckNotBelow0(const std::string& name, const char* what, double value) {
  if (value >= 0) return;
  throw py::value_error(
      absl::StrCat(name, ": ", what, "=", value, " is below 0"));
}

ops::NormKind ParseNorm(const std::string& kind) {
  if (kind == "layer") return ops::NormKind::kLayer;
  if (kind == "rms") return ops::NormKind::kRms;
  throw py::value_error("norm kind=" + kind + " is neither layer nor rms");
}

std::shared_ptr<nn::Attention> MakeAttention(const std::string& name,
                                             int64_t hidden, int64_t heads,
                                             std::optional<int64_t> kv_heads,
                                             bool bias, float stddev,
                                             float output_stddev,
                                             const Variable* rope) {
  return Attention(name, hidden, heads, kv_heads.value_or(heads), bias, stddev,
                   output_stddev, rope);
}

std::shared_ptr<nn::Mlp> MakeMlp(const std::string& name, int64_t hidden,
                                 int64_t ffn_hidden,
                                 const std::string& activation, bool bias,
                                 float stddev, float output_stddev) {
  return Mlp(name, hidden, ffn_hidden, ParseActivation(activation), bias,
             stddev, output_stddev);
}

std::shared_ptr<nn::Block> MakeBlock(
    const std::string& name, int64_t hidden, int64_t heads,
    std::optional<int64_t> kv_heads, std::optional<int64_t> ffn_hidden,
    const std::string& norm, double eps, const std::string& activation,
    bool bias, float stddev, float output_stddev, const Variable* rope,
    double dropout, bool recompute) {
  if (!(dropout >= 0 && dropout < 1)) {
    throw py::value_error(
        absl::StrCat(name, ": dropout=", dropout, " is outside [0, 1)"));
  }
  CheckNotBelow0(name, "eps", eps);
  const ops::NormKind kind = ParseNorm(norm);
  const auto make_norm = [&](absl::string_view which) {
    return std::make_unique<nn::Norm>(absl::StrCat(name, which), kind, hidden,
                                      eps, /*primary=*/true);
  };
  nn::Block::Parts parts;
  parts.attention =
      Attention(absl::StrCat(name, ".attention"), hidden, heads,
                kv_heads.value_or(heads), bias, stddev, output_stddev, rope);
  parts.mlp =
      Mlp(absl::StrCat(name, ".mlp"), hidden, ffn_hidden.value_or(4 * hidden),
          ParseActivation(activation), bias, stddev, output_stddev);
  parts.norm1 = make_norm(".norm1");
  parts.norm2 = make_norm(".norm2");
  parts.dropout1 =
      std::make_unique<nn::Dropout>(absl::StrCat(name, ".attention"), dropout);
  parts.dropout2 =
      std::make_unique<nn::Dropout>(absl::StrCat(name, ".mlp"), dropout);
  parts.recompute = recompute;
  return std::make_shared<nn::Block>(std::move(parts));
}

Variable RopeTable(int64_t context, int64_t head_dim, Device& device,
                   double theta) {
  return Variable(Unwrap(ops::RopeTable(
      context, head_dim, ops::PlainRope(theta), device.compute_stream())));
}

}  // namespace eisbach::bindings
