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
  int64_t samples;  // that it gives in an epoch, at least 1
  double weight;
};

// Which of a source's samples it is, counted as the source has them in an
// epoch.
struct SamplePlace {
  int source;
  int64_t epoch;
  int64_t index;

  friend bool operator==(const SamplePlace&, const SamplePlace&) = default;
};

// From a sample's global index to its place. A pure function of sizes, weights,
// seed and index; nothing depends on ranks. In an epoch a source gives each of
// its samples once, in a shuffled order.
class Sampler {
 public:
  // Errors as Blend::Make.
  static absl::StatusOr<Sampler> Make(absl::Span<const SourceSize> sources,
                                      uint64_t seed, SampleOrder order);

  SamplePlace operator()(int64_t sample) const;  // sample >= 0

  // Samples that a source gives in an epoch.
  int64_t EpochSamples(int source) const { return epoch_samples_[source]; }
  // What orders the documents of a source in an epoch.
  uint64_t DocumentKey(int source, int64_t epoch) const;

 private:
  Sampler(Blend blend, std::vector<int64_t> epoch_samples, uint64_t seed,
          SampleOrder order);

  Blend blend_;
  std::vector<int64_t> epoch_samples_;
  uint64_t seed_;
  SampleOrder order_;
};

}  // namespace eisbach::data
