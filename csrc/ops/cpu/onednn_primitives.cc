#include "ops/cpu/onednn_primitives.h"

#include <atomic>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "ops/cpu/matmul_choice.h"

namespace eisbach::ops::cpu {
namespace {

using DnnlAttributes =
    DnnlHandle<dnnl_primitive_attr_t, &dnnl_primitive_attr_destroy>;
using DnnlPostOps = DnnlHandle<dnnl_post_ops_t, &dnnl_post_ops_destroy>;
using DnnlPrimitiveDesc =
    DnnlHandle<dnnl_primitive_desc_t, &dnnl_primitive_desc_destroy>;

dnnl_data_type_t ToDnnl(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return dnnl_bf16;
    case DType::kF16:
      return dnnl_f16;
    default:
      return dnnl_f32;
  }
}

absl::Status DescribeMatrix(int64_t rows, int64_t columns, bool transposed,
                            int64_t ld, DType dtype, DnnlDesc& desc) {
  const dnnl_dims_t dims = {rows, columns};
  const dnnl_dims_t strides = {transposed ? 1 : ld, transposed ? ld : 1};
  return FromDnnl(dnnl_memory_desc_create_with_strides(desc.out(), 2, dims,
                                                       ToDnnl(dtype), strides),
                  "dnnl_memory_desc_create_with_strides");
}

// f32 stays f32 whatever the environment says, scratch is ours.
absl::Status MakeAttributes(bool accumulate, DnnlAttributes& attributes) {
  EISBACH_RETURN_IF_ERROR(FromDnnl(dnnl_primitive_attr_create(attributes.out()),
                                   "dnnl_primitive_attr_create"));
  EISBACH_RETURN_IF_ERROR(
      FromDnnl(dnnl_primitive_attr_set_scratchpad_mode(
                   attributes.get(), dnnl_scratchpad_mode_user),
               "dnnl_primitive_attr_set_scratchpad_mode"));
  EISBACH_RETURN_IF_ERROR(
      FromDnnl(dnnl_primitive_attr_set_fpmath_mode(attributes.get(),
                                                   dnnl_fpmath_mode_strict),
               "dnnl_primitive_attr_set_fpmath_mode"));
  if (!accumulate) return absl::OkStatus();
  DnnlPostOps post_ops;
  EISBACH_RETURN_IF_ERROR(
      FromDnnl(dnnl_post_ops_create(post_ops.out()), "dnnl_post_ops_create"));
  EISBACH_RETURN_IF_ERROR(FromDnnl(
      dnnl_post_ops_append_sum(post_ops.get(), 1.0f, 0, dnnl_data_type_undef),
      "dnnl_post_ops_append_sum"));
  return FromDnnl(
      dnnl_primitive_attr_set_post_ops(attributes.get(), post_ops.get()),
      "dnnl_primitive_attr_set_post_ops");
}

// Whether the library may use instructions for dot products of bf16 pairs.
bool DotsBf16() {
  static const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

std::string Describe(const MatmulKey& key) {
  return absl::StrCat("[", key.m, ", ", key.k, "] x [", key.k, ", ", key.n,
                      "] ", Name(key.in_dtype), " to ", Name(key.c_dtype));
}

void TellOfReference(const MatmulKey& key, absl::string_view implementation) {
  static std::atomic<bool> told = false;
  if (LogRank() > 0 || told.exchange(true)) return;
  LogLine(absl::StrCat("oneDNN has nothing but ", implementation, " for ",
                       Describe(key), " on this CPU",
                       key.in_dtype == DType::kF32 ? ", which is very slow"
                                                   : ": multiplied in f32"));
}

absl::StatusOr<std::shared_ptr<const MatmulPrimitive>> MakeMatmulPrimitive(
    const MatmulKey& key) {
  auto made = std::make_shared<MatmulPrimitive>();
  EISBACH_RETURN_IF_ERROR(DescribeMatrix(key.m, key.k, key.a_transposed,
                                         key.a_ld, key.in_dtype, made->a));
  EISBACH_RETURN_IF_ERROR(DescribeMatrix(key.k, key.n, key.b_transposed,
                                         key.b_ld, key.in_dtype, made->b));
  EISBACH_RETURN_IF_ERROR(
      DescribeMatrix(key.m, key.n, false, key.c_ld, key.c_dtype, made->c));
  if (key.has_bias) {
    EISBACH_RETURN_IF_ERROR(
        DescribeMatrix(1, key.n, false, key.n, key.bias_dtype, made->bias));
  }
  DnnlAttributes attributes;
  EISBACH_RETURN_IF_ERROR(MakeAttributes(key.accumulate, attributes));
  EISBACH_ASSIGN_OR_RETURN(dnnl_engine_t engine, DnnlEngine());
  DnnlPrimitiveDesc desc;
  const dnnl_status_t status = dnnl_matmul_primitive_desc_create(
      desc.out(), engine, made->a.get(), made->b.get(), made->bias.get(),
      made->c.get(), attributes.get());
  const char* name = "";
  if (status != dnnl_unimplemented || key.in_dtype == DType::kF32) {
    EISBACH_RETURN_IF_ERROR(FromDnnl(
        status,
        absl::StrCat("dnnl_matmul_primitive_desc_create for ", Describe(key))));
    EISBACH_RETURN_IF_ERROR(
        FromDnnl(dnnl_primitive_desc_query(desc.get(), dnnl_query_impl_info_str,
                                           0, &name),
                 "dnnl_primitive_desc_query"));
  }
  made->implementation = name;
  if (IsReference(made->implementation)) TellOfReference(key, name);
  if (!TakesAsItIs(key.in_dtype, made->implementation, DotsBf16())) return made;
  const_dnnl_memory_desc_t scratchpad =
      dnnl_primitive_desc_query_md(desc.get(), dnnl_query_scratchpad_md, 0);
  if (scratchpad != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        FromDnnl(dnnl_memory_desc_clone(made->scratchpad.out(), scratchpad),
                 "dnnl_memory_desc_clone"));
    made->scratchpad_bytes = dnnl_memory_desc_get_size(scratchpad);
  }
  EISBACH_RETURN_IF_ERROR(
      FromDnnl(dnnl_primitive_create(made->primitive.out(), desc.get()),
               "dnnl_primitive_create"));
  return made;
}

struct Cache {
  std::shared_mutex mutex;
  absl::flat_hash_map<MatmulKey, std::shared_ptr<const MatmulPrimitive>> map;
};

Cache& TheCache() {
  static Cache& cache = *new Cache;  // outlives every thread
  return cache;
}

}  // namespace

absl::Status FromDnnl(dnnl_status_t status, absl::string_view call) {
  switch (status) {
    case dnnl_success:
      return absl::OkStatus();
    case dnnl_out_of_memory:
      return absl::ResourceExhaustedError(
          absl::StrCat("oneDNN: ", call, ": out of memory"));
    case dnnl_unimplemented:
      return absl::UnimplementedError(
          absl::StrCat("oneDNN: ", call, ": not implemented on this CPU"));
    case dnnl_invalid_arguments:
      return absl::InvalidArgumentError(
          absl::StrCat("oneDNN: ", call, ": invalid arguments"));
    default:
      return absl::InternalError(absl::StrCat("oneDNN: ", call, ": status ",
                                              static_cast<int>(status)));
  }
}

absl::StatusOr<dnnl_engine_t> DnnlEngine() {
  struct Made {
    dnnl_engine_t engine = nullptr;
    dnnl_status_t status;
  };
  static const Made made = [] {
    Made m;
    m.status = dnnl_engine_create(&m.engine, dnnl_cpu, 0);
    return m;
  }();
  EISBACH_RETURN_IF_ERROR(FromDnnl(made.status, "dnnl_engine_create"));
  return made.engine;
}

MatmulKey::MatmulKey(const Gemm& gemm, int threads)
    : m(gemm.m),
      n(gemm.n),
      k(gemm.k),
      a_ld(gemm.a.layout.ld),
      b_ld(gemm.b.layout.ld),
      c_ld(gemm.c_ld),
      a_transposed(gemm.a.layout.transposed),
      b_transposed(gemm.b.layout.transposed),
      has_bias(gemm.bias != nullptr),
      accumulate(gemm.accumulate),
      in_dtype(gemm.in_dtype),
      bias_dtype(gemm.bias_dtype),
      c_dtype(gemm.c_dtype),
      threads(threads) {}

absl::StatusOr<std::shared_ptr<const MatmulPrimitive>> FindMatmulPrimitive(
    const MatmulKey& key) {
  Cache& cache = TheCache();
  {
    std::shared_lock<std::shared_mutex> lock(cache.mutex);
    if (auto it = cache.map.find(key); it != cache.map.end()) return it->second;
  }
  // Made outside the lock, so that other threads go on; if two make the same,
  // one is dropped.
  EISBACH_ASSIGN_OR_RETURN(auto made, MakeMatmulPrimitive(key));
  std::unique_lock<std::shared_mutex> lock(cache.mutex);
  if (cache.map.size() >= kMaxCachedPrimitives) cache.map.clear();
  return cache.map.try_emplace(key, std::move(made)).first->second;
}

std::vector<std::string> MatmulImplementations(DType in_dtype) {
  Cache& cache = TheCache();
  std::set<std::string> names;
  std::shared_lock<std::shared_mutex> lock(cache.mutex);
  for (const auto& [key, made] : cache.map) {
    if (key.in_dtype == in_dtype && made->primitive.get() != nullptr) {
      names.insert(made->implementation);
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace eisbach::ops::cpu
