// Matmul on OpenBLAS, in f32.

#include <cblas.h>

#include <algorithm>

#include "core/components.h"
#include "device/cpu/parallel_for.h"
#include "ops/cpu/matmul_few_rows.h"
#include "ops/cpu/matmul_gemm.h"
#include "ops/workspace.h"

namespace eisbach::ops::cpu {
namespace {

// The threads are ours: OpenBLAS's own count is global to the process, while
// each rank thread has its own. Pieces depend on the shape alone, so the result
// does not depend on the thread count.
constexpr int64_t kPiece = 256;

const float* Offset(const GemmOperand& x, int64_t row, int64_t column) {
  const float* data = static_cast<const float*>(x.data);
  return x.layout.transposed ? data + column * x.layout.ld + row
                             : data + row * x.layout.ld + column;
}

// Rows [row, row + m) and columns [column, column + n) of the product.
void ComputePiece(const Gemm& gemm, int64_t row, int64_t m, int64_t column,
                  int64_t n) {
  float* c = static_cast<float*>(gemm.c) + row * gemm.c_ld + column;
  if (gemm.bias != nullptr) {
    const float* bias = static_cast<const float*>(gemm.bias) + column;
    for (int64_t i = 0; i < m; ++i) std::copy_n(bias, n, c + i * gemm.c_ld);
  }
  const bool add = gemm.accumulate || gemm.bias != nullptr;
  const auto side = [](const GemmOperand& x) {
    return x.layout.transposed ? CblasTrans : CblasNoTrans;
  };
  cblas_sgemm(CblasRowMajor, side(gemm.a), side(gemm.b), m, n, gemm.k, 1.0f,
              Offset(gemm.a, row, 0), gemm.a.layout.ld,
              Offset(gemm.b, 0, column), gemm.b.layout.ld, add ? 1.0f : 0.0f, c,
              gemm.c_ld);
}

absl::Status OpenBlasGemm(const Gemm& gemm, Device&) {
  [[maybe_unused]] static const bool single = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  const bool by_rows = gemm.m >= gemm.n;
  const int64_t size = by_rows ? gemm.m : gemm.n;
  const int64_t pieces = (size + kPiece - 1) / kPiece;
  eisbach::cpu::ParallelFor(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece * kPiece;
      const int64_t count = std::min(kPiece, size - first);
      if (by_rows) {
        ComputePiece(gemm, first, count, 0, gemm.n);
      } else {
        ComputePiece(gemm, 0, gemm.m, first, count);
      }
    }
  });
  return absl::OkStatus();
}

absl::Status MatmulCpu(const MatmulArgs& args, Stream& stream) {
  const Gemm gemm = MakeGemm(args);
  if (gemm.m == 0 || gemm.n == 0) return absl::OkStatus();
  if (gemm.k == 0) {
    FinishEmptyProduct(gemm);
    return absl::OkStatus();
  }
  if (HasFewRows(gemm)) return MultiplyFewRows(gemm, stream.device());
  return GemmInF32(gemm, stream.device(), &OpenBlasGemm);
}

[[maybe_unused]] const bool described = RegisterComponent(
    "matmul", [] { return std::string(openblas_get_config()); });

EISBACH_REGISTER_KERNEL(MatmulSlot, DeviceType::kCpu, &MatmulCpu);
[[maybe_unused]] const bool workspace_registered =
    RegisterWorkspace("matmul", DeviceType::kCpu, [](const OpCost& cost) {
      const Gemm gemm = GemmOfCost(cost);
      return HasFewRows(gemm) ? 0 : GemmInF32Bytes(gemm);
    });

}  // namespace
}  // namespace eisbach::ops::cpu
