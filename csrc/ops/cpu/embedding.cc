#include "ops/embedding.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/embedding.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/block_sum-inl.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread
constexpr int64_t kColumns = 16;   // one cache line of dweight

int64_t RowGrain(int64_t width) { return kGrain / (width + 1) + 1; }

void SetZero(float* x, int64_t n) {
  cpu::ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    std::fill(x + begin, x + end, 0.0f);
  });
}

template <typename T>
void AddPositionRow(T* x, const T* weight, int64_t width) {
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    Store(hn::Add(Load(x + i, lanes), Load(weight + i, lanes)), x + i, lanes);
  });
}

}  // namespace

absl::Status EmbeddingForward(const EmbeddingForwardArgs& args, Stream&) {
  const int32_t* ids = args.ids.data<int32_t>();
  const int64_t rows = args.weight.dim(0);
  const int64_t bytes = args.weight.dim(1) * SizeOf(args.weight.dtype());
  const char* weight = static_cast<const char*>(args.weight.raw());
  char* y = static_cast<char*>(args.y.raw());
  if (bytes == 0) return absl::OkStatus();
  cpu::ParallelFor(args.ids.elements(), RowGrain(args.weight.dim(1)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       const int64_t row = ids[i] - args.first_row;
                       if (row >= 0 && row < rows) {
                         std::memcpy(y + i * bytes, weight + row * bytes,
                                     bytes);
                       } else {
                         std::memset(y + i * bytes, 0, bytes);
                       }
                     }
                   });
  return absl::OkStatus();
}

// Each thread takes some columns of all rows, so that no two write to one
// element and the ids are met in their order.
absl::Status EmbeddingBackward(const EmbeddingBackwardArgs& args, Stream&) {
  const int32_t* ids = args.ids.data<int32_t>();
  const int64_t count = args.ids.elements();
  const int64_t rows = args.dweight.dim(0);
  const int64_t width = args.dweight.dim(1);
  float* dweight = args.dweight.data<float>();
  if (!args.accumulate) SetZero(dweight, rows * width);
  return DispatchFloat(args.dy.dtype(), "embedding_backward", [&](auto type) {
    using T = decltype(type);
    const T* dy = args.dy.data<T>();
    const int64_t tiles = (width + kColumns - 1) / kColumns;
    const int64_t grain = kGrain / (kColumns * (count + 1)) + 1;
    cpu::ParallelFor(tiles, grain, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kColumns;
      const int64_t columns = std::min(end * kColumns, width) - first;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = ids[i] - args.first_row;
        if (row < 0 || row >= rows) continue;
        AddRow(dy + i * width + first, columns, dweight + row * width + first);
      }
    });
    return absl::OkStatus();
  });
}

absl::Status AddPosition(const AddPositionArgs& args, Stream&) {
  const int64_t positions = args.x.dim(-2);
  const int64_t width = args.x.dim(-1);
  if (args.x.elements() == 0) return absl::OkStatus();
  return DispatchFloat(args.x.dtype(), "add_position", [&](auto type) {
    using T = decltype(type);
    T* x = args.x.data<T>();
    const T* weight = args.weight.data<T>();
    cpu::ParallelFor(args.x.elements() / width, RowGrain(width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin; r < end; ++r) {
                         AddPositionRow(x + r * width,
                                        weight + r % positions * width, width);
                       }
                     });
    return absl::OkStatus();
  });
}

absl::Status PositionBackward(const PositionBackwardArgs& args, Stream&) {
  const int64_t positions = args.dy.dim(-2);
  const int64_t width = args.dy.dim(-1);
  const int64_t plane = positions * width;
  const int64_t batch = plane == 0 ? 0 : args.dy.elements() / plane;
  float* dweight = args.dweight.data<float>();
  if (!args.accumulate) SetZero(dweight, args.dweight.elements());
  return DispatchFloat(args.dy.dtype(), "position_backward", [&](auto type) {
    using T = decltype(type);
    const T* dy = args.dy.data<T>();
    cpu::ParallelFor(positions, kGrain / (width * batch + 1) + 1,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t t = begin; t < end; ++t) {
                         for (int64_t b = 0; b < batch; ++b) {
                           AddRow(dy + b * plane + t * width, width,
                                  dweight + t * width);
                         }
                       }
                     });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(EmbeddingForward);
EISBACH_REGISTER_SIMD_KERNEL(EmbeddingBackward);
EISBACH_REGISTER_SIMD_KERNEL(AddPosition);
EISBACH_REGISTER_SIMD_KERNEL(PositionBackward);
}  // namespace eisbach::ops
#endif
