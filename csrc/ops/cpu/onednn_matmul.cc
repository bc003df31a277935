// Matmul on oneDNN 3 by its C API.

#include <omp.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/components.h"
#include "core/status_macros.h"
#include "oneapi/dnnl/dnnl_debug.h"
#include "ops/cpu/onednn_primitives.h"

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

// Whether this CPU multiplies pairs of `dtype` and adds in f32 by instructions.
// oneDNN 3.2 has no 16-bit matmul on AVX2 and a slow one on plain AVX-512.
bool MultipliesNatively(DType dtype) {
  static const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  const auto has = [](dnnl_cpu_isa_t needed) {
    return (isa & needed) == needed;
  };
  if (dtype == DType::kBF16) return has(dnnl_cpu_isa_avx512_core_bf16);
  if (dtype == DType::kF16) return has(dnnl_cpu_isa_avx512_core_fp16);
  return true;
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

absl::Status OneDnnGemm(const Gemm& gemm, Device& device) {
  const int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
  EISBACH_ASSIGN_OR_RETURN(const auto primitive,
                           FindMatmulPrimitive(MatmulKey(gemm, threads)));
  EISBACH_ASSIGN_OR_RETURN(dnnl_stream_t stream, ThreadStream());
  Arguments args;
  EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_SRC, primitive->a, gemm.a.data));
  EISBACH_RETURN_IF_ERROR(
      args.Add(DNNL_ARG_WEIGHTS, primitive->b, gemm.b.data));
  EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_DST, primitive->c, gemm.c));
  if (gemm.bias != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        args.Add(DNNL_ARG_BIAS, primitive->bias, gemm.bias));
  }
  std::shared_ptr<Storage> scratchpad;
  if (primitive->scratchpad_bytes > 0) {
    EISBACH_ASSIGN_OR_RETURN(scratchpad,
                             device.Allocate(primitive->scratchpad_bytes));
    EISBACH_RETURN_IF_ERROR(args.Add(DNNL_ARG_SCRATCHPAD, primitive->scratchpad,
                                     scratchpad->data()));
  }
  EISBACH_RETURN_IF_ERROR(
      FromDnnl(dnnl_primitive_execute(primitive->primitive.get(), stream,
                                      args.count(), args.data()),
               "dnnl_primitive_execute"));
  return FromDnnl(dnnl_stream_wait(stream), "dnnl_stream_wait");
}

absl::Status MatmulCpu(const MatmulArgs& args, Stream& stream) {
  const Gemm gemm = MakeGemm(args);
  if (gemm.m == 0 || gemm.n == 0) return absl::OkStatus();
  if (gemm.k == 0) {
    FinishEmptyProduct(gemm);
    return absl::OkStatus();
  }
  if (MultipliesNatively(gemm.in_dtype)) {
    return OneDnnGemm(gemm, stream.device());
  }
  return GemmInF32(gemm, stream.device(), &OneDnnGemm);
}

[[maybe_unused]] const bool described = RegisterComponent("matmul", [] {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat(
      "oneDNN ", version->major, ".", version->minor, ".", version->patch, " (",
      absl::StripPrefix(dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()),
                        "cpu_isa_"),
      MultipliesNatively(DType::kBF16) ? ")" : "; bf16 multiplied in f32)");
});

EISBACH_REGISTER_KERNEL(MatmulSlot, DeviceType::kCpu, &MatmulCpu);

}  // namespace
}  // namespace eisbach::ops::cpu
