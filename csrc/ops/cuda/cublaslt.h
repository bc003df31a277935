#pragma once

#include <cublasLt.h>

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "device/cuda/cuda_device.h"
#include "ops/cuda/type.h"

namespace eisbach::cuda {

// What the product may do with its result on the way out.
enum class Epilogue : uint8_t {
  kNone,
  kBias,          // c += bias[n]
  kBiasGradient,  // and bias[m] = sum over k of a: for c = dy^T x
};

// c[m, n] = a[m, k] b[k, n] (+ c), row-major with leading dimensions; a
// transposed operand lies as [k, m] or [n, k].
struct GemmShape {
  int64_t m, n, k;
  int64_t lda, ldb, ldc;
  bool a_transposed, b_transposed;
  bool accumulate;
  Type in, out;  // of a and b, of c
  bool tf32;     // f32 operands may be rounded to it
  Epilogue epilogue;
  int alignment_a, alignment_b, alignment_c;  // bytes, at most 256

  auto operator<=>(const GemmShape&) const = default;
};

struct GemmOperands {
  const void* a;
  const void* b;
  void* c;
  void* bias;  // read or written, by the epilogue
};

// cuBLASLt on one GPU: its handle, and for each shape the algorithm that its
// heuristic puts first. Sums are in f32 (no reduced precision).
class CublasLt {
 public:
  static absl::StatusOr<std::unique_ptr<CublasLt>> Make(CudaDevice& device);
  ~CublasLt();

  // Workspace comes from the device's allocator, in the order of its compute
  // stream, which `stream` is.
  absl::Status Run(const GemmShape& shape, const GemmOperands& operands,
                   CudaDevice& device, cudaStream_t stream);

 private:
  struct Plan;
  explicit CublasLt(cublasLtHandle_t handle);
  absl::StatusOr<const Plan*> Find(const GemmShape& shape);

  const cublasLtHandle_t handle_;
  std::mutex mutex_;
  std::map<GemmShape, std::unique_ptr<Plan>> plans_;
};

}  // namespace eisbach::cuda
