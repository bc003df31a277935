#include "optim/newton_schulz.h"

#include <algorithm>
#include <utility>

#include "core/status_macros.h"
#include "ops/matmul.h"
#include "ops/muon.h"
#include "ops/reduce.h"

namespace eisbach::optim {
namespace {

constexpr float kA = 3.4445f, kB = -4.775f, kC = 2.0315f;
constexpr float kLeastNorm = 1e-7f;

absl::Status Multiply(const Tensor& a, const Tensor& b, const Tensor& c,
                      Stream& stream) {
  return ops::Matmul(a, b, /*bias=*/nullptr, /*accumulate=*/false, c, stream);
}

}  // namespace

absl::StatusOr<Tensor> NewtonSchulz(const Tensor& matrix, int steps,
                                    DType dtype, Stream& stream) {
  Device& device = stream.device();
  const bool tall = matrix.dim(0) > matrix.dim(1);
  const int64_t side = std::min(matrix.dim(0), matrix.dim(1));
  EISBACH_ASSIGN_OR_RETURN(const Tensor square,
                           Tensor::Empty(Shape{1}, DType::kF64, device));
  EISBACH_RETURN_IF_ERROR(
      ops::SumOfSquares(matrix, /*accumulate=*/false, square, stream));
  EISBACH_ASSIGN_OR_RETURN(Tensor x,
                           Tensor::Empty(matrix.shape(), dtype, device));
  EISBACH_RETURN_IF_ERROR(
      ops::DivideByRoot(matrix, square, kLeastNorm, x, stream));
  EISBACH_ASSIGN_OR_RETURN(Tensor next,
                           Tensor::Empty(matrix.shape(), dtype, device));
  const Shape gram{side, side};
  EISBACH_ASSIGN_OR_RETURN(const Tensor a, Tensor::Empty(gram, dtype, device));
  EISBACH_ASSIGN_OR_RETURN(const Tensor b, Tensor::Empty(gram, dtype, device));
  for (int step = 0; step < steps; ++step) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor t, x.Transpose(0, 1));
    EISBACH_RETURN_IF_ERROR(tall ? Multiply(t, x, a, stream)
                                 : Multiply(x, t, a, stream));
    EISBACH_RETURN_IF_ERROR(Multiply(a, a, b, stream));
    EISBACH_RETURN_IF_ERROR(ops::Blend(kB, a, kC, b, stream));
    EISBACH_RETURN_IF_ERROR(tall ? Multiply(x, b, next, stream)
                                 : Multiply(b, x, next, stream));
    EISBACH_RETURN_IF_ERROR(ops::Blend(kA, x, 1, next, stream));
    std::swap(x, next);
  }
  return x;
}

double NewtonSchulzFlops(const Shape& shape, int steps) {
  const double small = static_cast<double>(std::min(shape[0], shape[1]));
  const double large = static_cast<double>(std::max(shape[0], shape[1]));
  return steps * (4 * small * small * large + 2 * small * small * small);
}

}  // namespace eisbach::optim
