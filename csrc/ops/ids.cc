#include "ops/ids.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/device.h"

namespace eisbach::ops {

absl::Status CheckIds(IdKind kind, absl::Span<const int32_t> ids,
                      const Shape& shape, int64_t vocab) {
  const bool token = kind == IdKind::kToken;
  const int64_t lowest = token ? 0 : std::numeric_limits<int32_t>::min();
  const auto inside = [&](int32_t id) { return id >= lowest && id < vocab; };
  // Without a branch, as nearly always all are inside.
  bool all = true;
  for (const int32_t id : ids) all &= inside(id);
  if (all) return absl::OkStatus();
  const int64_t at =
      std::find_if_not(ids.begin(), ids.end(), inside) - ids.begin();
  const int64_t length = shape.rank() < 2 ? ids.size() : shape[-1];
  return absl::InvalidArgumentError(absl::StrCat(
      token ? "token " : "target ", ids[at], " at position ", at % length,
      shape.rank() < 2 ? "" : absl::StrCat(" of sample ", at / length),
      " is outside the vocabulary of ", vocab,
      token ? "" : "; a target below 0 is masked, as -100 is elsewhere"));
}

absl::Status CheckIds(IdKind kind, const Tensor& ids, int64_t vocab) {
  if (ids.dtype() != DType::kI32 || !ids.contiguous()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ids=", ids.ToString(), " must be i32 and contiguous"));
  }
  if (ids.device().type() != DeviceType::kCpu) return absl::OkStatus();
  return CheckIds(kind,
                  absl::MakeConstSpan(ids.data<int32_t>(), ids.elements()),
                  ids.shape(), vocab);
}

absl::Status ReadAndCheckIds(IdKind kind, const Tensor& ids, int64_t vocab,
                             Stream& stream) {
  if (ids.device().type() != DeviceType::kCuda || ids.dtype() != DType::kI32 ||
      !ids.contiguous()) {
    return CheckIds(kind, ids, vocab);
  }
  std::vector<int32_t> host(ids.elements());
  EISBACH_RETURN_IF_ERROR(
      ids.device().CopyToHost(host.data(), ids.raw(), ids.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return CheckIds(kind, host, ids.shape(), vocab);
}

}  // namespace eisbach::ops
