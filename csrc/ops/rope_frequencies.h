#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace eisbach::ops {

// How the frequencies of rotary positions are changed so that a model reads
// texts longer than those it was trained on first.
enum class RopeScaling : uint8_t {
  kNone,
  kLinear,  // positions divided by `factor`; Chen et al., arXiv:2306.15595
  kLlama3,  // slow pairs divided, fast ones kept, a ramp of frequencies between
            // (arXiv:2407.21783; as Llama 3.1 was released)
  kYarn,    // a ramp of pairs between, attention sharpened; Peng et al.,
            // arXiv:2309.00071
};

struct RopeOptions {
  double theta;  // pair i of D/2 turns by theta^(-2i/D) a position
  RopeScaling scaling;
  // The others are read where `scaling` needs them.
  double factor;             // >= 1, of all kinds
  int64_t original_context;  // of llama3 and yarn: tokens of the first training
  double low_frequency;      // llama3: turns in that context up to which a
  double high_frequency;     // pair is slow, and from which it is fast
  double beta_slow;          // yarn: the same
  double beta_fast;
  // yarn: multiplies cos and sin; 0 for 0.1 ln(factor) + 1.
  double attention_factor;
};

// Plain rotary positions of base `theta`.
RopeOptions PlainRope(double theta);

// InvalidArgument, with its key (model.rope_...), where a number does not fit.
absl::Status CheckRope(const RopeOptions& options);

// Radians a position of each of head_dim / 2 pairs. `options` is checked.
std::vector<double> RopeFrequencies(const RopeOptions& options,
                                    int64_t head_dim);

// What cos and sin are multiplied by: 1 but for yarn.
double RopeAmplitude(const RopeOptions& options);

}  // namespace eisbach::ops
