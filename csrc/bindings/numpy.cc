#include "bindings/numpy.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bindings/casters.h"
#include "device/device.h"
#include "ops/elementwise.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;

// Why the memory cannot be shared; null where it can.
const char* CannotShare(const py::array& array, const Device& device) {
  if (device.type() != DeviceType::kCpu) return "the device has its own memory";
  if (!array.writeable()) return "the array is read-only";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    if (array.strides(i) < 0 || array.strides(i) % array.itemsize() != 0) {
      return "the array's strides are negative or no multiple of an element";
    }
  }
  if (reinterpret_cast<uintptr_t>(array.data()) % array.itemsize() != 0) {
    return "the array is not aligned to its elements";
  }
  return nullptr;
}

Tensor Share(const py::array& array, Device& device, DType dtype,
             const Shape& shape) {
  Strides strides;
  int64_t last = 0;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    strides.push_back(array.strides(i) / array.itemsize());
    last += (shape[i] - 1) * strides.back();
  }
  const int64_t elements = shape.elements() == 0 ? 0 : last + 1;
  PyObject* owner = array.inc_ref().ptr();
  auto storage = std::make_shared<Storage>(
      device.shared_from_this(), const_cast<void*>(array.data()),
      elements * array.itemsize(), [owner](void*) {
        if (!Py_IsInitialized()) return;
        py::gil_scoped_acquire acquire;
        Py_DECREF(owner);
      });
  return Unwrap(
      Tensor::FromStorage(std::move(storage), 0, shape, strides, dtype));
}

}  // namespace

py::array_t<int32_t> AsTokens(const Integers& integers) {
  const py::array& array = integers.array;
  const char kind = array.dtype().kind();
  if (array.itemsize() > 4 || (array.itemsize() == 4 && kind == 'u')) {
    using Limits = std::numeric_limits<int32_t>;
    const py::object beyond =
        array.attr("__gt__")(int64_t{Limits::max()})
            .attr("__or__")(array.attr("__lt__")(int64_t{Limits::min()}));
    if (beyond.attr("any")().cast<bool>()) {
      const int64_t at = beyond.attr("argmax")().cast<int64_t>();
      const int64_t length =
          array.ndim() == 0 ? 1 : array.shape(array.ndim() - 1);
      throw py::value_error(absl::StrCat(
          "token ",
          py::str(array.attr("flat")[py::int_(at)]).cast<std::string>(),
          " at position ", at % length, " of row ", at / length,
          " does not fit 32 bits"));
    }
  }
  return py::array_t<int32_t, py::array::c_style | py::array::forcecast>(array);
}

py::dtype NumpyDType(DType dtype) {
  if (dtype == DType::kBF16) {
    return py::dtype::from_args(
        py::module_::import("ml_dtypes").attr("bfloat16"));
  }
  switch (dtype) {
    case DType::kF16:
      return py::dtype("float16");
    case DType::kF64:
      return py::dtype::of<double>();
    case DType::kI32:
      return py::dtype::of<int32_t>();
    case DType::kI64:
      return py::dtype::of<int64_t>();
    case DType::kU8:
      return py::dtype::of<uint8_t>();
    case DType::kU16:
      return py::dtype::of<uint16_t>();
    default:
      return py::dtype::of<float>();
  }
}

DType FromNumpyDType(const py::dtype& dtype) {
  constexpr DType kAll[] = {DType::kF32, DType::kF64, DType::kF16, DType::kI32,
                            DType::kI64, DType::kU8,  DType::kU16};
  if (py::str(dtype.attr("name")).equal(py::str("bfloat16"))) {
    return DType::kBF16;
  }
  for (DType known : kAll) {
    if (dtype.equal(NumpyDType(known))) return known;
  }
  throw py::type_error("there are no tensors of dtype " +
                       py::str(dtype).cast<std::string>());
}

namespace {

// The values of a tensor in memory of NumPy's own, read-only: what is written
// there would not reach the tensor.
py::array ArrayCopy(const Tensor& tensor) {
  Device& device = tensor.device();
  Stream& stream = device.compute_stream();
  std::vector<py::ssize_t> shape;
  for (int i = 0; i < tensor.rank(); ++i) shape.push_back(tensor.dim(i));
  py::array array(NumpyDType(tensor.dtype()), std::move(shape));
  void* data = array.mutable_data();
  WithoutGil([&] {
    const Tensor dense = Unwrap(ops::Contiguous(tensor, stream));
    Unwrap(device.CopyToHost(data, dense.raw(), dense.bytes(), stream));
    Unwrap(stream.Synchronize());
  });
  array.attr("flags").attr("writeable") = false;
  return array;
}

}  // namespace

py::array ArrayView(const Tensor& tensor, py::handle owner) {
  if (tensor.device().type() == DeviceType::kCuda) return ArrayCopy(tensor);
  if (tensor.device().type() != DeviceType::kCpu) {
    Unwrap(absl::FailedPreconditionError(tensor.ToString() +
                                         " has no memory that NumPy can read"));
  }
  const auto size = static_cast<py::ssize_t>(SizeOf(tensor.dtype()));
  std::vector<py::ssize_t> shape, strides;
  for (int i = 0; i < tensor.rank(); ++i) {
    shape.push_back(tensor.dim(i));
    strides.push_back(tensor.stride(i) * size);
  }
  return py::array(NumpyDType(tensor.dtype()), std::move(shape),
                   std::move(strides), tensor.raw(), owner);
}

Tensor TensorFromArray(const py::array& array, Device& device,
                       std::optional<bool> copy) {
  const DType dtype = FromNumpyDType(array.dtype());
  Shape shape(absl::MakeConstSpan(
      std::vector<int64_t>(array.shape(), array.shape() + array.ndim())));
  const char* reason = CannotShare(array, device);
  if (reason == nullptr && !copy.value_or(false)) {
    return Share(array, device, dtype, shape);
  }
  if (!copy.value_or(true)) {
    throw py::value_error(std::string("cannot share memory: ") + reason);
  }
  const auto host = py::array::ensure(array, py::array::c_style);
  Tensor tensor = Unwrap(Tensor::Empty(shape, dtype, device));
  Stream& stream = device.compute_stream();
  Unwrap(
      device.CopyToDevice(tensor.raw(), host.data(), tensor.bytes(), stream));
  Unwrap(stream.Synchronize());
  return tensor;
}

}  // namespace eisbach::bindings
