#include "data/sampler.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "data/permutation.h"

namespace eisbach::data {
namespace {

constexpr uint64_t kFixedSeed = StableHash("eisbach.data.fixed");

uint64_t KeyFor(absl::string_view purpose, uint64_t seed, int source,
                int64_t epoch) {
  uint64_t key = MixBits(seed ^ StableHash(purpose));
  key = MixBits(key ^ static_cast<uint64_t>(source));
  return MixBits(key ^ static_cast<uint64_t>(epoch));
}

}  // namespace

absl::StatusOr<Sampler> Sampler::Make(absl::Span<const SourceSize> sources,
                                      uint64_t seed, SampleOrder order) {
  std::vector<double> weights;
  std::vector<int64_t> epoch_samples;
  for (const SourceSize& source : sources) {
    weights.push_back(source.weight);
    epoch_samples.push_back(source.samples);
  }
  EISBACH_ASSIGN_OR_RETURN(Blend blend, Blend::Make(weights));
  return Sampler(std::move(blend), std::move(epoch_samples), seed, order);
}

Sampler::Sampler(Blend blend, std::vector<int64_t> epoch_samples, uint64_t seed,
                 SampleOrder order)
    : blend_(std::move(blend)),
      epoch_samples_(std::move(epoch_samples)),
      seed_(order == SampleOrder::kFixed ? kFixedSeed : seed),
      order_(order) {}

SamplePlace Sampler::operator()(int64_t sample) const {
  const Blend::Choice choice = blend_(sample);
  const int64_t per_epoch = epoch_samples_[choice.source];
  const int64_t epoch =
      order_ == SampleOrder::kFixed ? 0 : choice.index / per_epoch;
  const Permutation shuffled(per_epoch,
                             KeyFor("samples", seed_, choice.source, epoch));
  return {choice.source, epoch, shuffled(choice.index % per_epoch)};
}

uint64_t Sampler::DocumentKey(int source, int64_t epoch) const {
  return KeyFor("documents", seed_, source, epoch);
}

}  // namespace eisbach::data
