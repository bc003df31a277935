#pragma once

#include <string>
#include <vector>

namespace eisbach {

// Instruction sets of this CPU that matter for speed and that the system has
// enabled, as /proc/cpuinfo spells them. On x86-64: "avx2", "fma", "avx512f",
// "avx512_bf16", "amx_bf16". On aarch64: "asimd" (NEON), "asimdhp", "asimddp",
// "sve", "sve2", "i8mm", "bf16".
std::vector<std::string> CpuFeatures();

}  // namespace eisbach
