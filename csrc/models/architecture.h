#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nn/mlp.h"
#include "ops/norm.h"
#include "ops/rope_frequencies.h"

namespace eisbach::models {

// Whether query and key heads are normalised before their rotation: each by
// itself, with weights that all heads share (Qwen3, arXiv:2505.09388), or all
// together (OLMo 2, arXiv:2501.00656).
enum class QkNorm : uint8_t { kNone, kHead, kFull };

// Where norms stand: before attention and MLP, behind them, or both.
enum class NormPlacement : uint8_t { kPre, kPost, kBoth };

// What tells one decoder-only transformer from another besides its sizes. A
// family is a row of such choices, each of which a model may make otherwise;
// nothing else in the core asks for a family's name.
struct Architecture {
  ops::NormKind norm;
  NormPlacement norm_placement;
  nn::Activation activation;
  bool qkv_bias;     // of the query, key and value projections
  bool output_bias;  // of the projection behind attention
  bool mlp_bias;
  // Whether files have query, key and value, or gate and up, as one layer,
  // whose adapters then share an A.
  bool fused_qkv;
  bool fused_gate_up;
  QkNorm qk_norm;
  // Whether rows of the token embedding are multiplied by sqrt(hidden), rounded
  // to the compute dtype.
  bool scale_embedding;
  bool rotary;  // positions by rotation; else a learned table
  ops::RopeOptions rope;
  // Base of plain rotary positions in layers with a window; 0: as `rope`.
  double window_rope_theta;
  // One layer in so many, the last of each, has no rotary positions; 0: none.
  int64_t no_rope_every;
  // Keys that a query sees, its own counted, in layers with a window; 0: all.
  int64_t window;
  int64_t window_from;  // the first layer that has it
  // One layer in so many, the last of each, has none; 0: all have.
  int64_t window_full_every;
  double attention_scale;  // of scores; 0: 1 / sqrt(head_dim)
  double attention_cap;    // that bounds scores; 0: none
  double final_cap;        // that bounds logits; 0: none

  bool gated() const { return nn::Gated(activation); }
  // Of query and key heads.
  ops::NormKind head_norm() const {
    return norm_plus_one() ? norm : ops::NormKind::kRms;
  }
  bool norm_plus_one() const { return norm == ops::NormKind::kRmsPlusOne; }
  // Whether queries and keys of a layer are rotated.
  bool RotatesLayer(int64_t layer) const {
    return rotary && (no_rope_every == 0 || (layer + 1) % no_rope_every != 0);
  }
  // The window of a layer; 0: none.
  int64_t WindowOf(int64_t layer) const {
    const bool full =
        layer < window_from ||
        (window_full_every != 0 && (layer + 1) % window_full_every == 0);
    return full ? 0 : window;
  }
};

// NotFound for an unknown name; the message lists what there is.
absl::StatusOr<Architecture> FindFamily(absl::string_view name);

// All names, in the order of their making.
std::vector<std::string> FamilyNames();

}  // namespace eisbach::models
