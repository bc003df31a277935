#include "support/cuda/traffic.h"

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "support/cuda/streams.h"

// Not instrumented: it would count itself.
#define RAW __attribute__((no_sanitize_thread))

namespace eisbach::doubles {
namespace {

constexpr uintptr_t kSector = 32;

struct Launch {
  std::unordered_set<uintptr_t> read;
  std::unordered_map<uintptr_t, uint32_t> written;  // which of its bytes
};

// The bytes of `sector` that lie in [begin, end), as bits.
RAW uint32_t Bytes(uintptr_t sector, uintptr_t begin, uintptr_t end) {
  uint32_t bits = 0;
  for (uintptr_t i = 0; i < kSector; ++i) {
    const uintptr_t byte = sector * kSector + i;
    if (byte >= begin && byte < end) bits |= uint32_t{1} << i;
  }
  return bits;
}

Launch* launch = nullptr;
bool counting = false;  // inside a count, which is instrumented in part

[[maybe_unused]] RAW void Count(const void* address, size_t bytes,
                                bool writes) {
  if (launch == nullptr || counting) return;
  counting = true;
  if (IsDeviceMemory(address)) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(address);
    for (uintptr_t sector = begin / kSector;
         sector <= (begin + bytes - 1) / kSector; ++sector) {
      const uint32_t bits = Bytes(sector, begin, begin + bytes);
      if (writes) {
        launch->written[sector] |= bits;
      } else if (const auto found = launch->written.find(sector);
                 found == launch->written.end() || (bits & ~found->second)) {
        launch->read.insert(sector);
      }
    }
  }
  counting = false;
}

}  // namespace

Traffic& traffic() {
  static Traffic traffic;
  return traffic;
}

TrafficOfLaunch::TrafficOfLaunch() {
  counting = true;
  launch = new Launch;
  counting = false;
}

TrafficOfLaunch::~TrafficOfLaunch() {
  counting = true;
  traffic().read += static_cast<double>(launch->read.size() * kSector);
  traffic().written += static_cast<double>(launch->written.size() * kSector);
  delete launch;
  launch = nullptr;
  counting = false;
}

}  // namespace eisbach::doubles

#ifdef EISBACH_COUNT_TRAFFIC
// What the compiler calls before each access, by -fsanitize=thread.
#define ACCESS(size)                                          \
  extern "C" RAW void __tsan_read##size(void* p) {            \
    eisbach::doubles::Count(p, size, false);                  \
  }                                                           \
  extern "C" RAW void __tsan_write##size(void* p) {           \
    eisbach::doubles::Count(p, size, true);                   \
  }                                                           \
  extern "C" RAW void __tsan_unaligned_read##size(void* p) {  \
    eisbach::doubles::Count(p, size, false);                  \
  }                                                           \
  extern "C" RAW void __tsan_unaligned_write##size(void* p) { \
    eisbach::doubles::Count(p, size, true);                   \
  }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
extern "C" RAW void __tsan_read_range(void* p, size_t bytes) {
  eisbach::doubles::Count(p, bytes, false);
}
extern "C" RAW void __tsan_write_range(void* p, size_t bytes) {
  eisbach::doubles::Count(p, bytes, true);
}
extern "C" RAW void __tsan_init() {}
extern "C" RAW void __tsan_func_entry(void*) {}
extern "C" RAW void __tsan_func_exit() {}
extern "C" RAW void __tsan_vptr_update(void*, void*) {}
extern "C" RAW void __tsan_vptr_read(void*) {}
// Atomics become calls. One is a read and a write.
#define ATOMIC(bits)                                                       \
  extern "C" RAW uint##bits##_t __tsan_atomic##bits##_load(                \
      const volatile void* p, int) {                                       \
    return __atomic_load_n(static_cast<const volatile uint##bits##_t*>(p), \
                           __ATOMIC_SEQ_CST);                              \
  }                                                                        \
  extern "C" RAW void __tsan_atomic##bits##_store(volatile void* p,        \
                                                  uint##bits##_t v, int) { \
    __atomic_store_n(static_cast<volatile uint##bits##_t*>(p), v,          \
                     __ATOMIC_SEQ_CST);                                    \
  }                                                                        \
  extern "C" RAW uint##bits##_t __tsan_atomic##bits##_fetch_add(           \
      volatile void* p, uint##bits##_t v, int) {                           \
    eisbach::doubles::Count(const_cast<void*>(p), bits / 8, false);        \
    eisbach::doubles::Count(const_cast<void*>(p), bits / 8, true);         \
    return __atomic_fetch_add(static_cast<volatile uint##bits##_t*>(p), v, \
                              __ATOMIC_SEQ_CST);                           \
  }                                                                        \
  extern "C" RAW uint##bits##_t __tsan_atomic##bits##_fetch_sub(           \
      volatile void* p, uint##bits##_t v, int order) {                     \
    return __tsan_atomic##bits##_fetch_add(p, -v, order);                  \
  }                                                                        \
  extern "C" RAW int __tsan_atomic##bits##_compare_exchange_weak(          \
      volatile void* p, void* expected, uint##bits##_t v, int, int) {      \
    eisbach::doubles::Count(const_cast<void*>(p), bits / 8, false);        \
    eisbach::doubles::Count(const_cast<void*>(p), bits / 8, true);         \
    return __atomic_compare_exchange_n(                                    \
        static_cast<volatile uint##bits##_t*>(p),                          \
        static_cast<uint##bits##_t*>(expected), v, true, __ATOMIC_SEQ_CST, \
        __ATOMIC_SEQ_CST);                                                 \
  }
ATOMIC(8)
ATOMIC(32)
ATOMIC(64)
#endif
