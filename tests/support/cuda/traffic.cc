#include "support/cuda/traffic.h"

#include <cstddef>
#include <cstdint>
#include <unordered_set>

#include "support/cuda/streams.h"

// Not instrumented: it would count itself.
#define RAW __attribute__((no_sanitize_address))

namespace eisbach::doubles {
namespace {

constexpr uintptr_t kSector = 32;

struct Launch {
  std::unordered_set<uintptr_t> read;
  std::unordered_set<uintptr_t> written;
};

Launch* launch = nullptr;
bool counting = false;  // inside a count, which is instrumented in part

RAW void Count(const void* address, size_t bytes, bool writes) {
  if (launch == nullptr || counting) return;
  counting = true;
  if (IsDeviceMemory(address)) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(address);
    for (uintptr_t sector = begin / kSector;
         sector <= (begin + bytes - 1) / kSector; ++sector) {
      if (writes) {
        launch->written.insert(sector);
      } else if (!launch->written.contains(sector)) {
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

// What the compiler calls before each access, by -fsanitize=kernel-address.
#define ACCESS(size)                                          \
  extern "C" RAW void __asan_load##size##_noabort(void* p) {  \
    eisbach::doubles::Count(p, size, false);                  \
  }                                                           \
  extern "C" RAW void __asan_store##size##_noabort(void* p) { \
    eisbach::doubles::Count(p, size, true);                   \
  }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
extern "C" RAW void __asan_loadN_noabort(void* p, size_t bytes) {
  eisbach::doubles::Count(p, bytes, false);
}
extern "C" RAW void __asan_storeN_noabort(void* p, size_t bytes) {
  eisbach::doubles::Count(p, bytes, true);
}
extern "C" RAW void __asan_handle_no_return() {}
