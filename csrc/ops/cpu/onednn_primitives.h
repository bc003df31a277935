#pragma once

#include <oneapi/dnnl/dnnl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ops/cpu/matmul_gemm.h"

namespace eisbach::ops::cpu {

// oneDNN's codes as Status, with the name of the call.
absl::Status FromDnnl(dnnl_status_t status, absl::string_view call);

// A oneDNN handle that is destroyed with its owner.
template <typename Handle, auto Destroy>
class DnnlHandle {
 public:
  DnnlHandle() = default;
  explicit DnnlHandle(Handle handle) : handle_(handle) {}
  DnnlHandle(DnnlHandle&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  DnnlHandle& operator=(DnnlHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~DnnlHandle() {
    if (handle_ != nullptr) Destroy(handle_);
  }
  Handle get() const { return handle_; }
  Handle* out() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};
using DnnlDesc = DnnlHandle<dnnl_memory_desc_t, &dnnl_memory_desc_destroy>;
using DnnlMemory = DnnlHandle<dnnl_memory_t, &dnnl_memory_destroy>;
using DnnlPrimitive = DnnlHandle<dnnl_primitive_t, &dnnl_primitive_destroy>;

// The CPU engine, made once and kept for the life of the process.
absl::StatusOr<dnnl_engine_t> DnnlEngine();

// All that decides which primitive computes a product. Primitives are made for
// a thread count, so it is part of the key.
struct MatmulKey {
  int64_t m, n, k;
  int64_t a_ld, b_ld, c_ld;
  bool a_transposed, b_transposed, has_bias, accumulate;
  DType in_dtype, bias_dtype, c_dtype;
  int threads;

  MatmulKey(const Gemm& gemm, int threads);
  friend bool operator==(const MatmulKey&, const MatmulKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const MatmulKey& key) {
    return H::combine(std::move(h), key.m, key.n, key.k, key.a_ld, key.b_ld,
                      key.c_ld, key.a_transposed, key.b_transposed,
                      key.has_bias, key.accumulate, key.in_dtype,
                      key.bias_dtype, key.c_dtype, key.threads);
  }
};

// A matmul primitive and the descriptions of its operands. Immutable: several
// threads may execute it at once, each with its own scratchpad.
struct MatmulPrimitive {
  // What oneDNN calls its kernel; empty where it has none.
  std::string implementation;
  DnnlPrimitive primitive;  // null where the product goes through f32
  DnnlDesc a, b, bias, c, scratchpad;
  size_t scratchpad_bytes = 0;
};

// The primitive for `key`, from the cache of the process or made now
// (0.25 to 1.6 ms). Thread-safe. The cache starts anew when it holds
// kMaxCachedPrimitives. Not made, and null, where matmul_choice.h does not take
// what oneDNN offers; the first time that this is a reference one, a line of
// the first rank says so.
inline constexpr size_t kMaxCachedPrimitives = 4096;
absl::StatusOr<std::shared_ptr<const MatmulPrimitive>> FindMatmulPrimitive(
    const MatmulKey& key);

// The names of the implementations in the cache, those of primitives that were
// made alone, each once and in order.
std::vector<std::string> MatmulImplementations(DType in_dtype);

}  // namespace eisbach::ops::cpu
