#pragma once

#include "absl/time/time.h"
#include "device/tracer.h"

namespace eisbach::watch {

// For differences alone: nobody sets this clock.
inline absl::Time MonotonicNow() { return absl::FromUnixNanos(Tracer::Now()); }

}  // namespace eisbach::watch
