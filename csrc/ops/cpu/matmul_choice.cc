#include "ops/cpu/matmul_choice.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace eisbach::ops::cpu {

bool IsReference(absl::string_view implementation) {
  for (absl::string_view part : absl::StrSplit(implementation, ':')) {
    if (part == "ref" || absl::StartsWith(part, "ref_")) return true;
  }
  return false;
}

bool TakesAsItIs(DType dtype, absl::string_view implementation,
                 bool dots_bf16) {
  if (dtype == DType::kF32) return true;
  if (implementation.empty() || IsReference(implementation)) return false;
  const bool converts = absl::StrContains(implementation, "gemm");
  return !converts || (dtype == DType::kBF16 && dots_bf16);
}

}  // namespace eisbach::ops::cpu
