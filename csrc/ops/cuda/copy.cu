#include "ops/cuda/copy.cuh"
#include "ops/cuda/copy_kernels.h"

namespace eisbach::cuda {
namespace {

constexpr long long kMaxIndex = 1ll << 31;  // indices are 32 bits wide

Planes ToPlanes(const CopyShape& shape) {
  Planes planes{};
  planes.count = shape.planes;
  for (int d = 0; d < shape.planes; ++d) {
    planes.size[d] = static_cast<unsigned>(shape.plane[d].size);
    planes.from[d] = shape.plane[d].from_stride;
    planes.to[d] = shape.plane[d].to_stride;
  }
  return planes;
}

long long PlaneCount(const CopyShape& shape) {
  long long n = 1;
  for (int d = 0; d < shape.planes; ++d) n *= shape.plane[d].size;
  return n;
}

bool Transposed(const CopyShape& shape) {
  return shape.column.size >= 8 && shape.row.size >= 8;
}

template <typename From, typename To>
bool HasPieces(const From* from, const To* to, const CopyShape& shape) {
  constexpr int N = kPiece<From, To>;
  if (shape.row.from_stride != 1 || shape.row.to_stride != 1 ||
      reinterpret_cast<uintptr_t>(from) % (N * sizeof(From)) != 0 ||
      reinterpret_cast<uintptr_t>(to) % (N * sizeof(To)) != 0) {
    return false;
  }
  if (shape.planes > 0 && shape.row.size % N != 0) return false;
  for (int d = 0; d < shape.planes; ++d) {
    if (shape.plane[d].from_stride % N != 0 ||
        shape.plane[d].to_stride % N != 0) {
      return false;
    }
  }
  return true;
}

// Launches one kernel for a shape whose indices fit 32 bits.
template <typename From, typename To>
cudaError_t LaunchPart(const From* from, To* to, CopyShape shape,
                       cudaStream_t stream) {
  if (Transposed(shape)) {
    constexpr int kSide = kTile<From, To>;
    const unsigned across = BlocksFor(shape.row.size, kSide);
    const unsigned down = BlocksFor(shape.column.size, kSide);
    const unsigned planes = static_cast<unsigned>(PlaneCount(shape));
    return Launch({dim3(across * down * planes), dim3(kCopyBlock), stream},
                  CopyTiles<From, To>, from, to, shape.row, shape.column,
                  across, down, ToPlanes(shape));
  }
  if (shape.column.size > 1) {
    shape.plane[shape.planes++] = shape.column;
  }
  const long long planes = PlaneCount(shape);
  if (HasPieces(from, to, shape)) {
    constexpr int N = kPiece<From, To>;
    const long long a_row = shape.row.size / N;
    const cudaError_t error =
        Launch({dim3(BlocksFor(a_row * planes, kCopyBlock * kCopyUnroll)),
                dim3(kCopyBlock), stream},
               CopyRows<From, To>, from, to, static_cast<unsigned>(a_row),
               static_cast<unsigned>(a_row * planes), ToPlanes(shape));
    if (error != cudaSuccess) return error;
    // What is left of a single row that is not whole pieces.
    from += a_row * N;
    to += a_row * N;
    shape.row.size -= a_row * N;
  }
  const long long elements = shape.row.size * planes;
  return Launch(
      {dim3(BlocksFor(elements, kCopyBlock)), dim3(kCopyBlock), stream},
      CopyElements<From, To>, from, to, shape.row,
      static_cast<unsigned>(elements), ToPlanes(shape));
}

// Halves the largest dimension until indices fit 32 bits.
template <typename From, typename To>
cudaError_t LaunchParts(const From* from, To* to, const CopyShape& shape,
                        cudaStream_t stream) {
  if (shape.row.size * shape.column.size * PlaneCount(shape) <= kMaxIndex) {
    return LaunchPart(from, to, shape, stream);
  }
  CopyShape first = shape, second = shape;
  CopyAxis *a = &first.row, *b = &second.row;
  if (first.column.size > a->size) a = &first.column, b = &second.column;
  for (int d = 0; d < shape.planes; ++d) {
    if (first.plane[d].size > a->size) {
      a = &first.plane[d];
      b = &second.plane[d];
    }
  }
  a->size /= 2;
  if (a->size >= 64) a->size = a->size / 64 * 64;  // whole pieces and tiles
  b->size -= a->size;
  const cudaError_t error = LaunchParts(from, to, first, stream);
  if (error != cudaSuccess) return error;
  return LaunchParts(from + a->size * a->from_stride,
                     to + a->size * a->to_stride, second, stream);
}

template <typename From, typename To>
cudaError_t LaunchTyped(const void* from, void* to, const CopyShape& shape,
                        cudaStream_t stream) {
  return LaunchParts(static_cast<const From*>(from), static_cast<To*>(to),
                     shape, stream);
}

// Copies of bits, for equal types.
cudaError_t LaunchBits(int bytes, const void* from, void* to,
                       const CopyShape& shape, cudaStream_t stream) {
  switch (bytes) {
    case 1:
      return LaunchTyped<uint8_t, uint8_t>(from, to, shape, stream);
    case 2:
      return LaunchTyped<uint16_t, uint16_t>(from, to, shape, stream);
    case 4:
      return LaunchTyped<int32_t, int32_t>(from, to, shape, stream);
    default:
      return LaunchTyped<int64_t, int64_t>(from, to, shape, stream);
  }
}

// Calls f(T{}) with the type of `element`, which is of the family.
template <typename F>
cudaError_t DispatchFloats(Element element, F&& f) {
  switch (element) {
    case Element::kF32:
      return f(float{});
    case Element::kBF16:
      return f(BF16{});
    case Element::kF16:
      return f(F16{});
    case Element::kF64:
      return f(double{});
    default:
      return cudaErrorInvalidValue;
  }
}
template <typename F>
cudaError_t DispatchIntegers(Element element, F&& f) {
  switch (element) {
    case Element::kI32:
      return f(int32_t{});
    case Element::kI64:
      return f(int64_t{});
    case Element::kU8:
      return f(uint8_t{});
    case Element::kU16:
      return f(uint16_t{});
    default:
      return cudaErrorInvalidValue;
  }
}

int BytesOf(Element element) {
  switch (element) {
    case Element::kU8:
      return 1;
    case Element::kBF16:
    case Element::kF16:
    case Element::kU16:
      return 2;
    case Element::kF32:
    case Element::kI32:
      return 4;
    default:
      return 8;
  }
}

}  // namespace

cudaError_t LaunchCopy(Element from_type, const void* from, Element to_type,
                       void* to, const CopyShape& shape, cudaStream_t stream) {
  if (from_type == to_type) {
    return LaunchBits(BytesOf(from_type), from, to, shape, stream);
  }
  const auto convert = [&](auto a) {
    return [&, a](auto b) {
      using From = std::remove_const_t<decltype(a)>;
      using To = decltype(b);
      if constexpr (std::is_same_v<From, To>) {
        return cudaErrorInvalidValue;  // the bits are copied above
      } else {
        return LaunchTyped<From, To>(from, to, shape, stream);
      }
    };
  };
  if (from_type <= Element::kF64) {
    return DispatchFloats(
        from_type, [&](auto a) { return DispatchFloats(to_type, convert(a)); });
  }
  return DispatchIntegers(
      from_type, [&](auto a) { return DispatchIntegers(to_type, convert(a)); });
}

}  // namespace eisbach::cuda
