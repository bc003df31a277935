#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"
#include "core/philox.h"
#include "core/threads.h"
#include "device/device.h"
#include "support/device_testing.h"
#include "support/status_testing.h"
#include "tensor/tensor.h"

// The op harness: make tensors, run the op, compare with a naive reference in
// double. A reference reads what the op read (values already rounded to the
// dtype), so that its error is that of the op alone.
//
//   Tensor x = test::Normal({3, 5}, DType::kBF16, /*seed=*/1);
//   Tensor y = test::Value(ops::GeluForward(x, test::TheStream()));
//   test::ExpectClose(y, GeluReference(test::ToDoubles(x)));
namespace eisbach::test {

// The device under test: cpu, or what EISBACH_TEST_DEVICE names, so that the
// same tests check every backend.
inline Device& TheDevice() {
  static std::shared_ptr<Device> device = Value(MakeDevice(TestedType()));
  return *device;
}
inline Stream& TheStream() { return TheDevice().compute_stream(); }

inline Device& Meta() {
  static std::shared_ptr<Device> device = Value(MakeDevice(DeviceType::kMeta));
  return *device;
}
inline Stream& MetaStream() { return Meta().compute_stream(); }

inline Tensor Empty(const Shape& shape, DType dtype,
                    Device& device = TheDevice()) {
  return Value(Tensor::Empty(shape, dtype, device));
}

// Calls f(byte offset from the first element) for each element, in logical
// order, whatever the strides.
template <typename F>
void ForEachOffset(const Tensor& t, F&& f) {
  const int64_t n = t.elements();
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i, offset = 0;
    for (int d = t.rank() - 1; d >= 0; --d) {
      offset += rest % t.dim(d) * t.stride(d);
      rest /= t.dim(d);
    }
    f(offset * static_cast<int64_t>(SizeOf(t.dtype())));
  }
}

template <typename T>
double LoadAs(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>) {
    return static_cast<float>(value);
  } else {
    return static_cast<double>(value);
  }
}

template <typename T>
void StoreAs(char* p, double value) {
  T converted;
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>) {
    converted = T(static_cast<float>(value));
  } else {
    converted = static_cast<T>(value);
  }
  std::memcpy(p, &converted, sizeof(T));
}

// Calls f(T{}) with the storage type of any dtype.
template <typename F>
void DispatchAny(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kF32:
      return f(float{});
    case DType::kBF16:
      return f(BFloat16{});
    case DType::kF16:
      return f(Float16{});
    case DType::kF64:
      return f(double{});
    case DType::kI32:
      return f(int32_t{});
    case DType::kI64:
      return f(int64_t{});
    case DType::kU8:
      return f(uint8_t{});
    case DType::kU16:
      return f(uint16_t{});
  }
}

// The memory from the first element to the last, gaps of a view included.
inline std::vector<char> HostBytes(const Tensor& t) {
  int64_t end = 0;
  ForEachOffset(t, [&](int64_t offset) { end = std::max(end, offset); });
  if (t.elements() == 0) return {};
  std::vector<char> host(end + SizeOf(t.dtype()));
  Stream& stream = t.device().compute_stream();
  EXPECT_TRUE(
      t.device().CopyToHost(host.data(), t.raw(), host.size(), stream).ok());
  EXPECT_TRUE(stream.Synchronize().ok());
  return host;
}

// Writes values, rounded to the dtype, in logical order.
inline void Assign(const Tensor& t, const std::vector<double>& values) {
  ASSERT_EQ(static_cast<int64_t>(values.size()), t.elements());
  std::vector<char> host = HostBytes(t);
  size_t i = 0;
  DispatchAny(t.dtype(), [&](auto zero) {
    ForEachOffset(t, [&](int64_t offset) {
      StoreAs<decltype(zero)>(host.data() + offset, values[i++]);
    });
  });
  Stream& stream = t.device().compute_stream();
  ASSERT_TRUE(
      t.device().CopyToDevice(t.raw(), host.data(), host.size(), stream).ok());
  ASSERT_TRUE(stream.Synchronize().ok());
}

inline Tensor FromValues(const Shape& shape, DType dtype,
                         const std::vector<double>& values) {
  Tensor t = Empty(shape, dtype);
  Assign(t, values);
  return t;
}

inline std::vector<double> ToDoubles(const Tensor& t) {
  std::vector<double> values;
  values.reserve(t.elements());
  const std::vector<char> host = HostBytes(t);
  DispatchAny(t.dtype(), [&](auto zero) {
    ForEachOffset(t, [&](int64_t offset) {
      values.push_back(LoadAs<decltype(zero)>(host.data() + offset));
    });
  });
  return values;
}

inline std::vector<float> ToFloats(const Tensor& t) {
  const std::vector<double> values = ToDoubles(t);
  return {values.begin(), values.end()};
}

// The elements' bytes in logical order, to compare results bit by bit.
inline std::vector<uint8_t> ToBytes(const Tensor& t) {
  std::vector<uint8_t> bytes;
  const std::vector<char> host = HostBytes(t);
  ForEachOffset(t, [&](int64_t offset) {
    bytes.insert(bytes.end(), host.begin() + offset,
                 host.begin() + offset + SizeOf(t.dtype()));
  });
  return bytes;
}

// N(0, scale) values that depend on seed and position alone.
inline std::vector<double> NormalValues(int64_t n, uint64_t seed,
                                        double scale = 1.0) {
  std::vector<double> values(n);
  for (int64_t i = 0; i < n; ++i) {
    const PhiloxCounter r =
        Philox({static_cast<uint32_t>(i), 0, 0, 0}, MakePhiloxKey(seed));
    values[i] = scale * ToNormal(r[0], r[1])[0];
  }
  return values;
}

inline Tensor Normal(const Shape& shape, DType dtype, uint64_t seed,
                     double scale = 1.0) {
  return FromValues(shape, dtype, NormalValues(shape.elements(), seed, scale));
}

// Uniform integers in [0, bound), of an integer dtype.
inline Tensor Indices(const Shape& shape, DType dtype, int64_t bound,
                      uint64_t seed) {
  std::vector<double> values(shape.elements());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(
        Philox({static_cast<uint32_t>(i), 0, 0, 1}, MakePhiloxKey(seed))[0] %
        static_cast<uint64_t>(bound));
  }
  return FromValues(shape, dtype, values);
}

// Rounding of one stored result, with room for a few f32 operations.
inline double Tolerance(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return 6e-3;
    case DType::kF16:
      return 8e-4;
    case DType::kF64:
      return 1e-12;
    default:
      return 2e-6;
  }
}

// |actual - expected| <= tolerance * max(|expected|, scale), element by
// element; NaN and infinities must agree. `scale` is the size below which the
// error is absolute: the largest magnitude that the op summed.
inline void ExpectClose(const Tensor& actual,
                        const std::vector<double>& expected,
                        double tolerance = 0, double scale = 1.0) {
  const std::vector<double> got = ToDoubles(actual);
  ASSERT_EQ(got.size(), expected.size());
  if (tolerance == 0) tolerance = Tolerance(actual.dtype());
  int failures = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double want = expected[i];
    const bool same = std::isnan(want) ? std::isnan(got[i])
                      : std::isinf(want)
                          ? got[i] == want
                          : std::abs(got[i] - want) <=
                                tolerance * std::max(std::abs(want), scale);
    if (same) continue;
    ADD_FAILURE() << actual.ToString() << " element " << i << ": " << got[i]
                  << ", expected " << want;
    if (++failures == 5) return;
  }
}

// Compares `gradient` with central differences of `loss` in the elements of
// `x` (f32, contiguous; changed and restored). At most 48 elements, evenly
// spread. `loss` sums in double what the op computes in f32.
inline void ExpectGradient(const Tensor& x, const Tensor& gradient,
                           const std::function<double()>& loss,
                           double step = 1e-2, double tolerance = 2e-3) {
  ASSERT_EQ(x.elements(), gradient.elements());
  const std::vector<double> analytic = ToDoubles(gradient);
  double largest = 0;
  for (double g : analytic) largest = std::max(largest, std::abs(g));
  std::vector<double> values = ToDoubles(x);
  const auto loss_at = [&](int64_t i, float value) {
    const double saved = std::exchange(values[i], value);
    Assign(x, values);
    const double result = loss();
    values[i] = saved;
    return result;
  };
  const int64_t stride = std::max<int64_t>(1, x.elements() / 48);
  for (int64_t i = 0; i < x.elements(); i += stride) {
    const float saved = static_cast<float>(values[i]);
    const float above = saved + static_cast<float>(step);
    const float below = saved - static_cast<float>(step);
    const double loss_above = loss_at(i, above);
    const double loss_below = loss_at(i, below);
    const double numeric =
        (loss_above - loss_below) / (static_cast<double>(above) - below);
    EXPECT_NEAR(analytic[i], numeric, tolerance * std::max(1.0, largest))
        << "element " << i;
  }
  Assign(x, values);
}

// sum(a * b) in double: a loss whose gradient with respect to a is b.
inline double Dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = ToDoubles(a), y = ToDoubles(b);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

// The calling thread's OpenMP thread count, for the life of the object.
class ScopedThreads {
 public:
  explicit ScopedThreads(int threads) : saved_(ComputeThreads()) {
    SetComputeThreads(threads);
  }
  ~ScopedThreads() { SetComputeThreads(saved_); }

 private:
  int saved_;
};

// Notes what a device is given, for the life of the object.
class CostRecorder final : public Recorder {
 public:
  explicit CostRecorder(Device& device) : device_(device) {
    device_.set_recorder(this);
  }
  ~CostRecorder() override { device_.set_recorder(nullptr); }

  void OnOp(absl::string_view name, const OpCost& cost,
            const Stream&) override {
    ops.emplace_back(std::string(name), cost);
  }
  void OnCollective(absl::string_view, absl::string_view, const CollectiveCost&,
                    const Stream&) override {}

  std::vector<std::pair<std::string, OpCost>> ops;

 private:
  Device& device_;
};

}  // namespace eisbach::test
