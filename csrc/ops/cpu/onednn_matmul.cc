// Matmul on oneDNN 3 by its C API.

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/components.h"
#include "core/signal_mask.h"
#include "core/status_macros.h"
#include "core/threads.h"
#include "oneapi/dnnl/dnnl_debug.h"
#include "ops/cpu/matmul_few_rows.h"
#include "ops/cpu/onednn_primitives.h"
#include "ops/workspace.h"

namespace eisbach::ops::cpu {
namespace {

using DnnlStream = DnnlHandle<dnnl_stream_t, &dnnl_stream_destroy>;

// A stream is not to be shared by threads.
absl::StatusOr<dnnl_stream_t> ThreadStream() {
  static thread_local DnnlStream stream;
  if (stream.get() == nullptr) {
    EISBACH_ASSIGN_OR_RETURN(dnnl_engine_t engine, DnnlEngine());
    EISBACH_RETURN_IF_ERROR(FromDnnl(
        dnnl_stream_create(stream.out(), engine, dnnl_stream_default_flags),
        "dnnl_stream_create"));
  }
  return stream.get();
}

class Arguments {
 public:
  absl::Status Add(int index, const DnnlDesc& desc, const void* data) {
    EISBACH_ASSIGN_OR_RETURN(dnnl_engine_t engine, DnnlEngine());
    DnnlMemory& memory = memories_[count_];
    EISBACH_RETURN_IF_ERROR(
        FromDnnl(dnnl_memory_create(memory.out(), desc.get(), engine,
                                    const_cast<void*>(data)),
                 "dnnl_memory_create"));
    args_[count_++] = {index, memory.get()};
    return absl::OkStatus();
  }
  int count() const { return count_; }
  const dnnl_exec_arg_t* data() const { return args_; }

 private:
  DnnlMemory memories_[5];
  dnnl_exec_arg_t args_[5];
  int count_ = 0;
};

absl::StatusOr<std::shared_ptr<const MatmulPrimitive>> PrimitiveOf(
    const Gemm& gemm) {
  return FindMatmulPrimitive(MatmulKey(gemm, ComputeThreads()));
}

absl::Status Execute(const MatmulPrimitive& primitive, const Gemm& gemm,
                     Device& device) {
  EISBACH_ASSIGN_OR_RETURN(dnnl_stream_t stream, ThreadStream());
  Arguments args;
  EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_SRC, primitive.a, gemm.a.data));
  EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_WEIGHTS, primitive.b, gemm.b.data));
  EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_DST, primitive.c, gemm.c));
  if (gemm.bias != nullptr) {
    EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_BIAS, primitive.bias, gemm.bias));
  }
  std::shared_ptr<Storage> scratchpad;
  if (primitive.scratchpad_bytes > 0) {
    EISBACH_ASSIGN_OR_RETURN(scratchpad,
                             device.Allocate(primitive.scratchpad_bytes));
    EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_SCRATCHPAD, primitive.scratchpad,
                                     scratchpad->data()));
  }
  const SignalsKeptOff kept_off;
  EISBACH_RETURN_IF_ERROR(
      FromDnnl(dnnl_primitive_execute(primitive.primitive.get(), stream,
                                      args.count(), args.data()),
               "dnnl_primitive_execute"));
  return FromDnnl(dnnl_stream_wait(stream), "dnnl_stream_wait");
}

absl::Status GemmF32(const Gemm& gemm, Device& device) {
  EISBACH_ASSIGN_OR_RETURN(const auto primitive, PrimitiveOf(gemm));
  return Execute(*primitive, gemm, device);
}

absl::Status MatmulCpu(const MatmulArgs& args, Stream& stream) {
  const Gemm gemm = MakeGemm(args);
  if (gemm.m == 0 || gemm.n == 0) return absl::OkStatus();
  if (gemm.k == 0) {
    FinishEmptyProduct(gemm);
    return absl::OkStatus();
  }
  if (HasFewRows(gemm)) return MultiplyFewRows(gemm, stream.device());
  EISBACH_ASSIGN_OR_RETURN(const auto primitive, PrimitiveOf(gemm));
  if (primitive->primitive.get() == nullptr) {
    return GemmInF32(gemm, stream.device(), &GemmF32);
  }
  return Execute(*primitive, gemm, stream.device());
}

int64_t Scratch(const Gemm& gemm) {
  const auto primitive = PrimitiveOf(gemm);
  return primitive.ok() ? static_cast<int64_t>((*primitive)->scratchpad_bytes)
                        : 0;
}

int64_t Workspace(const OpCost& cost) {
  Gemm gemm = GemmOfCost(cost);
  if (gemm.m == 0 || gemm.n == 0 || gemm.k == 0 || HasFewRows(gemm)) return 0;
  const auto primitive = PrimitiveOf(gemm);
  if (!primitive.ok()) return 0;
  if ((*primitive)->primitive.get() != nullptr) return Scratch(gemm);
  const int64_t copies = GemmInF32Bytes(gemm);
  gemm.in_dtype = gemm.bias_dtype = gemm.c_dtype = DType::kF32;
  return copies + Scratch(gemm);
}

// The products of a linear layer.
std::vector<MatmulKey> TypicalProducts(DType dtype) {
  constexpr int64_t kRows = 256, kIn = 512, kOut = 1024;
  const auto key = [&](int64_t m, int64_t n, int64_t k, MatrixLayout a,
                       MatrixLayout b, bool gradient) {
    const Gemm gemm{.m = m,
                    .n = n,
                    .k = k,
                    .in_dtype = dtype,
                    .a = {nullptr, a},
                    .b = {nullptr, b},
                    .bias = nullptr,
                    .bias_dtype = dtype,
                    .accumulate = gradient,
                    .c = nullptr,
                    .c_dtype = gradient ? DType::kF32 : dtype,
                    .c_ld = n};
    return MatmulKey(gemm, ComputeThreads());
  };
  return {key(kRows, kOut, kIn, {false, kIn}, {true, kIn}, false),
          key(kRows, kIn, kOut, {false, kOut}, {false, kIn}, false),
          key(kOut, kIn, kRows, {true, kOut}, {false, kIn}, true)};
}

std::string DescribeProducts(DType dtype) {
  std::set<std::string> ways;
  for (const MatmulKey& key : TypicalProducts(dtype)) {
    const auto made = FindMatmulPrimitive(key);
    if (!made.ok()) {
      ways.insert(std::string(made.status().message()));
    } else if ((*made)->primitive.get() != nullptr) {
      ways.insert((*made)->implementation);
    } else {
      const std::string& other = (*made)->implementation;
      ways.insert(other.empty() ? "by way of f32"
                                : absl::StrCat("by way of f32, not ", other));
    }
  }
  return absl::StrCat(Name(dtype), " ", absl::StrJoin(ways, " or "));
}

[[maybe_unused]] const bool described = RegisterComponent("matmul", [] {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat(
      "oneDNN ", version->major, ".", version->minor, ".", version->patch, " (",
      absl::StripPrefix(dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()),
                        "cpu_isa_"),
      "; ", DescribeProducts(DType::kF32), "; ", DescribeProducts(DType::kBF16),
      "; ", DescribeProducts(DType::kF16), ")");
});

EISBACH_REGISTER_KERNEL(MatmulSlot, DeviceType::kCpu, &MatmulCpu);
[[maybe_unused]] const bool workspace_registered =
    RegisterWorkspace("matmul", DeviceType::kCpu, &Workspace);

}  // namespace
}  // namespace eisbach::ops::cpu
