#include "core/divisor.h"

#include <algorithm>

namespace eisbach {

int64_t NearestDivisor(int64_t n, int64_t wanted, int64_t least) {
  wanted = std::clamp(wanted, least, n);
  for (int64_t away = 0;; ++away) {  // n is one
    for (const int64_t d : {wanted - away, wanted + away}) {
      if (d >= least && d <= n && n % d == 0) return d;
    }
  }
}

}  // namespace eisbach
