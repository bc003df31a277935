#include "tensor/init.h"

#include <algorithm>
#include <vector>

#include "core/hash.h"
#include "core/philox.h"
#include "core/status_macros.h"
#include "core/threads.h"
#include "tensor/host_values.h"

namespace eisbach {
namespace {

// Elements 2i and 2i + 1 of a tensor share counter i.
float NormalAt(uint64_t index, PhiloxKey key) {
  const uint64_t pair = index / 2;
  const PhiloxCounter bits = Philox(
      {static_cast<uint32_t>(pair), static_cast<uint32_t>(pair >> 32), 0, 0},
      key);
  return ToNormal(bits[0], bits[1])[index % 2];
}

// Elements 4i to 4i + 3 share counter i.
float UniformAt(uint64_t index, PhiloxKey key) {
  const uint64_t four = index / 4;
  const PhiloxCounter bits = Philox(
      {static_cast<uint32_t>(four), static_cast<uint32_t>(four >> 32), 0, 0},
      key);
  return 2 * ToUniform(bits[index % 4]) - 1;
}

float ConstantOf(const Init& init) {
  if (init.kind == Init::Kind::kValue) return init.value;
  return init.kind == Init::Kind::kOnes ? 1.0f : 0.0f;
}

void FillSlice(const ParamSpec& spec, const LogicalSlice& slice, uint64_t seed,
               float* local) {
  float* out = local + SliceOffset(spec, slice);
  const bool normal = spec.init.kind == Init::Kind::kNormal;
  if (!normal && spec.init.kind != Init::Kind::kUniform) {
    std::fill_n(out, SliceElements(slice), ConstantOf(spec.init));
    return;
  }
  const PhiloxKey key = MakePhiloxKey(MixBits(seed ^ StableHash(slice.name)));
  const bool matrix = slice.shape.rank() > 1;
  const int64_t columns = matrix ? slice.shape[1] : 1;
  const int64_t width = matrix ? slice.extent[1] : 1;
  const int64_t first_column = matrix ? slice.start[1] : 0;
#pragma omp parallel
  {
    JoinTeam();
#pragma omp for schedule(static)
    for (int64_t r = 0; r < slice.extent[0]; ++r) {
      const int64_t base = (slice.start[0] + r) * columns + first_column;
      for (int64_t c = 0; c < width; ++c) {
        out[r * width + c] = normal
                                 ? spec.init.stddev * NormalAt(base + c, key)
                                 : spec.init.bound * UniformAt(base + c, key);
      }
    }
  }
}

}  // namespace

absl::Status InitParameter(Parameter& parameter, uint64_t seed,
                           Stream& stream) {
  const ParamSpec& spec = parameter.spec();
  if (stream.device().type() == DeviceType::kMeta) return absl::OkStatus();
  std::vector<float> host(spec.shape.elements(), 0.0f);
  for (const LogicalSlice& slice : spec.slices) {
    FillSlice(spec, slice, seed, host.data());
  }
  return WriteValues(host.data() + parameter.own().begin, parameter.master(),
                     stream);
}

}  // namespace eisbach
