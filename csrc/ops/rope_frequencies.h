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
  kLongRope,  // each pair divided by a number of its own, by one of two lists;
              // attention sharpened; Ding et al., arXiv:2402.13753
};

struct RopeOptions {
  double theta;  // pair i of D/2 turns by theta^(-2i/D) a position
  // Of a head's numbers, from the first on, that are rotated: D is that many.
  double fraction;
  RopeScaling scaling;
  // The others are read where `scaling` needs them.
  double factor;  // >= 1, of all kinds
  // Of llama3, yarn and longrope: tokens of the first training.
  int64_t original_context;
  double low_frequency;   // llama3: turns in that context up to which a
  double high_frequency;  // pair is slow, and from which it is fast
  double beta_slow;       // yarn: the same
  double beta_fast;
  // Multiplies cos and sin; 0 for 0.1 ln(factor) + 1 of yarn, or
  // sqrt(1 + ln(factor) / ln(original_context)) of longrope.
  double attention_factor;
  // longrope: what each pair's frequency is divided by where positions stay in
  // the original context, and where they pass it.
  std::vector<double> short_factors;
  std::vector<double> long_factors;
};

// Plain rotary positions of base `theta`, of whole heads.
RopeOptions PlainRope(double theta);

// How many numbers of a head are rotated.
int64_t RotatedWidth(const RopeOptions& options, int64_t head_dim);

// InvalidArgument, with its key (model.rope_...), where a number does not fit.
absl::Status CheckRope(const RopeOptions& options);
// The same of heads of this width.
absl::Status CheckRope(const RopeOptions& options, int64_t head_dim);

// Radians a position of each of RotatedWidth / 2 pairs. `options` is checked.
// `context`: how many positions there are, by which longrope takes one list or
// the other.
std::vector<double> RopeFrequencies(const RopeOptions& options,
                                    int64_t head_dim, int64_t context);

// What cos and sin are multiplied by: 1 but for yarn and longrope.
double RopeAmplitude(const RopeOptions& options);

}  // namespace eisbach::ops
