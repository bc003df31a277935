#include "device/cpu/copy.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/cpu/copy.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void CopyPastCaches(void* to, const void* from, int64_t bytes) {
  constexpr int64_t kLine = 64;
  constexpr int64_t kAhead = 1024;  // bytes that are fetched early
  const hn::ScalableTag<uint8_t> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  uint8_t* out = static_cast<uint8_t*>(to);
  const uint8_t* in = static_cast<const uint8_t*>(from);
  const int64_t head = std::min<int64_t>(
      bytes, -reinterpret_cast<uintptr_t>(out) % uintptr_t{kLine});
  std::memcpy(out, in, head);
  int64_t at = head;
  const int64_t step = std::max(kLine, lanes);
  for (; at + step <= bytes; at += step) {
    hwy::Prefetch(in + at + kAhead);
    for (int64_t i = 0; i < step; i += lanes) {
      hn::Stream(hn::LoadU(d, in + at + i), d, out + at + i);
    }
  }
  std::memcpy(out + at, in + at, bytes - at);
  hwy::FlushStream();
}

}  // namespace eisbach::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::cpu {

HWY_EXPORT(CopyPastCaches);

void CopyPastCaches(void* to, const void* from, int64_t bytes) {
  if (bytes <= 0) return;
  HWY_DYNAMIC_DISPATCH(CopyPastCaches)(to, from, bytes);
}

}  // namespace eisbach::cpu
#endif  // HWY_ONCE
