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

// Gemma 2: arXiv:2408.00118. A window in every second layer, caps, four norms
// of 1 + w.
Architecture Gemma2() {
  Architecture a = Llama();
  a.norm = ops::NormKind::kRmsPlusOne;
  a.norm_placement = NormPlacement::kBoth;
  a.activation = nn::Activation::kGeglu;
  a.scale_embedding = true;
  a.window = 4096;
  a.window_full_every = 2;
  a.attention_cap = 50;
  a.final_cap = 30;
  return a;
}

// Gemma 3: arXiv:2503.19786. Head norms instead of caps; five layers in six
// have a window and turn faster.
Architecture Gemma3() {
  Architecture a = Gemma2();
  a.attention_cap = a.final_cap = 0;
  a.qk_norm = QkNorm::kHead;
  a.rope = ops::PlainRope(1e6);
  a.window_rope_theta = 1e4;
  a.window = 1024;
  a.window_full_every = 6;
  return a;
}

// OLMo 2: arXiv:2501.00656. Norms behind attention and MLP, and of all query
// heads and all key heads together.
Architecture Olmo2() {
  Architecture a = Llama();
  a.norm_placement = NormPlacement::kPost;
  a.qk_norm = QkNorm::kFull;
  a.rope = ops::PlainRope(5e5);
  return a;
}

// Apertus: arXiv:2509.14233. No gate; an activation with learned slopes.
Architecture Apertus() {
  Architecture a = Llama();
  a.activation = nn::Activation::kXielu;
  a.qk_norm = QkNorm::kHead;
  a.rope = ops::PlainRope(12e6);
  return a;
}

struct Row {
  absl::string_view name;
  Architecture (*make)();
};
constexpr std::array<Row, 11> kFamilies = {{{"gpt", &Gpt},
                                            {"llama", &Llama},
                                            {"mistral", &Mistral},
                                            {"qwen2", &Qwen2},
                                            {"qwen3", &Qwen3},
                                            {"smollm3", &SmolLm3},
                                            {"phi3", &Phi3},
                                            {"olmo2", &Olmo2},
                                            {"apertus", &Apertus},
                                            {"gemma2", &Gemma2},
                                            {"gemma3", &Gemma3}}};

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
