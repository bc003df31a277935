#pragma once

// Free of tensors and of Abseil, for the kernels of every backend.
namespace eisbach::ops {

// A factor beta in [0, 1) for x = beta x + (1 - beta) y in f32. One float for
// a beta near 1 is off by 3e-8, which is much of 1 - beta, and 0.99999999 is
// none at all; so beta is a sum of two, and 1 - beta is rounded once:
//
//   x = high * x + (low * x + rest * y), from the inside out, fused
struct Decay {
  float high, low, rest;
};

inline Decay MakeDecay(double beta) {
  const float high = static_cast<float>(beta);
  return {high, static_cast<float>(beta - high),
          static_cast<float>(1.0 - beta)};
}

}  // namespace eisbach::ops
