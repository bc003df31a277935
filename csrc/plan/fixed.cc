#include "plan/fixed.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace eisbach::plan {
namespace {

using nn::Recompute;

double Number(const std::string& /*name*/) { return 0; }
template <typename T>
double Number(T value) {
  return static_cast<double>(value);
}

std::string Spelled(const std::string& name) { return name; }
template <typename T>
std::string Spelled(T value) {
  return absl::StrCat(static_cast<int64_t>(value));
}

template <auto kFixed, auto kLayout>
constexpr FixedKey Entry(Key key, absl::string_view name) {
  return {key,
          name,
          [](const Fixed& fixed) { return (fixed.*kFixed).has_value(); },
          [](const Fixed& from, Fixed& to) { to.*kFixed = from.*kFixed; },
          [](Fixed& to, const Layout& layout) { to.*kFixed = layout.*kLayout; },
          [](const Fixed& fixed, const Layout& layout) {
            const double number = Number(layout.*kLayout);
            return std::make_pair(std::abs(Number(*(fixed.*kFixed)) - number),
                                  number);
          },
          [](const Fixed& fixed) { return Spelled(*(fixed.*kFixed)); }};
}

constexpr FixedKey kKeys[] = {
    Entry<&Fixed::tensor, &Layout::tensor>(Key::kTensor, "parallel.tensor"),
    Entry<&Fixed::pipeline, &Layout::pipeline>(Key::kPipeline,
                                               "parallel.pipeline"),
    Entry<&Fixed::context, &Layout::context>(Key::kContext, "parallel.context"),
    Entry<&Fixed::data, &Layout::data>(Key::kData, "parallel.data"),
    Entry<&Fixed::micro_batch, &Layout::micro_batch>(Key::kMicroBatch,
                                                     "train.micro_batch"),
    Entry<&Fixed::chunks, &Layout::chunks>(Key::kChunks, "parallel.chunks"),
    Entry<&Fixed::schedule, &Layout::schedule>(Key::kSchedule,
                                               "parallel.schedule"),
    Entry<&Fixed::expert, &Layout::expert>(Key::kExpert, "expert_parallel"),
    Entry<&Fixed::zero, &Layout::zero>(Key::kOther, "parallel.zero"),
    Entry<&Fixed::recompute, &Layout::recompute>(Key::kOther,
                                                 "train.recompute"),
    Entry<&Fixed::recompute_layers, &Layout::recompute_layers>(
        Key::kOther, "train.recompute_layers"),
};

}  // namespace

std::vector<int> ZerosOf(const Fixed& fixed, const Layout& layout) {
  return Choices(fixed.zero, layout.copies() > 1 ? std::vector<int>{0, 1, 2, 3}
                                                 : std::vector<int>{0});
}

std::vector<Recompute> RecomputesOf(const Fixed& fixed) {
  std::vector<Recompute> free = {Recompute::kNothing, Recompute::kSelective,
                                 Recompute::kBlock};
  if (fixed.recompute_layers.value_or(kAllBlocks) != kAllBlocks) {
    free.erase(free.begin());
  }
  return Choices(fixed.recompute, std::move(free));
}

absl::Span<const FixedKey> FixedKeys() { return kKeys; }

std::vector<const FixedKey*> GivenKeys(const Fixed& fixed) {
  std::vector<const FixedKey*> given;
  for (const FixedKey& key : kKeys) {
    if (key.given(fixed)) given.push_back(&key);
  }
  return given;
}

}  // namespace eisbach::plan
