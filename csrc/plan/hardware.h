#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/dtype.h"
#include "device/device.h"

namespace eisbach::plan {

// FLOP/s of matrix products at the chip's rated clock, dense, by the type of
// their operands; 0: it has none.
struct PeakRates {
  double f32 = 0;  // as training multiplies f32 there (TF32 on GPUs)
  double f16 = 0;  // f16 and bf16; 0: they are multiplied as f32
  double f8 = 0;
  double f4 = 0;

  // Of the types that training computes in.
  double Of(DType dtype) const {
    return dtype == DType::kF32 || f16 == 0 ? f32 : f16;
  }
};

// Sizes of a product of [rows, inner] x [inner, columns] at which it takes
// twice the time of its arithmetic, beside what tiles and memory allow: filling
// and draining of a tile's pipeline, and, where operands are packed or copied
// into another type, what that takes.
struct HalfSizes {
  double rows = 0;
  double columns = 0;
  double inner = 0;
};

// What an op takes that was measured (calibrate.h): these seconds, and such for
// each of its operations and bytes. The seconds of a call come on top of what a
// product takes by its shape.
struct OpSpeed {
  double call = 0;
  double flop = 0;
  double byte = 0;
  double row = 0;  // of attention, for each FLOP by the size of a head: softmax
};

// The same of a collective inside a domain: its bandwidth is that of a Link.
struct CollectiveSpeed {
  double latency = 0;
  double bandwidth = 0;
  // Of tensors that lie where other ranks do not reach them: those that are
  // exchanged in the order of the ops.
  double staged_bandwidth = 0;
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
  DeviceType device = DeviceType::kCuda;

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
  HalfSizes half{};      // of f32
  HalfSizes half_f16{};  // of all else
  // Of the peak, what attention reaches, forward and backward.
  double attention_forward = 1;
  double attention_backward = 1;
  // Of memory_bandwidth, what ops that only move memory reach.
  double memory_fraction = 1;
  // Seconds from one kernel to the next on the device, and of the host for each
  // that it gives it. Of a captured step the host's do not count.
  double kernel_gap = 0;
  double host_launch = 0;
  // Of an op's rate, what collectives that run beside it take away; 1: they
  // take turns, as on a CPU whose cores all compute.
  double shared_by_collectives = 0;
  // Ops and collectives that were measured, by their names; what is not among
  // them has the figures above and below. Those on 16-bit activations have
  // their own.
  absl::flat_hash_map<std::string, OpSpeed> speeds{};
  absl::flat_hash_map<std::string, OpSpeed> speeds_f16{};
  absl::flat_hash_map<std::string, CollectiveSpeed> collectives{};
  // Seconds of a step in which the host reads the batch and tells the result.
  double step_host = 0;

  Link domain{};
  Link network{};

  const HalfSizes& HalfSizesOf(DType dtype) const {
    return dtype == DType::kF32 ? half : half_f16;
  }
  // Null: it was not measured.
  const OpSpeed* SpeedOf(absl::string_view op, DType dtype) const;

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
