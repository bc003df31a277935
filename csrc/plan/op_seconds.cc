#include "plan/op_seconds.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace eisbach::plan {
namespace {

// Of the rate, what each halving of a tile leaves: less is reused.
constexpr double kSmallerTile = 0.9;
constexpr int kHalvings = 2;

double PeakOf(DType dtype, ProductType products, const Hardware& hardware) {
  const PeakRates& peak = hardware.peak;
  if (dtype == DType::kF32) return peak.f32;
  if (products == ProductType::kF4 && peak.f4 > 0) return peak.f4;
  if (products != ProductType::kAsIs && peak.f8 > 0) return peak.f8;
  return peak.Of(dtype);
}

bool IsBackward(absl::string_view name) {
  return absl::StrContains(name, "backward");
}

// `columns` is the size of a head. Fused kernels compute half of the pairs, and
// backward the forward again: five products instead of four.
double PlainAttention(absl::string_view name, const OpCost& cost,
                      const Hardware& h) {
  const bool backward = IsBackward(name);
  const double products = backward ? 5 : 2;
  const double pairs = 2 * cost.flops / (2 * products * cost.columns);
  const double flops = (backward ? 4 : 2) * 2 * pairs * cost.columns;
  // A row of scores is as long as it is wide.
  const double compute =
      flops / (PeakOf(cost.dtype, ProductType::kAsIs, h) * h.matmul_fraction *
               cost.columns / (cost.columns + h.half_f16.inner));
  const double bytes = (backward ? 16 : 13) * pairs;
  return compute + bytes / (h.memory_bandwidth * h.memory_fraction) +
         6 * h.kernel_gap;
}

double PlainLossBytes(absl::string_view name, const OpCost& cost) {
  const double logits =
      cost.bytes_read / static_cast<double>(SizeOf(cost.dtype));
  return logits * (IsBackward(name) ? 22 : 18);
}

}  // namespace

double RowsOf(const OpCost& cost) {
  if (cost.columns == 0) return 0;
  return cost.flops / static_cast<double>(cost.columns);
}

bool IsAttention(absl::string_view name) {
  return absl::StartsWith(name, "attention");
}

double ProductEfficiency(double rows, double columns, double inner, DType dtype,
                         const Hardware& h, int64_t groups) {
  const HalfSizes& half = h.HalfSizesOf(dtype);
  const double filled =
      1 / (1 + half.rows / rows + half.columns / columns + half.inner / inner);
  if (h.units == 0) return h.matmul_fraction * filled;
  double best = 0, rate = 1;
  const auto products = static_cast<double>(groups);
  double tile_rows = h.tile_rows, tile_columns = h.tile_columns;
  for (int halving = 0; halving <= kHalvings; ++halving) {
    const double tiles = products * std::ceil(rows / tile_rows) *
                         std::ceil(columns / tile_columns);
    const double waves = std::ceil(tiles / h.units);
    const double used = products * rows * columns /
                        (waves * h.units * tile_rows * tile_columns);
    best = std::max(best, rate * used);
    (halving % 2 == 0 ? tile_columns : tile_rows) /= 2;
    rate *= kSmallerTile;
  }
  return h.matmul_fraction * filled * best;
}

double OpSeconds(absl::string_view name, const OpCost& cost, const Hardware& h,
                 ProductType products, const Unfused& unfused, int64_t groups) {
  if (unfused.attention && IsAttention(name) && cost.flops > 0) {
    return PlainAttention(name, cost, h);
  }
  const double bytes = unfused.loss && absl::StartsWith(name, "cross_entropy")
                           ? PlainLossBytes(name, cost)
                           : cost.bytes();
  const OpSpeed* speed = h.SpeedOf(name, cost.dtype);
  if (speed != nullptr && cost.inner == 0) {
    return speed->call + cost.flops * speed->flop + bytes * speed->byte +
           RowsOf(cost) * speed->row;
  }
  double compute = 0;
  if (cost.inner > 0) {
    compute = cost.flops / (PeakOf(cost.dtype, products, h) *
                            ProductEfficiency(static_cast<double>(cost.rows),
                                              static_cast<double>(cost.columns),
                                              static_cast<double>(cost.inner),
                                              cost.dtype, h, groups));
  } else if (IsAttention(name)) {
    compute = cost.flops /
              (PeakOf(cost.dtype, ProductType::kAsIs, h) *
               (IsBackward(name) ? h.attention_backward : h.attention_forward));
  }
  const double memory = bytes / (h.memory_bandwidth * h.memory_fraction);
  return std::max({compute, memory, h.kernel_gap}) +
         (speed == nullptr ? 0 : speed->call);
}

absl::Status Check(ProductType products, DType compute,
                   const Hardware& hardware) {
  const PeakRates& peak = hardware.peak;
  const bool f4 = products == ProductType::kF4;
  if (products == ProductType::kAsIs) return absl::OkStatus();
  const absl::string_view name = f4 ? "f4" : "f8";
  if (compute == DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("products=", name,
                     ": only 16-bit operands are made narrower, and "
                     "precision.compute is f32; nearest that works: "
                     "precision.compute=bf16"));
  }
  if ((f4 ? peak.f4 : peak.f8) > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("products=", name, ": ", hardware.name,
                   " multiplies nothing in it; nearest that works: ",
                   f4 && peak.f8 > 0 ? "f8" : "as_is"));
}

}  // namespace eisbach::plan
