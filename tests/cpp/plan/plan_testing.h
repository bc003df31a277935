#pragma once

#include "plan/hardware.h"
#include "support/toy.h"

namespace eisbach::plan {

// A machine of round numbers: hosts of 4, products at 1 TFLOP/s in f32.
inline Hardware RoundMachine() {
  Hardware machine;
  machine.name = "round";
  machine.peak = {.f32 = 1e12, .f16 = 2e12, .f8 = 4e12, .f4 = 8e12};
  machine.memory_bytes = 16e9;
  machine.memory_bandwidth = 1e11;
  machine.domain = {.devices = 4, .bandwidth = 1e10, .latency = 1e-6};
  machine.network = {.bandwidth = 1e9, .latency = 1e-5};
  machine.idle_watts = 100;
  machine.busy_watts = 500;
  return machine;
}

}  // namespace eisbach::plan
