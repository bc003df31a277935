#include "models/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "core/philox.h"
#include "core/status_macros.h"

namespace eisbach::models {
namespace {

absl::Status OutOfRange(absl::string_view name, double value,
                        absl::string_view rule, absl::string_view nearest) {
  return absl::InvalidArgumentError(absl::StrCat(
      name, "=", value, " is not ", rule, "; nearest that works: ", nearest));
}

// Uniform in [0, 1) with 53 random bits.
double UniformAt(uint64_t seed, const Draw& draw) {
  const auto i = static_cast<uint64_t>(draw.index);
  const auto s = static_cast<uint64_t>(draw.sequence);
  const PhiloxCounter bits =
      Philox({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32),
              static_cast<uint32_t>(s), static_cast<uint32_t>(s >> 32)},
             MakePhiloxKey(seed));
  const uint64_t both = (static_cast<uint64_t>(bits[0]) << 32) | bits[1];
  return static_cast<double>(both >> 11) * 0x1p-53;
}

// The likeliest token.
absl::StatusOr<int32_t> Likeliest(absl::Span<const float> logits) {
  if (logits.empty()) {
    return absl::InvalidArgumentError("there is no logit to sample from");
  }
  size_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      return absl::DataLossError(
          absl::StrCat("the logit of token ", i, " is NaN"));
    }
    if (logits[i] > logits[best]) best = i;
  }
  if (std::isinf(logits[best])) {
    return absl::DataLossError(absl::StrCat("the largest logit is ",
                                            logits[best], ", of token ", best));
  }
  return static_cast<int32_t>(best);
}

// Tokens that may be drawn, and how likely each is relative to the likeliest.
struct Candidates {
  std::vector<int32_t> ids;
  std::vector<double> weights;

  void Resize(size_t size) {
    ids.resize(size);
    weights.resize(size);
  }
};

// Moves the `count` likeliest to the front, likeliest first.
void SortFirst(absl::Span<const float> logits, size_t count,
               std::vector<int32_t>& ids) {
  std::partial_sort(ids.begin(), ids.begin() + count, ids.end(),
                    [&](int32_t a, int32_t b) {
                      if (logits[a] != logits[b]) return logits[a] > logits[b];
                      return a < b;
                    });
}

// Cuts to the fewest likeliest whose weights sum to `share` of all; sorts no
// more of a large vocabulary than that needs.
void KeepNucleus(absl::Span<const float> logits, double share,
                 Candidates& kept) {
  const double all =
      std::accumulate(kept.weights.begin(), kept.weights.end(), 0.0);
  std::vector<int32_t>& ids = kept.ids;
  // By id, since sorting moves ids alone.
  std::vector<double> by_id(logits.size());
  for (size_t i = 0; i < ids.size(); ++i) by_id[ids[i]] = kept.weights[i];
  size_t sorted = 0, needed = 0;
  double sum = 0;
  while (needed < ids.size() && sum < share * all) {
    if (needed == sorted) {
      sorted = std::min(ids.size(), std::max<size_t>(64, 8 * sorted));
      SortFirst(logits, sorted, ids);
    }
    sum += by_id[ids[needed++]];
  }
  kept.Resize(std::max<size_t>(needed, 1));
  for (size_t i = 0; i < kept.ids.size(); ++i) {
    kept.weights[i] = by_id[kept.ids[i]];
  }
}

Candidates Choose(absl::Span<const float> logits, double highest,
                  const SamplingOptions& options) {
  Candidates kept;
  kept.ids.resize(logits.size());
  std::iota(kept.ids.begin(), kept.ids.end(), 0);
  const auto vocab = static_cast<int64_t>(logits.size());
  if (options.top_k > 0 && options.top_k < vocab) {
    SortFirst(logits, options.top_k, kept.ids);
    kept.ids.resize(options.top_k);
  }
  kept.weights.resize(kept.ids.size());
  for (size_t i = 0; i < kept.ids.size(); ++i) {
    kept.weights[i] =
        std::exp((logits[kept.ids[i]] - highest) / options.temperature);
  }
  if (options.top_p < 1) KeepNucleus(logits, options.top_p, kept);
  if (options.min_p > 0) {
    size_t size = 0;
    for (size_t i = 0; i < kept.ids.size(); ++i) {
      if (kept.weights[i] < options.min_p) continue;
      kept.ids[size] = kept.ids[i];
      kept.weights[size++] = kept.weights[i];
    }
    kept.Resize(size);
  }
  return kept;
}

}  // namespace

absl::Status Validate(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    return OutOfRange("temperature", options.temperature, "a number from 0 up",
                      "0");
  }
  if (options.top_k < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "top_k=", options.top_k, " is below 0; 0 keeps all tokens"));
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return OutOfRange("top_p", options.top_p, "above 0 and up to 1", "1");
  }
  if (!(options.min_p >= 0 && options.min_p <= 1)) {
    return OutOfRange("min_p", options.min_p, "from 0 to 1",
                      options.min_p > 1 ? "1" : "0");
  }
  if (!(options.repetition_penalty > 0) ||
      std::isinf(options.repetition_penalty)) {
    return OutOfRange("repetition_penalty", options.repetition_penalty,
                      "a number above 0", "1");
  }
  return absl::OkStatus();
}

void Penalise(absl::Span<const int32_t> seen, double penalty,
              absl::Span<float> logits) {
  if (penalty == 1) return;
  const auto factor = static_cast<float>(penalty);
  const absl::flat_hash_set<int32_t> ids(seen.begin(), seen.end());
  for (int32_t id : ids) {
    if (id < 0 || id >= static_cast<int64_t>(logits.size())) continue;
    logits[id] = logits[id] < 0 ? logits[id] * factor : logits[id] / factor;
  }
}

absl::StatusOr<int32_t> SampleToken(absl::Span<const float> logits,
                                    const SamplingOptions& options,
                                    const Draw& draw) {
  EISBACH_RETURN_IF_ERROR(Validate(options));
  EISBACH_ASSIGN_OR_RETURN(const int32_t likeliest, Likeliest(logits));
  if (options.temperature == 0) return likeliest;
  const Candidates kept = Choose(logits, logits[likeliest], options);
  std::vector<double> upto(kept.ids.size());
  std::partial_sum(kept.weights.begin(), kept.weights.end(), upto.begin());
  const double place = UniformAt(options.seed, draw) * upto.back();
  const auto found = std::upper_bound(upto.begin(), upto.end(), place);
  return kept.ids[std::min<size_t>(found - upto.begin(), upto.size() - 1)];
}

}  // namespace eisbach::models
