#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "ops/attention.h"
#include "support/op_testing.h"

namespace eisbach::test {

struct AttentionExpected {
  std::vector<double> out, lse, dqkv;
};

// Attention straight from the formula of ops/attention.h, in double. `dout` may
// be empty: then there is no dqkv. `starts` of the options lie in host memory.
inline AttentionExpected AttentionReference(
    int64_t batch, int64_t length, const ops::AttentionHeads& heads,
    const ops::AttentionOptions& options, const std::vector<double>& qkv,
    const std::vector<double>& dout) {
  const int64_t dim = heads.head_dim, width = heads.packed_width();
  const double scale = options.ScaleFor(dim), cap = options.cap;
  const std::vector<double> starts =
      options.starts.defined() ? ToDoubles(options.starts)
                               : std::vector<double>(batch * length, 0.0);
  AttentionExpected e;
  e.out.resize(batch * length * heads.heads * dim);
  e.lse.resize(batch * heads.heads * length);
  e.dqkv.assign(qkv.size(), 0.0);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads.heads; ++h) {
      const int64_t kv = (h + heads.query_offset) / heads.group;
      const int64_t q = h * dim, k = (heads.heads + kv) * dim;
      const int64_t v = (heads.heads + heads.kv_heads + kv) * dim;
      for (int64_t i = 0; i < length; ++i) {
        const int64_t row = (b * length + i) * width;
        const int64_t o = ((b * length + i) * heads.heads + h) * dim;
        int64_t first = static_cast<int64_t>(starts[b * length + i]);
        if (options.window > 0) first = std::max(first, i - options.window + 1);
        std::vector<double> p(i + 1), dp(i + 1), slope(i + 1, 1.0);
        double largest = -INFINITY, sum = 0, delta = 0;
        for (int64_t j = first; j <= i; ++j) {
          const int64_t other = (b * length + j) * width;
          for (int64_t x = 0; x < dim; ++x) {
            p[j] += scale * qkv[row + q + x] * qkv[other + k + x];
          }
          if (cap > 0) {
            const double bent = std::tanh(p[j] / cap);
            slope[j] = 1 - bent * bent;
            p[j] = cap * bent;
          }
          largest = std::max(largest, p[j]);
        }
        for (int64_t j = first; j <= i; ++j) {
          sum += p[j] = std::exp(p[j] - largest);
        }
        e.lse[(b * heads.heads + h) * length + i] = largest + std::log(sum);
        for (int64_t j = first; j <= i; ++j) {
          p[j] /= sum;
          const int64_t other = (b * length + j) * width;
          for (int64_t x = 0; x < dim; ++x) {
            e.out[o + x] += p[j] * qkv[other + v + x];
          }
        }
        if (dout.empty()) continue;
        for (int64_t j = first; j <= i; ++j) {
          const int64_t other = (b * length + j) * width;
          for (int64_t x = 0; x < dim; ++x) {
            dp[j] += dout[o + x] * qkv[other + v + x];
            e.dqkv[other + v + x] += p[j] * dout[o + x];
          }
          delta += p[j] * dp[j];
        }
        for (int64_t j = first; j <= i; ++j) {
          const int64_t other = (b * length + j) * width;
          const double ds = scale * slope[j] * p[j] * (dp[j] - delta);
          for (int64_t x = 0; x < dim; ++x) {
            e.dqkv[row + q + x] += ds * qkv[other + k + x];
            e.dqkv[other + k + x] += ds * qkv[row + q + x];
          }
        }
      }
    }
  }
  return e;
}

}  // namespace eisbach::test
