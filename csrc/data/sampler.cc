#include "data/sampler.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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
                                      absl::Span<const std::string> names,
                                      int64_t context, uint64_t seed,
                                      SampleOrder order) {
  if (context < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.context=", context, " must be at least 1"));
  }
  std::vector<double> weights;
  std::vector<int64_t> epoch_samples;
  for (size_t i = 0; i < sources.size(); ++i) {
    const int64_t tokens = sources[i].tokens;
    if (tokens < context + 1) {
      std::string why = absl::StrCat(
          names[i], " holds ", tokens,
          " tokens, fewer than one sample of model.context=", context,
          " and the token after it");
      if (tokens >= 2) {
        absl::StrAppend(&why,
                        "; nearest that works: model.context=", tokens - 1);
      }
      return absl::InvalidArgumentError(why);
    }
    weights.push_back(sources[i].weight);
    epoch_samples.push_back((tokens - 1) / context);
  }
  EISBACH_ASSIGN_OR_RETURN(Blend blend, Blend::Make(weights));
  return Sampler(std::move(blend), std::move(epoch_samples), context, seed,
                 order);
}

Sampler::Sampler(Blend blend, std::vector<int64_t> epoch_samples,
                 int64_t context, uint64_t seed, SampleOrder order)
    : blend_(std::move(blend)),
      epoch_samples_(std::move(epoch_samples)),
      context_(context),
      seed_(order == SampleOrder::kFixed ? kFixedSeed : seed),
      order_(order) {}

SamplePlace Sampler::operator()(int64_t sample) const {
  const Blend::Choice choice = blend_(sample);
  const int64_t per_epoch = epoch_samples_[choice.source];
  const int64_t epoch =
      order_ == SampleOrder::kFixed ? 0 : choice.index / per_epoch;
  const Permutation shuffled(per_epoch,
                             KeyFor("samples", seed_, choice.source, epoch));
  return {choice.source, epoch, shuffled(choice.index % per_epoch) * context_};
}

uint64_t Sampler::DocumentKey(int source, int64_t epoch) const {
  return KeyFor("documents", seed_, source, epoch);
}

}  // namespace eisbach::data
