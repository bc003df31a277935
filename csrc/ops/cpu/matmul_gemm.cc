#include "ops/cpu/matmul_gemm.h"

#include <algorithm>
#include <memory>

#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"
#include "ops/cpu/convert.h"

namespace eisbach::ops::cpu {
namespace {

constexpr int64_t kRowBlock = 1024;
constexpr int64_t kConvertGrain = 1 << 14;  // elements a thread

char* At(const void* data, DType dtype, int64_t elements) {
  return static_cast<char*>(const_cast<void*>(data)) +
         elements * static_cast<int64_t>(SizeOf(dtype));
}

// Dense f32 [rows, columns] from rows of stride `ld`.
void RowsToFloat(const void* from, DType dtype, int64_t ld, int64_t rows,
                 int64_t columns, float* to) {
  const int64_t grain = std::max<int64_t>(1, kConvertGrain / columns);
  eisbach::cpu::ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ToFloat(At(from, dtype, i * ld), dtype, columns, to + i * columns);
    }
  });
}

void RowsFromFloat(const float* from, int64_t rows, int64_t columns, void* to,
                   DType dtype, int64_t ld) {
  const int64_t grain = std::max<int64_t>(1, kConvertGrain / columns);
  eisbach::cpu::ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      FromFloat(from + i * columns, columns, dtype, At(to, dtype, i * ld));
    }
  });
}

// The f32 copy of an operand [rows, columns] in the same orientation.
GemmOperand OperandToFloat(const GemmOperand& x, DType dtype, int64_t rows,
                           int64_t columns, float* to) {
  const int64_t outer = x.layout.transposed ? columns : rows;
  const int64_t inner = x.layout.transposed ? rows : columns;
  RowsToFloat(x.data, dtype, x.layout.ld, outer, inner, to);
  return {to, {x.layout.transposed, inner}};
}

// Elements of the f32 copies, and the rows that are computed at a time.
struct F32Copies {
  explicit F32Copies(const Gemm& gemm) {
    const bool out = gemm.c_dtype != DType::kF32;
    block = out ? std::min(kRowBlock, gemm.m) : gemm.m;
    if (gemm.in_dtype != DType::kF32) {
      a = block * gemm.k;
      b = gemm.k * gemm.n;
    }
    if (out) c = block * gemm.n;
    if (gemm.bias != nullptr && gemm.bias_dtype != DType::kF32) bias = gemm.n;
  }
  int64_t block;
  int64_t a = 0, b = 0, c = 0, bias = 0;
};

GemmOperand RowsOf(const GemmOperand& x, DType dtype, int64_t first_row) {
  const int64_t stride = x.layout.transposed ? 1 : x.layout.ld;
  return {At(x.data, dtype, first_row * stride), x.layout};
}

}  // namespace

Gemm MakeGemm(const MatmulArgs& args) {
  Gemm gemm;
  gemm.m = args.c.dim(0);
  gemm.n = args.c.dim(1);
  gemm.k = args.a.dim(1);
  gemm.in_dtype = args.a.dtype();
  gemm.a = {args.a.raw(), *LayoutOf(args.a)};
  gemm.b = {args.b.raw(), *LayoutOf(args.b)};
  gemm.bias = args.bias == nullptr ? nullptr : args.bias->raw();
  gemm.bias_dtype = args.bias == nullptr ? DType::kF32 : args.bias->dtype();
  gemm.accumulate = args.accumulate;
  gemm.c = args.c.raw();
  gemm.c_dtype = args.c.dtype();
  gemm.c_ld = LayoutOf(args.c)->ld;
  return gemm;
}

int64_t GemmInF32Bytes(const Gemm& gemm) {
  const F32Copies sizes(gemm);
  return (sizes.a + sizes.b + sizes.c + sizes.bias) *
         static_cast<int64_t>(sizeof(float));
}

Gemm GemmOfCost(const OpCost& cost) {
  const int64_t m = cost.rows, n = cost.columns, k = cost.inner;
  const auto& [a_transposed, b_transposed, accumulate, written] = cost.product;
  return {.m = m,
          .n = n,
          .k = k,
          .in_dtype = cost.dtype,
          .a = {nullptr, {a_transposed, a_transposed ? m : k}},
          .b = {nullptr, {b_transposed, b_transposed ? k : n}},
          .bias = nullptr,
          .bias_dtype = cost.dtype,
          .accumulate = accumulate,
          .c = nullptr,
          .c_dtype = written,
          .c_ld = n};
}

void FinishEmptyProduct(const Gemm& gemm) {
  if (gemm.accumulate || gemm.n == 0) return;
  constexpr int64_t kChunk = 256;
  float row[kChunk] = {};
  for (int64_t j = 0; j < gemm.n; j += kChunk) {
    const int64_t count = std::min(kChunk, gemm.n - j);
    if (gemm.bias != nullptr) {
      ToFloat(At(gemm.bias, gemm.bias_dtype, j), gemm.bias_dtype, count, row);
    }
    for (int64_t i = 0; i < gemm.m; ++i) {
      FromFloat(row, count, gemm.c_dtype,
                At(gemm.c, gemm.c_dtype, i * gemm.c_ld + j));
    }
  }
}

absl::Status GemmInF32(const Gemm& gemm, Device& device,
                       GemmFunction provider) {
  const F32Copies sizes(gemm);
  const bool convert_in = sizes.a > 0;
  const bool convert_out = sizes.c > 0;
  std::shared_ptr<Storage> storage;
  float* buffer = nullptr;
  if (const int64_t bytes = GemmInF32Bytes(gemm); bytes > 0) {
    EISBACH_ASSIGN_OR_RETURN(storage, device.Allocate(bytes));
    buffer = static_cast<float*>(storage->data());
  }
  float* const a_f32 = buffer;
  float* const b_f32 = a_f32 + sizes.a;
  float* const c_f32 = b_f32 + sizes.b;
  float* const bias_f32 = c_f32 + sizes.c;

  Gemm part = gemm;
  part.in_dtype = part.c_dtype = part.bias_dtype = DType::kF32;
  if (convert_in) {
    part.b = OperandToFloat(gemm.b, gemm.in_dtype, gemm.k, gemm.n, b_f32);
  }
  if (sizes.bias > 0) {
    ToFloat(gemm.bias, gemm.bias_dtype, gemm.n, bias_f32);
    part.bias = bias_f32;
  }
  for (int64_t row = 0; row < gemm.m; row += sizes.block) {
    part.m = std::min(sizes.block, gemm.m - row);
    part.a = RowsOf(gemm.a, gemm.in_dtype, row);
    if (convert_in) {
      part.a = OperandToFloat(part.a, gemm.in_dtype, part.m, gemm.k, a_f32);
    }
    char* const c = At(gemm.c, gemm.c_dtype, row * gemm.c_ld);
    part.c = convert_out ? static_cast<void*>(c_f32) : c;
    part.c_ld = convert_out ? gemm.n : gemm.c_ld;
    EISBACH_RETURN_IF_ERROR(provider(part, device));
    if (convert_out) {
      RowsFromFloat(c_f32, part.m, gemm.n, c, gemm.c_dtype, gemm.c_ld);
    }
  }
  return absl::OkStatus();
}

}  // namespace eisbach::ops::cpu
