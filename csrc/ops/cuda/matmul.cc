#include "ops/matmul.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/cublaslt.h"
#include "ops/cuda/elementwise_kernels.h"
#include "ops/cuda/matmul_kernels.h"

namespace eisbach::ops {
namespace {

using cuda::Epilogue;
using cuda::GemmShape;

// The largest power of two up to 256 that divides the address.
int AlignmentOf(const void* pointer) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer) | 256;
  return static_cast<int>(address & -address);
}

// Without an epilogue.
absl::StatusOr<GemmShape> ShapeOf(const MatmulArgs& args) {
  EISBACH_ASSIGN_OR_RETURN(const MatrixLayout a, LayoutOf(args.a));
  EISBACH_ASSIGN_OR_RETURN(const MatrixLayout b, LayoutOf(args.b));
  EISBACH_ASSIGN_OR_RETURN(const MatrixLayout c, LayoutOf(args.c));
  return GemmShape{
      .m = args.a.dim(0),
      .n = args.b.dim(1),
      .k = args.a.dim(1),
      .lda = a.ld,
      .ldb = b.ld,
      .ldc = c.ld,
      .a_transposed = a.transposed,
      .b_transposed = b.transposed,
      .accumulate = args.accumulate,
      .in = cuda::ToType(args.a.dtype()),
      .out = cuda::ToType(args.c.dtype()),
      .tf32 = args.a.dtype() == DType::kF32 && args.a.device().allows_tf32(),
      .epilogue = Epilogue::kNone,
      .alignment_a = AlignmentOf(args.a.raw()),
      .alignment_b = AlignmentOf(args.b.raw()),
      .alignment_c = AlignmentOf(args.c.raw())};
}

absl::Status Multiply(const GemmShape& shape, const MatmulArgs& args,
                      void* bias, Stream& stream) {
  cuda::CudaDevice& device = cuda::DeviceOf(stream);
  EISBACH_ASSIGN_OR_RETURN(cuda::CublasLt * library,
                           device.Attached<cuda::CublasLt>());
  return library->Run(shape, {args.a.raw(), args.b.raw(), args.c.raw(), bias},
                      device, cuda::Handle(stream));
}

absl::Status AddBias(const MatmulArgs& args, const GemmShape& shape,
                     Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAddBias(
      shape.out, cuda::ToType(args.bias->dtype()), args.c.raw(),
      args.bias->raw(), shape.m, shape.n, shape.ldc, cuda::Handle(stream)));
  return absl::OkStatus();
}

// A product over no elements: zeros, unless it is added to what is there.
absl::Status MultiplyNothing(const MatmulArgs& args, const GemmShape& shape,
                             Stream& stream) {
  if (args.accumulate) return absl::OkStatus();
  EISBACH_RETURN_IF_CUDA(cudaMemset2DAsync(
      args.c.raw(), shape.ldc * SizeOf(args.c.dtype()), 0,
      shape.n * SizeOf(args.c.dtype()), shape.m, cuda::Handle(stream)));
  return args.bias == nullptr ? absl::OkStatus() : AddBias(args, shape, stream);
}

absl::Status MatmulCuda(const MatmulArgs& args, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(GemmShape shape, ShapeOf(args));
  if (shape.m == 0 || shape.n == 0) return absl::OkStatus();
  if (shape.k == 0) return MultiplyNothing(args, shape, stream);
  if (args.bias == nullptr) return Multiply(shape, args, nullptr, stream);
  // The epilogue takes a bias of c's dtype.
  if (args.bias->dtype() == args.c.dtype()) {
    shape.epilogue = Epilogue::kBias;
    return Multiply(shape, args, args.bias->raw(), stream);
  }
  EISBACH_RETURN_IF_ERROR(Multiply(shape, args, nullptr, stream));
  return AddBias(args, shape, stream);
}

absl::Status LinearGradientCuda(const LinearGradientArgs& args,
                                Stream& stream) {
  const LinearGradient& gradient = args.gradient;
  const Tensor& dbias = *gradient.dbias;
  EISBACH_ASSIGN_OR_RETURN(const Tensor dy_t, args.dy.Transpose(0, 1));
  const MatmulArgs product{dy_t, args.x, nullptr, gradient.accumulate,
                           gradient.dw};
  EISBACH_ASSIGN_OR_RETURN(GemmShape shape, ShapeOf(product));
  shape.epilogue = Epilogue::kBiasGradient;
  if (!gradient.accumulate_bias) {
    return Multiply(shape, product, dbias.raw(), stream);
  }
  // The epilogue overwrites.
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor sum,
      Tensor::Empty(dbias.shape(), DType::kF32, stream.device()));
  EISBACH_RETURN_IF_ERROR(Multiply(shape, product, sum.raw(), stream));
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchAdd(cuda::Type::kF32, dbias.raw(), sum.raw(), dbias.raw(),
                      dbias.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(MatmulSlot, DeviceType::kCuda, &MatmulCuda);
EISBACH_REGISTER_KERNEL(LinearGradientSlot, DeviceType::kCuda,
                        &LinearGradientCuda);

}  // namespace
}  // namespace eisbach::ops
