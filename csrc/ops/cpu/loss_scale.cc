#include "ops/loss_scale.h"

#include <algorithm>
#include <cmath>

#include "ops/optimizer.h"

namespace eisbach::ops {
namespace {

bool AllFinite(const Tensor& values) {
  const double* begin = values.data<double>();
  return std::all_of(begin, begin + values.elements(),
                     [](double x) { return std::isfinite(x); });
}

absl::Status Update(const UpdateLossScaleArgs& args, Stream&) {
  float* state = args.step_state.data<float>();
  double& norm_squared = *args.norm_squared.data<double>();
  float& scale = state[kLossScale];
  *args.used.data<double>() = scale;
  norm_squared /= static_cast<double>(scale) * scale;
  if (state[kVoid] != 0.0f) return absl::OkStatus();
  const bool finite = std::isfinite(norm_squared);
  if (!AllFinite(args.losses) || (!finite && scale <= kLeastLossScale)) {
    state[kFinite] = 0;
    state[kVoid] = 1;
    return absl::OkStatus();
  }
  state[kFinite] = 1;
  float& good = state[kGoodSteps];
  if (!finite) {
    scale = std::max(kLeastLossScale, scale / 2);
    good = 0;
  } else if (++good >= static_cast<float>(args.window)) {
    scale = std::min(kMostLossScale, scale * 2);
    good = 0;
  }
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(UpdateLossScaleSlot, DeviceType::kCpu, &Update);

}  // namespace
}  // namespace eisbach::ops
