#include "absl/strings/str_cat.h"
#include "ops/copy_dims.h"
#include "ops/cuda/bridge.h"
#include "ops/cuda/copy_kernels.h"
#include "ops/elementwise.h"

namespace eisbach::ops {
namespace {

using cuda::Element;

Element ToElement(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Element::kF32;
    case DType::kBF16:
      return Element::kBF16;
    case DType::kF16:
      return Element::kF16;
    case DType::kF64:
      return Element::kF64;
    case DType::kI32:
      return Element::kI32;
    case DType::kI64:
      return Element::kI64;
    case DType::kU8:
      return Element::kU8;
    case DType::kU16:
      break;
  }
  return Element::kU16;
}

cuda::CopyAxis ToAxis(const CopyDim& dim) {
  return {dim.size, dim.from_stride, dim.to_stride};
}

absl::Status Copy(const CopyArgs& args, Stream& stream) {
  if (args.from.elements() == 0) return absl::OkStatus();
  CopyDims dims = MergedCopyDims(args.from, args.to);
  cuda::CopyShape shape;
  shape.column = ToAxis(TakeFasterColumn(dims));
  shape.row = ToAxis(dims.back());
  dims.pop_back();
  if (dims.size() >= cuda::kMaxCopyAxes) {
    return absl::UnimplementedError(
        absl::StrCat("copy: ", args.from.ToString(), " has ", dims.size(),
                     " dimensions that can't be merged beside the fastest "
                     "ones; the kernel takes ",
                     cuda::kMaxCopyAxes - 1));
  }
  for (const CopyDim& dim : dims) shape.plane[shape.planes++] = ToAxis(dim);
  EISBACH_RETURN_IF_CUDA(cuda::LaunchCopy(
      ToElement(args.from.dtype()), args.from.raw(), ToElement(args.to.dtype()),
      args.to.raw(), shape, cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(CopySlot, DeviceType::kCuda, &Copy);

}  // namespace
}  // namespace eisbach::ops
