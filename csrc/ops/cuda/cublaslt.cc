#include "ops/cuda/cublaslt.h"

#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/components.h"
#include "core/status_macros.h"

namespace eisbach::cuda {
namespace {

// What an algorithm may ask for: 32 MiB is what NVIDIA advises for Hopper and
// Blackwell.
constexpr size_t kMaxWorkspace = size_t{32} << 20;

absl::Status Status(cublasStatus_t status, absl::string_view call) {
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "cuBLASLt: ", cublasLtGetStatusString(status), " in ", call));
}

#define EISBACH_RETURN_IF_CUBLAS(call) \
  EISBACH_RETURN_IF_ERROR(Status((call), #call))

template <typename T, cublasStatus_t (*kDestroy)(T)>
struct Destroyer {
  void operator()(std::remove_pointer_t<T>* p) const { kDestroy(p); }
};
template <typename T, cublasStatus_t (*kDestroy)(T)>
using Handle =
    std::unique_ptr<std::remove_pointer_t<T>, Destroyer<T, kDestroy>>;
using MatmulDesc = Handle<cublasLtMatmulDesc_t, &cublasLtMatmulDescDestroy>;
using Layout = Handle<cublasLtMatrixLayout_t, &cublasLtMatrixLayoutDestroy>;
using Preference =
    Handle<cublasLtMatmulPreference_t, &cublasLtMatmulPreferenceDestroy>;

cudaDataType_t DataType(Type type) {
  switch (type) {
    case Type::kF32:
      return CUDA_R_32F;
    case Type::kBF16:
      return CUDA_R_16BF;
    case Type::kF16:
      return CUDA_R_16F;
  }
  return CUDA_R_32F;
}

absl::StatusOr<Layout> MakeLayout(Type type, int64_t rows, int64_t columns,
                                  int64_t ld) {
  cublasLtMatrixLayout_t layout = nullptr;
  EISBACH_RETURN_IF_CUBLAS(
      cublasLtMatrixLayoutCreate(&layout, DataType(type), rows, columns, ld));
  return Layout(layout);
}

template <typename T>
absl::Status Set(const MatmulDesc& desc, cublasLtMatmulDescAttributes_t name,
                 const T& value) {
  return Status(
      cublasLtMatmulDescSetAttribute(desc.get(), name, &value, sizeof(value)),
      "cublasLtMatmulDescSetAttribute");
}
template <typename T>
absl::Status Set(const Preference& preference,
                 cublasLtMatmulPreferenceAttributes_t name, const T& value) {
  return Status(cublasLtMatmulPreferenceSetAttribute(preference.get(), name,
                                                     &value, sizeof(value)),
                "cublasLtMatmulPreferenceSetAttribute");
}

std::string Describe(const GemmShape& s) {
  return absl::StrCat("[", s.m, ", ", s.k, "] x [", s.k, ", ", s.n, "]");
}

}  // namespace

// cuBLASLt's matrices are column-major, so it computes c^T = b^T a^T: its A is
// our b, its B our a.
struct CublasLt::Plan {
  MatmulDesc desc;
  Layout b, a, c;
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace = 0;
};

absl::StatusOr<std::unique_ptr<CublasLt>> CublasLt::Make(CudaDevice&) {
  cublasLtHandle_t handle = nullptr;
  EISBACH_RETURN_IF_CUBLAS(cublasLtCreate(&handle));
  return std::unique_ptr<CublasLt>(new CublasLt(handle));
}

CublasLt::CublasLt(cublasLtHandle_t handle) : handle_(handle) {}
CublasLt::~CublasLt() { cublasLtDestroy(handle_); }

absl::StatusOr<const CublasLt::Plan*> CublasLt::Find(const GemmShape& s) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::unique_ptr<Plan>& place = plans_[s];
  if (place != nullptr) return place.get();
  auto plan = std::make_unique<Plan>();
  cublasLtMatmulDesc_t desc = nullptr;
  EISBACH_RETURN_IF_CUBLAS(cublasLtMatmulDescCreate(
      &desc, s.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
      CUDA_R_32F));
  plan->desc.reset(desc);
  const auto operation = [](bool transposed) {
    return transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  EISBACH_RETURN_IF_ERROR(
      Set(plan->desc, CUBLASLT_MATMUL_DESC_TRANSA, operation(s.b_transposed)));
  EISBACH_RETURN_IF_ERROR(
      Set(plan->desc, CUBLASLT_MATMUL_DESC_TRANSB, operation(s.a_transposed)));
  if (s.epilogue != Epilogue::kNone) {
    EISBACH_RETURN_IF_ERROR(Set(plan->desc, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                s.epilogue == Epilogue::kBias
                                    ? CUBLASLT_EPILOGUE_BIAS
                                    : CUBLASLT_EPILOGUE_BGRADB));
    EISBACH_RETURN_IF_ERROR(
        Set(plan->desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, DataType(s.out)));
  }
  EISBACH_ASSIGN_OR_RETURN(plan->b, s.b_transposed
                                        ? MakeLayout(s.in, s.k, s.n, s.ldb)
                                        : MakeLayout(s.in, s.n, s.k, s.ldb));
  EISBACH_ASSIGN_OR_RETURN(plan->a, s.a_transposed
                                        ? MakeLayout(s.in, s.m, s.k, s.lda)
                                        : MakeLayout(s.in, s.k, s.m, s.lda));
  EISBACH_ASSIGN_OR_RETURN(plan->c, MakeLayout(s.out, s.n, s.m, s.ldc));

  cublasLtMatmulPreference_t made = nullptr;
  EISBACH_RETURN_IF_CUBLAS(cublasLtMatmulPreferenceCreate(&made));
  const Preference preference(made);
  EISBACH_RETURN_IF_ERROR(
      Set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMaxWorkspace));
  EISBACH_RETURN_IF_ERROR(Set(preference,
                              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                              static_cast<uint32_t>(s.alignment_b)));
  EISBACH_RETURN_IF_ERROR(Set(preference,
                              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                              static_cast<uint32_t>(s.alignment_a)));
  EISBACH_RETURN_IF_ERROR(Set(preference,
                              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                              static_cast<uint32_t>(s.alignment_c)));
  EISBACH_RETURN_IF_ERROR(Set(preference,
                              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
                              static_cast<uint32_t>(s.alignment_c)));
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle_, plan->desc.get(), plan->b.get(), plan->a.get(), plan->c.get(),
      plan->c.get(), preference.get(), 1, &result, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || found == 0) {
    return absl::UnimplementedError(
        absl::StrCat("matmul: cuBLASLt has no algorithm for ", Describe(s)));
  }
  EISBACH_RETURN_IF_ERROR(Status(status, "cublasLtMatmulAlgoGetHeuristic"));
  plan->algorithm = result.algo;
  plan->workspace = result.workspaceSize;
  place = std::move(plan);
  return place.get();
}

absl::Status CublasLt::Run(const GemmShape& shape, const GemmOperands& o,
                           CudaDevice& device, cudaStream_t stream) {
  EISBACH_ASSIGN_OR_RETURN(const Plan* plan, Find(shape));
  std::shared_ptr<Storage> workspace;
  if (plan->workspace > 0) {
    EISBACH_ASSIGN_OR_RETURN(workspace, device.Allocate(plan->workspace));
  }
  if (shape.epilogue != Epilogue::kNone) {
    EISBACH_RETURN_IF_ERROR(
        Set(plan->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, o.bias));
  }
  const float alpha = 1.0f, beta = shape.accumulate ? 1.0f : 0.0f;
  return Status(
      cublasLtMatmul(handle_, plan->desc.get(), &alpha, o.b, plan->b.get(), o.a,
                     plan->a.get(), &beta, o.c, plan->c.get(), o.c,
                     plan->c.get(), &plan->algorithm,
                     workspace == nullptr ? nullptr : workspace->data(),
                     plan->workspace, stream),
      absl::StrCat("cublasLtMatmul of ", Describe(shape)));
}

namespace {

[[maybe_unused]] const bool described = RegisterComponent("cuda matmul", [] {
  const size_t version = cublasLtGetVersion();
  return absl::StrCat("cuBLASLt ", version / 10000, ".", version / 100 % 100,
                      ".", version % 100);
});

}  // namespace
}  // namespace eisbach::cuda
