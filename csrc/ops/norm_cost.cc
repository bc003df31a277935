#include "ops/norm_cost.h"

namespace eisbach::ops {
namespace {

constexpr double kForwardFlops = 8;
constexpr double kNormalizeFlops = 4;
constexpr double kBackwardFlops = 14;

double BytesOf(const Tensor* t) {
  return t == nullptr ? 0.0 : static_cast<double>(t->bytes());
}

}  // namespace

OpCost NormForwardCost(const NormForwardArgs& a) {
  return {.flops = kForwardFlops * static_cast<double>(a.x.elements()),
          .bytes_read = BytesOf(&a.x) + BytesOf(a.residual) +
                        BytesOf(&a.weight) + BytesOf(a.bias),
          .bytes_written = BytesOf(&a.y) + BytesOf(a.sum) + BytesOf(a.mean) +
                           BytesOf(&a.rstd),
          .dtype = a.x.dtype()};
}

OpCost NormalizeCost(const NormalizeArgs& a) {
  return {.flops = kNormalizeFlops * static_cast<double>(a.sum.elements()),
          .bytes_read = BytesOf(&a.sum) + BytesOf(&a.weight) + BytesOf(a.bias) +
                        BytesOf(a.mean) + BytesOf(&a.rstd),
          .bytes_written = BytesOf(&a.y),
          .dtype = a.sum.dtype()};
}

OpCost NormBackwardCost(const NormBackwardArgs& a) {
  const double gradients = BytesOf(&a.dweight) + BytesOf(a.dbias);
  return {.flops = kBackwardFlops * static_cast<double>(a.sum.elements()),
          .bytes_read = BytesOf(&a.dy) + BytesOf(a.dsum) + BytesOf(&a.sum) +
                        BytesOf(&a.weight) + BytesOf(a.mean) +
                        BytesOf(&a.rstd) + (a.accumulate ? gradients : 0.0),
          .bytes_written = BytesOf(&a.dx) + gradients,
          .dtype = a.sum.dtype()};
}

}  // namespace eisbach::ops
