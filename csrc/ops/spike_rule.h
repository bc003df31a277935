#pragma once

// Free of tensors and of Abseil, for the kernels of every backend.
namespace eisbach::ops {

inline constexpr int kLeastSpikeWindow = 4;
inline constexpr int kMostSpikeWindow = 256;

struct SpikeRule {
  int window = 64;        // in [kLeastSpikeWindow, kMostSpikeWindow]
  double deviations = 0;  // 0: only what is not finite is bad
};

// The least that a deviation is: a share of the median, and an amount. A norm
// moves by much from step to step while nothing is wrong, and its size is that
// of the model; a loss that is nearly 0 may double.
struct LeastDeviation {
  double relative;
  double absolute;
};
inline constexpr LeastDeviation kLeastLossDeviation = {0.01, 0.01};
inline constexpr LeastDeviation kLeastNormDeviation = {0.25, 0};
// Median absolute deviations of a normal distribution in its standard one.
inline constexpr double kNormalMad = 1.4826;

enum SpikeStateIndex : int {
  kTolerated,  // bad steps in a row that are skipped; the next one is void
  kInARow,     // steps skipped since the last good one
  kSkipped,    // steps skipped in all
  kKept,       // good steps in the window
  kNext,       // where the next one goes
  kWindow,     // `window` losses, then `window` norms
};
constexpr int SpikeStateSize(int window) { return kWindow + 2 * window; }

enum class BadStep : int {
  kNone,
  kLossNotFinite,
  kNormNotFinite,
  kLossSpike,
  kNormSpike,
};

enum VerdictIndex : int {
  kBad,     // a BadStep
  kIsVoid,  // 1: it was one too many in a row
  kLimit,   // of a spike: what it is above
  kMedian,  // of a spike: that of the window
  kVerdictSize,
};

}  // namespace eisbach::ops
