#include "device/cpu/copy.h"

#include <gtest/gtest.h>

#include <vector>

namespace eisbach::cpu::copy_test {
namespace {

// Any size and alignment; nothing beside the range is written.
TEST(Copy, PastCachesCopiesTheRangeAlone) {
  std::vector<uint8_t> from(5000);
  for (size_t i = 0; i < from.size(); ++i) {
    from[i] = static_cast<uint8_t>(i * 31 + 7);
  }
  for (int64_t bytes : {0, 1, 63, 64, 65, 127, 128, 1000, 4096}) {
    for (int64_t shift : {0, 1, 17, 63, 64}) {
      for (int64_t source : {0, 3}) {
        std::vector<uint8_t> to(5000, 0xee);
        CopyPastCaches(to.data() + shift, from.data() + source, bytes);
        for (int64_t i = 0; i < static_cast<int64_t>(to.size()); ++i) {
          const bool inside = i >= shift && i < shift + bytes;
          ASSERT_EQ(to[i], inside ? from[i - shift + source] : 0xee)
              << bytes << " bytes to " << shift << " at " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace eisbach::cpu::copy_test
