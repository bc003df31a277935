#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/blend.h"

namespace eisbach::data {

enum class SampleOrder : uint8_t {
  kSeeded,  // training: differs by seed and from epoch to epoch
  kFixed,   // validation: always the same samples, whatever the seed
};

struct SourceSize {
  int64_t tokens;
  double weight;
};

// Where a sample lies: context + 1 tokens from `begin` on in its source's
// documents, joined in the order of the epoch.
struct SamplePlace {
  int source;
  int64_t epoch;
  int64_t begin;

  friend bool operator==(const SamplePlace&, const SamplePlace&) = default;
};

// From a sample's global index to its place. A pure function of sizes, weights,
// context, seed and index; nothing depends on ranks.
//
// In an epoch a source gives (tokens - 1) / context samples, at multiples of
// context: neighbours share one token, which is target to one and input to the
// other. They come in a shuffled order. The tokens after the last whole sample
// are left out, others in each epoch since the order of documents differs.
class Sampler {
 public:
  // InvalidArgument when context < 1, or when a source is shorter than a
  // sample; `names` (one a source) are for the message.
  static absl::StatusOr<Sampler> Make(absl::Span<const SourceSize> sources,
                                      absl::Span<const std::string> names,
                                      int64_t context, uint64_t seed,
                                      SampleOrder order);

  SamplePlace operator()(int64_t sample) const;  // sample >= 0

  // Samples that a source gives in an epoch.
  int64_t EpochSamples(int source) const { return epoch_samples_[source]; }
  // What orders the documents of a source in an epoch.
  uint64_t DocumentKey(int source, int64_t epoch) const;

 private:
  Sampler(Blend blend, std::vector<int64_t> epoch_samples, int64_t context,
          uint64_t seed, SampleOrder order);

  Blend blend_;
  std::vector<int64_t> epoch_samples_;
  int64_t context_;
  uint64_t seed_;
  SampleOrder order_;
};

}  // namespace eisbach::data
