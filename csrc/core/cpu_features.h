#pragma once

#include <string>
#include <vector>

namespace eisbach {

// Instruction sets of this CPU that matter for speed, as Linux spells them:
// "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "sve", "bf16".
std::vector<std::string> CpuFeatures();

}  // namespace eisbach
