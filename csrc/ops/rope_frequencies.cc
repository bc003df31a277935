#include "ops/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::ops {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

absl::Status Bad(absl::string_view key, double value, absl::string_view rule,
                 double nearest) {
  return absl::InvalidArgumentError(
      absl::StrCat("model.rope_", key, "=", value, " ", rule,
                   "; nearest that works: ", nearest));
}

// Slow below `low` turns in the original context, fast from `high` on.
absl::Status CheckRamp(absl::string_view low_key, double low,
                       absl::string_view high_key, double high) {
  if (!(low > 0)) return Bad(low_key, low, "must be positive", 1);
  if (!(high > low)) {
    return Bad(high_key, high,
               absl::StrCat("must be above ", low_key, "=", low), low + 1);
  }
  return absl::OkStatus();
}

// Of longrope.
absl::Status CheckFactors(absl::string_view key,
                          const std::vector<double>& factors) {
  for (double factor : factors) {
    if (!(factor > 0)) return Bad(key, factor, "must be positive", 1);
  }
  return absl::OkStatus();
}

// The pair, counted in fractions, that makes `turns` in the original context.
double PairOfTurns(const RopeOptions& o, int64_t head_dim, double turns) {
  const double context = static_cast<double>(o.original_context);
  return static_cast<double>(head_dim) * std::log(context / (turns * kTurn)) /
         (2 * std::log(o.theta));
}

double Llama3(const RopeOptions& o, double frequency) {
  const double turns =
      static_cast<double>(o.original_context) * frequency / kTurn;
  if (turns < o.low_frequency) return frequency / o.factor;
  if (turns > o.high_frequency) return frequency;
  const double fast =
      (turns - o.low_frequency) / (o.high_frequency - o.low_frequency);
  return ((1 - fast) / o.factor + fast) * frequency;
}

}  // namespace

RopeOptions PlainRope(double theta) {
  RopeOptions options{};
  options.theta = theta;
  options.fraction = 1;
  return options;
}

int64_t RotatedWidth(const RopeOptions& o, int64_t head_dim) {
  return static_cast<int64_t>(static_cast<double>(head_dim) * o.fraction);
}

absl::Status CheckRope(const RopeOptions& o) {
  if (!(o.theta > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.rope_theta=", o.theta,
                     " must be positive; nearest that works: 10000"));
  }
  if (!(o.fraction > 0 && o.fraction <= 1)) {
    return Bad("fraction", o.fraction, "is outside (0, 1]", 1);
  }
  if (o.scaling == RopeScaling::kNone) return absl::OkStatus();
  if (!(o.factor >= 1)) return Bad("factor", o.factor, "is below 1", 1);
  if (o.scaling == RopeScaling::kLinear) return absl::OkStatus();
  if (o.original_context < 1) {
    return Bad("original_context", static_cast<double>(o.original_context),
               "is below 1", 1);
  }
  if (o.scaling == RopeScaling::kLlama3) {
    return CheckRamp("low_frequency", o.low_frequency, "high_frequency",
                     o.high_frequency);
  }
  if (!(o.attention_factor >= 0)) {
    return Bad("attention_factor", o.attention_factor, "is below 0", 0);
  }
  if (o.scaling == RopeScaling::kLongRope) {
    if (o.original_context < 2)
      return Bad("original_context", 1, "is below 2", 2);
    EISBACH_RETURN_IF_ERROR(CheckFactors("short_factors", o.short_factors));
    return CheckFactors("long_factors", o.long_factors);
  }
  EISBACH_RETURN_IF_ERROR(
      CheckRamp("beta_slow", o.beta_slow, "beta_fast", o.beta_fast));
  if (!(o.theta > 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.rope_theta=", o.theta,
                     " must be above 1 for yarn; nearest that works: 10000"));
  }
  return absl::OkStatus();
}

absl::Status CheckRope(const RopeOptions& o, int64_t head_dim) {
  EISBACH_RETURN_IF_ERROR(CheckRope(o));
  const int64_t width = RotatedWidth(o, head_dim);
  if (width < 2 || width % 2 != 0) {
    const int64_t even = std::max<int64_t>(2, width + width % 2);
    return Bad("fraction", o.fraction,
               absl::StrCat("rotates ", width, " of head_dim=", head_dim,
                            " numbers, which are no pairs"),
               static_cast<double>(even) / static_cast<double>(head_dim));
  }
  if (o.scaling != RopeScaling::kLongRope) return absl::OkStatus();
  const std::pair<absl::string_view, const std::vector<double>*> lists[] = {
      {"short_factors", &o.short_factors}, {"long_factors", &o.long_factors}};
  for (const auto& [key, factors] : lists) {
    if (static_cast<int64_t>(factors->size()) == width / 2) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "model.rope_", key, " has ", factors->size(), " values for ", width / 2,
        " rotated pairs of a head (model.head_dim, model.rope_fraction); ",
        "nearest that works: ", width / 2, " values"));
  }
  return absl::OkStatus();
}

std::vector<double> RopeFrequencies(const RopeOptions& o, int64_t head_dim,
                                    int64_t context) {
  head_dim = RotatedWidth(o, head_dim);
  const int64_t pairs = head_dim / 2;
  const std::vector<double>& factors =
      context > o.original_context ? o.long_factors : o.short_factors;
  std::vector<double> frequencies(pairs);
  // Of yarn: pairs up to `first` are fast, from `last` on slow.
  double first = 0, last = 0;
  if (o.scaling == RopeScaling::kYarn) {
    const double end = static_cast<double>(head_dim - 1);
    first = std::max(0.0, std::floor(PairOfTurns(o, head_dim, o.beta_fast)));
    last = std::min(end, std::ceil(PairOfTurns(o, head_dim, o.beta_slow)));
    if (first == last) last += 0.001;
  }
  for (int64_t i = 0; i < pairs; ++i) {
    double& f = frequencies[i];
    f = std::pow(o.theta,
                 -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    switch (o.scaling) {
      case RopeScaling::kNone:
        break;
      case RopeScaling::kLinear:
        f /= o.factor;
        break;
      case RopeScaling::kLlama3:
        f = Llama3(o, f);
        break;
      case RopeScaling::kYarn: {
        const double slow = std::clamp(
            (static_cast<double>(i) - first) / (last - first), 0.0, 1.0);
        f *= slow / o.factor + (1 - slow);
        break;
      }
      case RopeScaling::kLongRope:
        f /= factors[i];
        break;
    }
  }
  return frequencies;
}

double RopeAmplitude(const RopeOptions& o) {
  const bool long_rope = o.scaling == RopeScaling::kLongRope;
  if (o.scaling != RopeScaling::kYarn && !long_rope) return 1;
  if (o.attention_factor > 0) return o.attention_factor;
  if (long_rope) {
    const double context = static_cast<double>(o.original_context);
    return std::sqrt(1 + std::log(o.factor) / std::log(context));
  }
  return 0.1 * std::log(o.factor) + 1;
}

}  // namespace eisbach::ops
