// A double of the part of cuBLASLt that the backend calls: matmuls with
// epilogues as work in a stream, in f32. It refuses what the documentation
// does not list. The declarations are NVIDIA's.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "core/mix_bits.h"
#include "support/cuda/streams.h"

namespace {

using eisbach::MixBits;
using eisbach::doubles::counters;
using eisbach::doubles::CurrentDevice;
using eisbach::doubles::Enqueue;
using eisbach::doubles::IsDeviceMemory;
using eisbach::doubles::IsOfCurrentDevice;
using eisbach::doubles::Lock;

struct Desc {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  cublasOperation_t op_a = CUBLAS_OP_N;
  cublasOperation_t op_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  cudaDataType_t bias_type = CUDA_R_32F;
  void* aux = nullptr;
  int64_t aux_ld = 0;
  cudaDataType_t aux_type = CUDA_R_32F;
};

struct Matrix {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t ld;
};

struct Preference {
  uint64_t max_workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

Desc& Get(cublasLtMatmulDesc_t desc) { return *reinterpret_cast<Desc*>(desc); }
Matrix& Get(cublasLtMatrixLayout_t layout) {
  return *reinterpret_cast<Matrix*>(layout);
}
Preference& Get(cublasLtMatmulPreference_t preference) {
  return *reinterpret_cast<Preference*>(preference);
}

size_t SizeOf(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

float Read(const void* data, cudaDataType_t type, size_t i) {
  switch (type) {
    case CUDA_R_16BF:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
    case CUDA_R_16F:
      return __half2float(static_cast<const __half*>(data)[i]);
    default:
      return static_cast<const float*>(data)[i];
  }
}

void Write(void* data, cudaDataType_t type, size_t i, float value) {
  switch (type) {
    case CUDA_R_16BF:
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
      return;
    case CUDA_R_16F:
      static_cast<__half*>(data)[i] = __float2half_rn(value);
      return;
    default:
      static_cast<float*>(data)[i] = value;
  }
}

bool Known(cudaDataType_t type) {
  return type == CUDA_R_32F || type == CUDA_R_16BF || type == CUDA_R_16F;
}

// The combinations of NVIDIA's table for CUBLAS_COMPUTE_32F, and the shapes
// that fit one another.
bool Supported(const Desc& d, const Matrix& a, const Matrix& b, const Matrix& c,
               const Matrix& out) {
  const bool in_f32 = a.type == CUDA_R_32F;
  if (!Known(a.type) || a.type != b.type || !Known(out.type) ||
      c.type != out.type || d.scale != CUDA_R_32F ||
      (d.compute != CUBLAS_COMPUTE_32F &&
       d.compute != CUBLAS_COMPUTE_32F_FAST_TF32) ||
      (d.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && !in_f32)) {
    return false;
  }
  if (out.type != CUDA_R_32F && out.type != a.type) return false;
  if (d.epilogue != CUBLASLT_EPILOGUE_DEFAULT &&
      d.epilogue != CUBLASLT_EPILOGUE_DGELU && d.bias_type != out.type) {
    return false;
  }
  const uint64_t m = d.op_a == CUBLAS_OP_N ? a.rows : a.columns;
  const uint64_t k = d.op_a == CUBLAS_OP_N ? a.columns : a.rows;
  const uint64_t kb = d.op_b == CUBLAS_OP_N ? b.rows : b.columns;
  const uint64_t n = d.op_b == CUBLAS_OP_N ? b.columns : b.rows;
  for (const Matrix* x : {&a, &b, &c, &out}) {
    if (x->rows == 0 || x->columns == 0 || x->ld < int64_t(x->rows)) {
      return false;
    }
  }
  return k == kb && out.rows == m && out.columns == n && c.rows == m &&
         c.columns == n;
}

// To nearest among numbers with 10 bits of fraction, ties away from zero.
float ToTf32(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  bits = (bits + (1u << 12)) & ~((1u << 13) - 1);
  std::memcpy(&value, &bits, sizeof(bits));
  return value;
}

// x or its transpose as a dense row-major matrix.
std::vector<float> Dense(const void* data, const Matrix& x, bool transpose,
                         bool tf32) {
  std::vector<float> dense(x.rows * x.columns);
  for (uint64_t j = 0; j < x.columns; ++j) {
    for (uint64_t i = 0; i < x.rows; ++i) {
      float value = Read(data, x.type, i + j * x.ld);
      if (tf32) value = ToTf32(value);
      dense[transpose ? j * x.rows + i : i * x.columns + j] = value;
    }
  }
  return dense;
}

float Gelu(float x) {
  return 0.5f * x *
         (1 + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
}
float GeluGradient(float x) {
  const float t = std::tanh(0.7978845608f * (x + 0.044715f * x * x * x));
  return 0.5f * (1 + t) +
         0.5f * x * (1 - t * t) * 0.7978845608f * (1 + 3 * 0.044715f * x * x);
}

struct Call {
  Desc d;
  Matrix a, b, c, out;
  const void *a_data, *b_data, *c_data;
  void* out_data;
  float alpha, beta;

  void Run() const {
    const uint64_t m = out.rows, n = out.columns;
    const uint64_t k = d.op_a == CUBLAS_OP_N ? a.columns : a.rows;
    // The transpose of op(a) and op(b): [k, m] and [k, n]. The product is kept
    // as [n, m], as it is stored.
    const bool tf32 = d.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const std::vector<float> x = Dense(a_data, a, d.op_a == CUBLAS_OP_N, tf32);
    const std::vector<float> y = Dense(b_data, b, d.op_b != CUBLAS_OP_N, tf32);
    std::vector<float> product(m * n, 0.0f);
    for (uint64_t j = 0; j < n; ++j) {
      float* const row = product.data() + j * m;
      for (uint64_t p = 0; p < k; ++p) {
        const float factor = y[p * n + j];
        const float* const column = x.data() + p * m;
        for (uint64_t i = 0; i < m; ++i) row[i] += column[i] * factor;
      }
    }
    for (uint64_t j = 0; j < n; ++j) {
      for (uint64_t i = 0; i < m; ++i) Finish(i, j, product[j * m + i]);
    }
    if (d.epilogue == CUBLASLT_EPILOGUE_BGRADB) {
      for (uint64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (uint64_t p = 0; p < k; ++p) sum += y[p * n + j];
        Write(d.bias, d.bias_type, j, sum);
      }
    }
  }

  void Finish(uint64_t i, uint64_t j, float value) const {
    value *= alpha;
    if (beta != 0) value += beta * Read(c_data, c.type, i + j * c.ld);
    switch (d.epilogue) {
      case CUBLASLT_EPILOGUE_BIAS:
        value += Read(d.bias, d.bias_type, i);
        break;
      case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
        value += Read(d.bias, d.bias_type, i);
        Write(d.aux, d.aux_type, i + j * d.aux_ld, value);
        value = Gelu(Read(d.aux, d.aux_type, i + j * d.aux_ld));
        break;
      case CUBLASLT_EPILOGUE_DGELU:
        value *= GeluGradient(Read(d.aux, d.aux_type, i + j * d.aux_ld));
        break;
      default:
        break;
    }
    Write(out_data, out.type, i + j * out.ld, value);
  }
};

// What an algorithm was chosen for, and what it needs; lies in
// cublasLtMatmulAlgo_t.
struct Algorithm {
  uint32_t alignment[4];
  uint64_t workspace;
  uint64_t problem;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

// Tells matmuls of different types, sizes and epilogues apart.
uint64_t ProblemOf(const Desc& d, const Matrix& a, const Matrix& b,
                   const Matrix& out) {
  uint64_t hash = 0;
  for (const uint64_t part :
       {uint64_t(d.compute), uint64_t(d.op_a), uint64_t(d.op_b),
        uint64_t(d.epilogue), uint64_t(a.type), uint64_t(out.type), a.rows,
        a.columns, uint64_t(a.ld), b.rows, b.columns, uint64_t(b.ld), out.rows,
        out.columns, uint64_t(out.ld)}) {
    hash = MixBits(hash ^ part);
  }
  return hash;
}

template <typename T>
cublasStatus_t Assign(T& place, const void* from, size_t bytes) {
  if (bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&place, from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

size_t CUBLASWINAPI cublasLtGetVersion() { return CUBLAS_VERSION; }
const char* CUBLASWINAPI cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_NOT_SUPPORTED ? "not supported"
                                               : "error of cuBLASLt's double";
}
cublasStatus_t CUBLASWINAPI cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int(CurrentDevice()));
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t CUBLASWINAPI cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI
cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc,
                         cublasComputeType_t compute, cudaDataType_t scale) {
  *desc = reinterpret_cast<cublasLtMatmulDesc_t>(new Desc{compute, scale});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t CUBLASWINAPI
cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete &Get(desc);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t CUBLASWINAPI cublasLtMatmulDescSetAttribute(
    cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name,
    const void* value, size_t bytes) {
  Desc& d = Get(desc);
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return Assign(d.op_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return Assign(d.op_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return Assign(d.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return Assign(d.bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return Assign(d.bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return Assign(d.aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return Assign(d.aux_ld, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE:
      return Assign(d.aux_type, value, bytes);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
}

cublasStatus_t CUBLASWINAPI
cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                           uint64_t rows, uint64_t columns, int64_t ld) {
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Matrix{type, rows, columns, ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t CUBLASWINAPI
cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete &Get(layout);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI
cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t CUBLASWINAPI
cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete &Get(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t CUBLASWINAPI
cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                     cublasLtMatmulPreferenceAttributes_t name,
                                     const void* value, size_t bytes) {
  Preference& p = Get(preference);
  switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return Assign(p.max_workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return Assign(p.alignment[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return Assign(p.alignment[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return Assign(p.alignment[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return Assign(p.alignment[3], value, bytes);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
}

// One algorithm wants no workspace, another more than one wants to count on.
cublasStatus_t CUBLASWINAPI cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
    cublasLtMatrixLayout_t out, cublasLtMatmulPreference_t preference,
    int wanted, cublasLtMatmulHeuristicResult_t results[], int* found) {
  *found = 0;
  if (wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  if (!Supported(Get(desc), Get(a), Get(b), Get(c), Get(out))) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  results[0] = {};
  results[0].state = CUBLAS_STATUS_SUCCESS;
  Algorithm algorithm{};
  std::memcpy(algorithm.alignment, Get(preference).alignment,
              sizeof(algorithm.alignment));
  algorithm.problem = ProblemOf(Get(desc), Get(a), Get(b), Get(out));
  algorithm.workspace = std::min<uint64_t>(algorithm.problem % 5 * 4096,
                                           Get(preference).max_workspace);
  results[0].workspaceSize = algorithm.workspace;
  std::memcpy(results[0].algo.data, &algorithm, sizeof(algorithm));
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmul(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
    const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
    cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
    cublasLtMatrixLayout_t c_layout, void* out,
    cublasLtMatrixLayout_t out_layout, const cublasLtMatmulAlgo_t* algorithm,
    void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  const Call call{Get(desc),
                  Get(a_layout),
                  Get(b_layout),
                  Get(c_layout),
                  Get(out_layout),
                  a,
                  b,
                  c,
                  out,
                  *static_cast<const float*>(alpha),
                  *static_cast<const float*>(beta)};
  if (*reinterpret_cast<int*>(handle) != CurrentDevice() ||
      !IsOfCurrentDevice(stream)) {
    std::fputs("cublasLt double: a handle or stream of another GPU\n", stderr);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!Supported(call.d, call.a, call.b, call.c, call.out)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  Algorithm chosen;
  std::memcpy(&chosen, algorithm->data, sizeof(chosen));
  if (chosen.problem != ProblemOf(call.d, call.a, call.b, call.out)) {
    std::fputs(
        "cublasLt double: an algorithm that was chosen for another "
        "matmul\n",
        stderr);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (workspace_bytes < chosen.workspace) {
    std::fprintf(stderr,
                 "cublasLt double: %zu bytes of workspace for an algorithm "
                 "that wants %zu\n",
                 workspace_bytes, size_t{chosen.workspace});
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const void* const pointers[] = {a, b, c, out};
  for (int i = 0; i < 4; ++i) {
    if (!IsDeviceMemory(pointers[i]) ||
        reinterpret_cast<uintptr_t>(pointers[i]) % chosen.alignment[i] != 0) {
      std::fputs(
          "cublasLt double: an operand is not on the device, or less "
          "aligned than promised\n",
          stderr);
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  const bool wants_bias = call.d.epilogue == CUBLASLT_EPILOGUE_BIAS ||
                          call.d.epilogue == CUBLASLT_EPILOGUE_BGRADB ||
                          call.d.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  const bool wants_aux = call.d.epilogue == CUBLASLT_EPILOGUE_DGELU ||
                         call.d.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  if ((wants_bias && !IsDeviceMemory(call.d.bias)) ||
      (wants_aux && !IsDeviceMemory(call.d.aux))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (workspace_bytes > 0 &&
      (!IsDeviceMemory(workspace) ||
       reinterpret_cast<uintptr_t>(workspace) % 256 != 0)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  {
    std::lock_guard<std::recursive_mutex> lock(Lock());
    ++counters().library_calls;
  }
  const cudaError_t error = Enqueue(stream, [call, workspace, workspace_bytes] {
    // Whoever still reads what lies there gets NaN.
    if (workspace_bytes > 0) std::memset(workspace, 0xff, workspace_bytes);
    call.Run();
    return true;
  });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                              : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
