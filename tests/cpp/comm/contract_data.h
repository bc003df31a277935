#pragma once

#include <bit>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "comm/world.h"
#include "core/philox.h"
#include "core/status_macros.h"

// Values and expectations for the communicator contract.
namespace eisbach::comm::contract {

inline constexpr int64_t kSizes[] = {0, 1, 7, 10, 1000, 65537};
inline constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16,
                                    DType::kF64, DType::kI32,  DType::kI64,
                                    DType::kU8,  DType::kU16};

// Whether a reduction is worth its time: the longest of kSizes is there for the
// pieces that backends cut, which are the same for every operation.
inline bool WorthReducing(DType dtype, int64_t elements, ReduceOp op) {
  return elements < 65537 || op == ReduceOp::kSum || dtype == DType::kF32;
}

// A small hash: data differ by rank, position and salt.
inline uint32_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>(x >> 32);
}
inline uint32_t Mix(int rank, int64_t i, int salt) {
  return Mix(Mix(static_cast<uint64_t>(i) << 20 | rank << 8 | salt));
}

// The value that rank `rank` holds at `i`. Floats are rarely exact in sums, so
// that another order of summation shows.
template <typename T>
T Value(int rank, int64_t i, int salt) {
  const uint32_t bits = Mix(rank, i, salt);
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(bits);
  } else {
    return T(static_cast<float>(static_cast<int32_t>(bits)) * 0x1p-28f);
  }
}

// Where the tensors of the checks lie. A backend that treats shared memory
// (Device::AllocateShared) in a way of its own is checked with each; `mixed`
// differs from tensor to tensor and from rank to rank.
enum class Place { kPlain, kShared, kMixed };
inline Place place = Place::kPlain;
inline uint32_t mixed_tensors = 0;  // starts at another number on every rank

template <typename T>
absl::StatusOr<Tensor> Make(Device& device, int64_t elements) {
  const bool shared =
      place == Place::kShared ||
      (place == Place::kMixed && Mix(uint64_t{++mixed_tensors}) % 2 == 0);
  if (!shared) return Tensor::Empty({elements}, DTypeOf<T>::value, device);
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Storage> storage,
                           device.AllocateShared(elements * sizeof(T)));
  return Tensor::FromStorage(std::move(storage), 0, {elements},
                             DTypeOf<T>::value);
}

// Writes value(i) to each element, wherever the device keeps it.
template <typename T, typename F>
absl::Status FillWith(const Tensor& tensor, F&& value) {
  std::vector<T> host(tensor.elements());
  for (int64_t i = 0; i < tensor.elements(); ++i) host[i] = value(i);
  Stream& stream = tensor.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(tensor.device().CopyToDevice(
      tensor.data<T>(), host.data(), tensor.bytes(), stream));
  return stream.Synchronize();
}

template <typename T>
absl::Status Fill(const Tensor& tensor, int rank, int salt) {
  return FillWith<T>(tensor,
                     [&](int64_t i) { return Value<T>(rank, i, salt); });
}

template <typename T>
absl::StatusOr<Tensor> Filled(Device& device, int64_t elements, int rank,
                              int salt) {
  EISBACH_ASSIGN_OR_RETURN(Tensor tensor, Make<T>(device, elements));
  EISBACH_RETURN_IF_ERROR(Fill<T>(tensor, rank, salt));
  return tensor;
}

// The reduction as the contract defines it, written without care for speed.
template <typename T>
T Reduced(const std::vector<int>& ranks, int64_t i, int salt, ReduceOp op) {
  constexpr bool kShort =
      std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;
  using A = std::conditional_t<kShort, float, T>;
  A sum = static_cast<A>(Value<T>(ranks[0], i, salt));
  for (size_t r = 1; r < ranks.size(); ++r) {
    const A next = static_cast<A>(Value<T>(ranks[r], i, salt));
    if (op == ReduceOp::kMax) {
      sum = next > sum ? next : sum;
    } else if (op == ReduceOp::kMin) {
      sum = next < sum ? next : sum;
    } else if constexpr (std::is_integral_v<T>) {
      sum = static_cast<T>(static_cast<uint64_t>(sum) +
                           static_cast<uint64_t>(next));
    } else {
      sum = sum + next;
    }
  }
  return static_cast<T>(sum);
}

// `value` as an unsigned integer of its size.
template <typename T>
auto Bits(const T& value) {
  if constexpr (sizeof(T) == 1) {
    return std::bit_cast<uint8_t>(value);
  } else if constexpr (sizeof(T) == 2) {
    return std::bit_cast<uint16_t>(value);
  } else if constexpr (sizeof(T) == 4) {
    return std::bit_cast<uint32_t>(value);
  } else {
    return std::bit_cast<uint64_t>(value);
  }
}

// `tensor` must equal `expected(i)` bit by bit after what the compute stream
// has.
template <typename T, typename F>
absl::Status Expect(const Tensor& tensor, absl::string_view what,
                    F&& expected) {
  std::vector<T> data(tensor.elements());
  Stream& stream = tensor.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(tensor.device().CopyToHost(
      data.data(), tensor.data<T>(), tensor.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const T want = expected(i);
    if (Bits(data[i]) != Bits(want)) {
      return absl::InternalError(absl::StrCat(
          what, ": ", tensor.ToString(), " differs at ", i, ": ",
          static_cast<double>(static_cast<float>(data[i])), " instead of ",
          static_cast<double>(static_cast<float>(want))));
    }
  }
  return absl::OkStatus();
}

inline absl::Status ExpectTrue(bool condition, absl::string_view what) {
  return condition ? absl::OkStatus() : absl::InternalError(what);
}

// Whether `group` reduces `dtype`; NCCL has no u16.
inline bool Reduces(const Communicator& group, DType dtype) {
  return dtype != DType::kU16 || group.transport() != "nccl";
}

// Calls `f(T{})` for every dtype.
template <typename F>
absl::Status ForEachDType(F&& f) {
  EISBACH_RETURN_IF_ERROR(f(float{}));
  EISBACH_RETURN_IF_ERROR(f(BFloat16{}));
  EISBACH_RETURN_IF_ERROR(f(Float16{}));
  EISBACH_RETURN_IF_ERROR(f(double{}));
  EISBACH_RETURN_IF_ERROR(f(int32_t{}));
  EISBACH_RETURN_IF_ERROR(f(int64_t{}));
  EISBACH_RETURN_IF_ERROR(f(uint8_t{}));
  return f(uint16_t{});
}

inline std::vector<int> Iota(int n) {
  std::vector<int> v(n);
  for (int i = 0; i < n; ++i) v[i] = i;
  return v;
}

}  // namespace eisbach::comm::contract
