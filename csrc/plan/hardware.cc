#include "plan/hardware.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status_macros.h"

namespace eisbach::plan {
namespace {

absl::Status Bad(const Hardware& hardware, absl::string_view key, double value,
                 absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat(
      "hardware ", hardware.name, ": ", key, "=", value, " ", rule));
}

}  // namespace

const OpSpeed* Hardware::SpeedOf(absl::string_view op, DType dtype) const {
  const auto& measured = dtype == DType::kF32 ? speeds : speeds_f16;
  const auto it = measured.find(op);
  return it == measured.end() ? nullptr : &it->second;
}

absl::Status Check(const Hardware& h) {
  const struct {
    absl::string_view key;
    double value;
  } above[] = {{"peak.f32", h.peak.f32},
               {"memory.bytes", h.memory_bytes},
               {"memory.bandwidth", h.memory_bandwidth},
               {"network.bandwidth", h.network.bandwidth}};
  for (const auto& [key, value] : above) {
    if (!(value > 0) || !std::isfinite(value)) {
      return Bad(h, key, value, "must be above 0");
    }
  }
  const struct {
    absl::string_view key;
    double value;
  } shares[] = {{"matmul.fraction", h.matmul_fraction},
                {"attention.forward", h.attention_forward},
                {"attention.backward", h.attention_backward},
                {"memory.fraction", h.memory_fraction},
                {"domain.fraction", h.domain.fraction},
                {"network.fraction", h.network.fraction}};
  for (const auto& [key, value] : shares) {
    if (!(value > 0 && value <= 1)) {
      return Bad(h, key, value, "must be above 0 and at most 1");
    }
  }
  const struct {
    absl::string_view key;
    double value;
  } least[] = {{"peak.f16", h.peak.f16},
               {"peak.f8", h.peak.f8},
               {"peak.f4", h.peak.f4},
               {"matmul.units", static_cast<double>(h.units)},
               {"matmul.half_rows", h.half.rows},
               {"matmul.half_columns", h.half.columns},
               {"matmul.half_inner", h.half.inner},
               {"matmul.f16.half_rows", h.half_f16.rows},
               {"matmul.f16.half_columns", h.half_f16.columns},
               {"matmul.f16.half_inner", h.half_f16.inner},
               {"kernel_gap", h.kernel_gap},
               {"host_launch", h.host_launch},
               {"shared_by_collectives", h.shared_by_collectives},
               {"step_host", h.step_host},
               {"domain.latency", h.domain.latency},
               {"network.latency", h.network.latency},
               {"power.idle", h.idle_watts},
               {"power.busy", h.busy_watts},
               {"hours_between_failures", h.hours_between_failures},
               {"accuracy.median", h.accuracy.median},
               {"accuracy.p90", h.accuracy.p90}};
  for (const auto& [key, value] : least) {
    if (!(value >= 0) || !std::isfinite(value)) {
      return Bad(h, key, value, "must not be below 0");
    }
  }
  if (h.domain.devices < 1) {
    return Bad(h, "domain.devices", h.domain.devices, "must be at least 1");
  }
  if (h.domain.devices > 1 && !(h.domain.bandwidth > 0)) {
    return Bad(h, "domain.bandwidth", h.domain.bandwidth, "must be above 0");
  }
  if (h.units > 0 && (h.tile_rows < 1 || h.tile_columns < 1)) {
    return Bad(h, "matmul.tile_rows", h.tile_rows, "must be at least 1");
  }
  if (h.accuracy.p90 >= 1) {
    return Bad(h, "accuracy.p90", h.accuracy.p90, "must be below 1");
  }
  if (h.shared_by_collectives > 1) {
    return Bad(h, "shared_by_collectives", h.shared_by_collectives,
               "must be at most 1");
  }
  for (const auto& [name, speed] : h.collectives) {
    if (!(speed.bandwidth > 0 && speed.staged_bandwidth > 0)) {
      return Bad(h, absl::StrCat("collectives.", name, ".bandwidth"),
                 std::min(speed.bandwidth, speed.staged_bandwidth),
                 "must be above 0");
    }
  }
  return absl::OkStatus();
}

}  // namespace eisbach::plan
