#include "train/peak.h"

#include <algorithm>
#include <vector>

#include "core/cpu_cache.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace eisbach::train {
namespace {

constexpr int64_t kWindowNs = 300'000'000;
constexpr int64_t kSmallestMatmul = 512;
// Large enough to be worth a call: the host waits for each.
constexpr int64_t kLargestMatmul = 2048, kLargestMatmulBehind = 8192;
constexpr int64_t kSmallestStream = int64_t{32} << 20;
constexpr int64_t kLargestStream = int64_t{256} << 20;

template <typename F>
absl::StatusOr<int64_t> TimeOf(Stream& stream, F&& call) {
  const int64_t begin = Tracer::Now();
  EISBACH_RETURN_IF_ERROR(call());
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return std::max<int64_t>(Tracer::Now() - begin, 1);
}

// Repeats `measure` while all ranks do theirs, for a while.
template <typename F>
absl::Status ForAWhile(comm::World& world, F&& measure) {
  Stream& stream = world.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(world.communicator().Barrier(stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  const int64_t end = Tracer::Now() + kWindowNs;
  do {
    EISBACH_RETURN_IF_ERROR(measure());
  } while (Tracer::Now() < end);
  return absl::OkStatus();
}

// Raises `rate` to what `call` reaches: `work` a second.
template <typename F>
absl::Status Raise(double& rate, double work, Stream& stream, F&& call) {
  EISBACH_ASSIGN_OR_RETURN(const int64_t time, TimeOf(stream, call));
  rate = std::max(rate, work / static_cast<double>(time) * 1e9);
  return absl::OkStatus();
}

struct Product {
  Tensor a, b, c;

  static absl::StatusOr<Product> Make(int64_t n, DType dtype, Stream& stream) {
    Product product;
    for (Tensor* one : {&product.a, &product.b, &product.c}) {
      EISBACH_ASSIGN_OR_RETURN(*one, Tensor::Zeros(Shape{n, n}, dtype, stream));
    }
    return product;
  }
  absl::Status Run(Stream& stream) const {
    return ops::Matmul(a, b, nullptr, /*accumulate=*/false, c, stream);
  }
  double flops() const {
    const double n = static_cast<double>(a.dim(0));
    return 2 * n * n * n;
  }
};

// Products of growing size, up to one of which a window holds two, so that a
// slow machine does not wait for long. Which size is quickest is the machine's
// affair.
absl::StatusOr<std::vector<Product>> Products(DType dtype, Stream& stream) {
  std::vector<Product> products;
  const int64_t largest =
      stream.runs_inline() ? kLargestMatmul : kLargestMatmulBehind;
  for (int64_t n = kSmallestMatmul; n <= largest; n *= 2) {
    EISBACH_ASSIGN_OR_RETURN(const Product product,
                             Product::Make(n, dtype, stream));
    products.push_back(product);
    const auto run = [&] { return product.Run(stream); };
    // Makes what later ones reuse.
    EISBACH_RETURN_IF_ERROR(TimeOf(stream, run).status());
    EISBACH_ASSIGN_OR_RETURN(const int64_t time, TimeOf(stream, run));
    if (8 * time > kWindowNs / 2) break;
  }
  return products;
}

absl::StatusOr<double> MatmulRate(comm::World& world, DType dtype) {
  Stream& stream = world.device().compute_stream();
  EISBACH_ASSIGN_OR_RETURN(const std::vector<Product> products,
                           Products(dtype, stream));
  double rate = 0;
  EISBACH_RETURN_IF_ERROR(ForAWhile(world, [&]() -> absl::Status {
    for (const Product& product : products) {
      EISBACH_RETURN_IF_ERROR(Raise(rate, product.flops(), stream,
                                    [&] { return product.Run(stream); }));
    }
    return absl::OkStatus();
  }));
  return rate;
}

// Copying and adding differ in what the hardware makes of their writes: the
// quicker one tells what memory can do.
absl::StatusOr<double> StreamRate(comm::World& world) {
  // A cache of unknown size must not pass for memory.
  const int64_t cache = LastLevelCacheBytes();
  const int64_t bytes = cache == 0
                            ? kLargestStream
                            : std::clamp(2 * cache / world.local_size(),
                                         kSmallestStream, kLargestStream);
  Stream& stream = world.device().compute_stream();
  const Shape shape{bytes / 4};
  EISBACH_ASSIGN_OR_RETURN(const Tensor a,
                           Tensor::Zeros(shape, DType::kF32, stream));
  EISBACH_ASSIGN_OR_RETURN(const Tensor b,
                           Tensor::Zeros(shape, DType::kF32, stream));
  const double size = static_cast<double>(a.bytes());
  double rate = 0;
  EISBACH_RETURN_IF_ERROR(ForAWhile(world, [&]() -> absl::Status {
    EISBACH_RETURN_IF_ERROR(
        Raise(rate, 2 * size, stream, [&] { return ops::Copy(a, b, stream); }));
    return Raise(rate, 3 * size, stream,
                 [&] { return ops::AddInPlace(a, b, stream); });
  }));
  return rate;
}

}  // namespace

absl::StatusOr<Peak> MeasurePeak(comm::World& world) {
  Peak peak;
  EISBACH_ASSIGN_OR_RETURN(peak.f32_flops, MatmulRate(world, DType::kF32));
  EISBACH_ASSIGN_OR_RETURN(peak.bf16_flops, MatmulRate(world, DType::kBF16));
  EISBACH_ASSIGN_OR_RETURN(peak.bytes, StreamRate(world));
  world.device().TrimMemory();
  return peak;
}

}  // namespace eisbach::train
