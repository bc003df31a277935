#include "ops/cpu/stochastic_rounding.h"

#include <algorithm>
#include <bit>

#include "device/cpu/parallel_for.h"
#include "ops/rounding_bits.h"

namespace eisbach::ops {

void RoundRange(const float* from, BFloat16* to, int64_t begin, int64_t end,
                const StochasticRounding& rounding) {
  const PhiloxKey key = MakePhiloxKey(rounding.key);
  const auto step = static_cast<uint64_t>(*rounding.step.data<int64_t>());
  while (begin < end) {
    const int64_t index = rounding.first + begin;
    const int64_t place = index % kRoundingGroup;
    const PhiloxCounter words =
        Philox(RoundingCounter(index / kRoundingGroup, step), key);
    const int64_t count = std::min(kRoundingGroup - place, end - begin);
    for (int64_t j = 0; j < count; ++j) {
      const int64_t at = place + j;
      const uint32_t random = words[at / 2] >> (at % 2 * 16) & 0xffffu;
      to[begin + j] = std::bit_cast<BFloat16>(
          RoundToBF16(std::bit_cast<uint32_t>(from[begin + j]), random));
    }
    begin += count;
  }
}

namespace {

constexpr int64_t kRoundingGrain = 8192;  // elements a thread

absl::Status Round(const RoundStochasticallyArgs& args, Stream&) {
  const float* from = args.from.data<float>();
  BFloat16* to = args.to.data<BFloat16>();
  eisbach::cpu::ParallelFor(args.from.elements(), kRoundingGrain,
                            [&](int64_t begin, int64_t end) {
                              RoundRange(from, to, begin, end, args.rounding);
                            });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(RoundStochasticallySlot, DeviceType::kCpu, &Round);

}  // namespace
}  // namespace eisbach::ops
