#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "device/recorder.h"
#include "plan/hardware.h"

namespace eisbach::plan {

// What the linear layers' matrix products are computed in, where that is not
// the type of their operands.
enum class ProductType : uint8_t { kAsIs, kF8, kF4 };

// What a program does op by op, by way of memory, for comparisons with those
// that have no fused kernel of it.
struct Unfused {
  bool attention = false;  // and skips no masked pairs
  bool loss = false;       // of whole f32 logits
};

// InvalidArgument where a machine multiplies nothing of that type, or training
// computes in f32, which stays; the message names the nearest that works.
absl::Status Check(ProductType products, DType compute,
                   const Hardware& hardware);

// Seconds that a device is busy with an op: what was measured of it
// (Hardware::speeds), or a roofline (Williams et al. 2009):
//
//   the slower of  FLOP / (peak x efficiency)  and  bytes / (bandwidth x
//   memory_fraction), and at least kernel_gap
//
// A product of [M, K] x [K, N] is cut into tiles, of which the device computes
// `units` at a time; the last wave may be partly empty. Its efficiency is
//
//   matmul_fraction x (M N / (waves x units x tile)) /
//   (1 + half.rows / M + half.columns / N + half.inner / K)
//
// after "Matrix Multiplication Background User's Guide" (NVIDIA), sections 3
// and 4 (tile and wave quantization). Among tiles of one, a half and a quarter
// of the size the quickest is taken, smaller ones at a tenth less of the rate
// for each halving.
//
// `groups` products of one size in one kernel are cut into tiles together; the
// cost is that of all, its sizes are those of one.
//
// Without a fused kernel of attention, of all pairs of a row, masked ones too,
// the scores are written and read between products, softmax and dropout: 13
// bytes for each forward and 16 backward, in 16 bits (Korthikanti et al. 2022,
// section 4.1, has what of it is kept). Without one of the loss each logit is
// made f32 (6 bytes), its logarithm of a softmax is computed (two reads and a
// write) and its part of that picked; backward writes where the loss comes
// from, makes it a gradient (two reads and a write) and that 16 bits: 18 bytes
// and 22.
double OpSeconds(absl::string_view name, const OpCost& cost,
                 const Hardware& hardware, ProductType products,
                 const Unfused& unfused = {}, int64_t groups = 1);

// Of attention, its FLOP by the size of a head; 0 of others (OpSpeed::row).
double RowsOf(const OpCost& cost);

// Whether an op is attention, by its name.
bool IsAttention(absl::string_view name);

// Of the peak, what a product reaches; above 0.
double ProductEfficiency(double rows, double columns, double inner, DType dtype,
                         const Hardware& hardware, int64_t groups = 1);

}  // namespace eisbach::plan
