#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace eisbach::plan {

// FLOP/s of matrix products at the chip's rated clock, dense, by the type of
// their operands; 0: it has none.
struct PeakRates {
  double f32 = 0;  // as training multiplies f32 there (TF32 on GPUs)
  double f16 = 0;  // f16 and bf16
  double f8 = 0;
  double f4 = 0;
};

// A level of the network, as one device sees it.
struct Link {
  // Devices that it joins: of a domain (NVLink, a host) their number; of the
  // outermost level, 0.
  int devices = 0;
  double bandwidth = 0;  // bytes/s of a device, in one direction
  double latency = 0;    // seconds of one message
  // Of `bandwidth`, what large collectives reach.
  double fraction = 1;
};

// How far forecasts were from measured steps: |forecast / measured - 1|.
struct Accuracy {
  double median = 0;
  double p90 = 0;  // of nine of ten steps it was less
  // Steps that were measured on such machines and played no part in the fit of
  // coefficients; 0: none, and the errors are those on other machines.
  int cases = 0;
};

// What a training job runs on. Each number is a property of the machine or a
// coefficient of the cost model with one meaning; configs/hardware/ has them
// with their sources.
struct Hardware {
  std::string name;

  PeakRates peak{};
  double memory_bytes = 0;
  double memory_bandwidth = 0;  // bytes/s

  // Of the peak, what the largest matrix products reach.
  double matmul_fraction = 1;
  // How products are cut into tiles, of which `units` are computed at a time; 0
  // units: not at all.
  int units = 0;
  int tile_rows = 128;
  int tile_columns = 128;
  // Inner size at which a product reaches half of `matmul_fraction`, beside
  // what tiles and memory allow: filling and draining of a tile's pipeline.
  double half_inner = 0;
  // Of the peak, what attention reaches, forward and backward.
  double attention_forward = 1;
  double attention_backward = 1;
  // Of memory_bandwidth, what ops that only move memory reach.
  double memory_fraction = 1;
  // Seconds from one kernel to the next on the device, and of the host for each
  // that it gives it. Of a captured step the host's do not count.
  double kernel_gap = 0;
  double host_launch = 0;
  // Of an op's rate, what collectives that run beside it take away.
  double shared_by_collectives = 0;

  Link domain{};
  Link network{};

  // Of a device with its share of host, switches and fans, in watts.
  double idle_watts = 0;
  double busy_watts = 0;
  // What the site draws for each watt of its computers.
  double site_factor = 1;
  // Mean hours between failures of one device that end the job.
  double hours_between_failures = 0;  // 0: nobody knows

  Accuracy accuracy{};
};

// InvalidArgument naming what is missing or out of range.
absl::Status Check(const Hardware& hardware);

}  // namespace eisbach::plan
