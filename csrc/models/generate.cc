#include "models/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/philox.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::models {
namespace {

constexpr int64_t kWindowStep = 64;

// Uniform in [0, 1) with 53 random bits.
double UniformAt(uint64_t seed, int64_t index) {
  const auto i = static_cast<uint64_t>(index);
  const PhiloxCounter bits =
      Philox({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), 0, 0},
             MakePhiloxKey(seed));
  const uint64_t both = (static_cast<uint64_t>(bits[0]) << 32) | bits[1];
  return static_cast<double>(both >> 11) * 0x1p-53;
}

// The ids of the k largest logits, likeliest first.
std::vector<int32_t> Likeliest(absl::Span<const float> logits, int64_t k) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::partial_sort(ids.begin(), ids.begin() + k, ids.end(),
                    [&](int32_t a, int32_t b) {
                      if (logits[a] != logits[b]) return logits[a] > logits[b];
                      return a < b;
                    });
  ids.resize(k);
  return ids;
}

// Logits in f32, on the host.
absl::StatusOr<std::vector<float>> ToHost(const Tensor& logits,
                                          Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor row, ops::Cast(logits, DType::kF32, stream));
  std::vector<float> host(row.elements());
  EISBACH_RETURN_IF_ERROR(
      row.device().CopyToHost(host.data(), row.raw(), row.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return host;
}

}  // namespace

absl::Status Validate(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    return absl::InvalidArgumentError(
        absl::StrCat("temperature=", options.temperature,
                     " is not a number from 0 up; nearest that works: 0"));
  }
  if (options.top_k < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "top_k=", options.top_k, " is below 0; 0 keeps all tokens"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int32_t> SampleToken(absl::Span<const float> logits,
                                    const SamplingOptions& options,
                                    int64_t index) {
  EISBACH_RETURN_IF_ERROR(Validate(options));
  if (logits.empty()) {
    return absl::InvalidArgumentError("there is no logit to sample from");
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) continue;
    return absl::DataLossError(
        absl::StrCat("the logit of token ", i, " is NaN"));
  }
  const bool greedy = options.temperature == 0;
  const auto vocab = static_cast<int64_t>(logits.size());
  const int64_t kept =
      greedy ? 1
             : (options.top_k == 0 ? vocab : std::min(options.top_k, vocab));
  const std::vector<int32_t> ids = Likeliest(logits, kept);
  const double highest = logits[ids[0]];
  if (std::isinf(highest)) {
    return absl::DataLossError(
        absl::StrCat("the largest logit is ", highest, ", of token ", ids[0]));
  }
  if (greedy) return ids[0];
  std::vector<double> upto(ids.size());
  double sum = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    sum += std::exp((logits[ids[i]] - highest) / options.temperature);
    upto[i] = sum;
  }
  const double place = UniformAt(options.seed, index) * sum;
  const auto found = std::upper_bound(upto.begin(), upto.end(), place);
  return ids[std::min<size_t>(found - upto.begin(), ids.size() - 1)];
}

absl::StatusOr<std::vector<int32_t>> Generate(const LogitsFunction& logits,
                                              absl::Span<const int32_t> prompt,
                                              const GenerateOptions& options,
                                              Device& device) {
  EISBACH_RETURN_IF_ERROR(Validate(options.sampling));
  if (prompt.empty()) {
    return absl::InvalidArgumentError("a prompt has at least one token");
  }
  if (options.tokens < 0 || options.context < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokens=", options.tokens,
                     " is below 0 or context=", options.context, " below 1"));
  }
  Stream& stream = device.compute_stream();
  std::vector<int32_t> text(prompt.begin(), prompt.end());
  for (int64_t i = 0; i < options.tokens; ++i) {
    const auto length = static_cast<int64_t>(text.size());
    const int64_t seen = std::min(length, options.context);
    const int64_t padded = std::min(
        (seen + kWindowStep - 1) / kWindowStep * kWindowStep, options.context);
    EISBACH_ASSIGN_OR_RETURN(
        Tensor window, Tensor::Zeros(Shape{1, padded}, DType::kI32, stream));
    EISBACH_RETURN_IF_ERROR(
        device.CopyToDevice(window.raw(), text.data() + (length - seen),
                            seen * sizeof(int32_t), stream));
    EISBACH_ASSIGN_OR_RETURN(Tensor last, logits(window, seen - 1));
    EISBACH_ASSIGN_OR_RETURN(std::vector<float> row, ToHost(last, stream));
    EISBACH_ASSIGN_OR_RETURN(int32_t next,
                             SampleToken(row, options.sampling, i));
    if (next == options.stop) break;
    text.push_back(next);
  }
  return std::vector<int32_t>(text.begin() + prompt.size(), text.end());
}

}  // namespace eisbach::models
