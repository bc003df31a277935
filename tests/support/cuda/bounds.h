#pragma once

namespace eisbach::emulation {

// `__launch_bounds__` of a kernel, as the emulation compiles it: no-ops at its
// beginning, one a warp, which a launch can count. 0 where it has none.
unsigned BoundOf(const void* kernel);

}  // namespace eisbach::emulation

// The kernel is no alias of another with the same body and another bound.
#define EMULATION_BOUND(threads, ...) \
  __attribute__((no_icf, patchable_function_entry((threads) / 32, 0)))
