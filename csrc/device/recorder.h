#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace eisbach {

// What one op costs on any device.
struct OpCost {
  double flops = 0;
  double bytes_read = 0;
  double bytes_written = 0;
};

// What one collective moves: `bytes` is the size of the buffer as the caller
// sees it (the whole of it for all-reduce, the gathered one for all-gather).
struct CollectiveCost {
  double bytes = 0;
  int group_size = 1;
};

// Hears of every op and collective that a device's streams are given, before
// it runs, so that it can be planned; tracer.h tells what it took. Called on
// the thread that issues the work.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void OnOp(absl::string_view name, const OpCost& cost) = 0;
  virtual void OnCollective(absl::string_view name, absl::string_view group,
                            const CollectiveCost& cost) = 0;
};

}  // namespace eisbach
