#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace eisbach {

// The named axes of the rank mesh, slowest first in the default order: ranks
// that differ in the last axis only are neighbours.
enum class Axis : uint8_t { kPipeline, kData, kContext, kTensor };

inline constexpr int kNumAxes = 4;

constexpr absl::string_view Name(Axis axis) {
  switch (axis) {
    case Axis::kPipeline:
      return "pipeline";
    case Axis::kData:
      return "data";
    case Axis::kContext:
      return "context";
    case Axis::kTensor:
      return "tensor";
  }
  return "?";
}

}  // namespace eisbach
