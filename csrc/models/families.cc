#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/architecture.h"

namespace eisbach::models {
namespace {

// GPT-2: Radford et al., "Language models are unsupervised multitask
// learners", 2019.
Architecture Gpt() {
  Architecture a{};
  a.norm = ops::NormKind::kLayer;
  a.activation = nn::Activation::kGelu;
  a.qkv_bias = a.output_bias = a.mlp_bias = true;
  a.fused_qkv = true;
  return a;
}

// Llama: Touvron et al., arXiv:2302.13971; grouped queries from Llama 2,
// arXiv:2307.09288. EuroLLM, Teuken and SmolLM2 are of this family.
Architecture Llama() {
  Architecture a{};
  a.norm = ops::NormKind::kRms;
  a.activation = nn::Activation::kSwiglu;
  a.rotary = true;
  a.rope = ops::PlainRope(10000);
  return a;
}

// Mistral 7B: Jiang et al., arXiv:2310.06825. Its first version had a window of
// 4096 in every layer, those after it have none.
Architecture Mistral() { return Llama(); }

// Qwen2 and Qwen2.5: arXiv:2407.10671.
Architecture Qwen2() {
  Architecture a = Llama();
  a.qkv_bias = true;
  a.rope = ops::PlainRope(1e6);
  return a;
}

// Qwen3: arXiv:2505.09388.
Architecture Qwen3() {
  Architecture a = Llama();
  a.qk_norm = QkNorm::kHead;
  a.rope = ops::PlainRope(1e6);
  return a;
}

// SmolLM3: every fourth layer without positions (NoPE; Yang et al.,
// arXiv:2501.18795).
Architecture SmolLm3() {
  Architecture a = Llama();
  a.rope = ops::PlainRope(2e6);
  a.no_rope_every = 4;
  return a;
}

// Phi-3: Abdin et al., arXiv:2404.14219. Longer contexts by longrope; Phi-4
// mini (arXiv:2503.01743) rotates a part of each head.
Architecture Phi3() {
  Architecture a = Llama();
  a.fused_qkv = a.fused_gate_up = true;
  return a;
}

struct Row {
  absl::string_view name;
  Architecture (*make)();
};
constexpr std::array<Row, 7> kFamilies = {{{"gpt", &Gpt},
                                           {"llama", &Llama},
                                           {"mistral", &Mistral},
                                           {"qwen2", &Qwen2},
                                           {"qwen3", &Qwen3},
                                           {"smollm3", &SmolLm3},
                                           {"phi3", &Phi3}}};

}  // namespace

absl::StatusOr<Architecture> FindFamily(absl::string_view name) {
  for (const Row& row : kFamilies) {
    if (row.name == name) return row.make();
  }
  return absl::NotFoundError(
      absl::StrCat("family=", name, " is not known (model.family); there are ",
                   absl::StrJoin(FamilyNames(), ", ")));
}

std::vector<std::string> FamilyNames() {
  std::vector<std::string> names;
  for (const Row& row : kFamilies) names.emplace_back(row.name);
  return names;
}

}  // namespace eisbach::models
