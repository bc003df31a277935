#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/dlpack_abi.h"
#include "bindings/variable.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using dlpack::DLDataType;
using dlpack::DLTensor;
using dlpack::Managed;
using dlpack::ManagedVersioned;

DLDataType TypeOf(DType dtype) {
  const auto bits = static_cast<uint8_t>(8 * SizeOf(dtype));
  switch (dtype) {
    case DType::kBF16:
      return {dlpack::kBFloat, bits, 1};
    case DType::kI32:
    case DType::kI64:
      return {dlpack::kInt, bits, 1};
    case DType::kU8:
    case DType::kU16:
      return {dlpack::kUInt, bits, 1};
    default:
      return {dlpack::kFloat, bits, 1};
  }
}

DType FromType(const DLDataType& type) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64,
                      DType::kI32, DType::kI64, DType::kU8, DType::kU16}) {
    const DLDataType known = TypeOf(dtype);
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) {
      return dtype;
    }
  }
  throw py::type_error("there are no tensors of this DLPack element type");
}

// What an exported capsule keeps alive.
struct Export {
  Tensor tensor;
  Strides strides;
  Shape shape;
};

void Fill(DLTensor& out, Export& owned) {
  const Tensor& tensor = owned.tensor;
  out.data = tensor.raw();
  out.device = {dlpack::kCpu, 0};
  out.ndim = tensor.rank();
  out.dtype = TypeOf(tensor.dtype());
  out.shape = const_cast<int64_t*>(owned.shape.dims().data());
  out.strides = owned.strides.data();
  out.byte_offset = 0;
}

// Deletes what nobody has taken over.
template <typename M>
void DropCapsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, M::kName)) return;
  auto* managed = static_cast<M*>(PyCapsule_GetPointer(capsule, M::kName));
  managed->deleter(managed);
}

template <typename M>
py::object ExportAs(const Tensor& tensor) {
  auto owned = std::make_unique<Export>(
      Export{tensor.Detach(), tensor.strides(), tensor.shape()});
  auto managed = std::make_unique<M>();
  std::memset(managed.get(), 0, sizeof(M));
  if constexpr (std::is_same_v<M, ManagedVersioned>) managed->major = 1;
  Fill(managed->tensor, *owned);
  managed->context = owned.release();
  managed->deleter = [](M* self) {
    delete static_cast<Export*>(self->context);
    delete self;
  };
  PyObject* capsule = PyCapsule_New(managed.get(), M::kName, &DropCapsule<M>);
  if (capsule == nullptr) {
    managed->deleter(managed.release());
    throw py::error_already_set();
  }
  managed.release();
  return py::reinterpret_steal<py::object>(capsule);
}

py::object ToDlpack(const Variable& variable, const py::object&,
                    const std::optional<std::pair<int, int>>& max_version,
                    const std::optional<std::pair<int, int>>& dl_device,
                    std::optional<bool> copy) {
  const Tensor& tensor = variable.value;
  if (tensor.device().type() != DeviceType::kCpu) {
    throw py::buffer_error(tensor.ToString() + " has no memory to share");
  }
  if (dl_device && dl_device->first != dlpack::kCpu) {
    throw py::buffer_error("the tensor is in the memory of the cpu");
  }
  if (copy.value_or(false)) {
    throw py::buffer_error("memory is shared, not copied");
  }
  if (max_version && max_version->first >= 1) {
    return ExportAs<ManagedVersioned>(tensor);
  }
  return ExportAs<Managed>(tensor);
}

template <typename M>
Tensor Import(PyObject* capsule, Device& device) {
  auto* managed = static_cast<M*>(PyCapsule_GetPointer(capsule, M::kName));
  if (managed == nullptr) throw py::error_already_set();
  const DLTensor& from = managed->tensor;
  if constexpr (std::is_same_v<M, ManagedVersioned>) {
    if (managed->flags & ManagedVersioned::kReadOnly) {
      throw py::buffer_error("the exported memory is read-only");
    }
  }
  if (from.device.type != dlpack::kCpu) {
    throw py::buffer_error("the exported memory is not that of the cpu");
  }
  const DType dtype = FromType(from.dtype);
  const Shape shape(absl::MakeConstSpan(from.shape, from.ndim));
  Strides strides = ContiguousStrides(shape);
  int64_t last = 0;
  for (int i = 0; i < from.ndim; ++i) {
    if (from.strides != nullptr) strides[i] = from.strides[i];
    if (strides[i] < 0) throw py::buffer_error("a stride is negative");
    last += (shape[i] - 1) * strides[i];
  }
  const int64_t elements = shape.elements() == 0 ? 0 : last + 1;
  auto storage = std::make_shared<Storage>(
      device.shared_from_this(),
      static_cast<char*>(from.data) + from.byte_offset,
      elements * SizeOf(dtype), [managed](void*) {
        if (managed->deleter == nullptr || !Py_IsInitialized()) return;
        py::gil_scoped_acquire acquire;
        managed->deleter(managed);
      });
  PyCapsule_SetName(capsule, M::kUsedName);
  return Unwrap(
      Tensor::FromStorage(std::move(storage), 0, shape, strides, dtype));
}

Tensor FromDlpack(const py::object& source, Device& device) {
  if (device.type() != DeviceType::kCpu) {
    throw py::buffer_error("only a cpu device shares memory");
  }
  if (!py::hasattr(source, "__dlpack__")) {
    throw py::type_error(
        absl::StrCat("Tensor.from_dlpack: ", Got("source", source),
                     "; it takes an array that has __dlpack__"));
  }
  py::object capsule;
  try {
    capsule = source.attr("__dlpack__")(py::arg("max_version") =
                                            py::make_tuple(1, 0));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    capsule = source.attr("__dlpack__")();
  }
  if (PyCapsule_IsValid(capsule.ptr(), ManagedVersioned::kName)) {
    return Import<ManagedVersioned>(capsule.ptr(), device);
  }
  return Import<Managed>(capsule.ptr(), device);
}

}  // namespace

void BindDlpack(CoreModule& m) {
  auto tensor = py::reinterpret_borrow<Class<Variable>>(m.attr("Tensor"));
  tensor
      .def("__dlpack__", &ToDlpack, py::kw_only(),
           py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
           py::arg("dl_device") = py::none(), py::arg("copy") = py::none())
      .def("__dlpack_device__",
           [](const Variable&) { return std::make_pair(int{dlpack::kCpu}, 0); })
      .def_static(
          "from_dlpack",
          [](const py::object& source, Device& device) {
            return Variable(FromDlpack(source, device));
          },
          py::arg("source"), py::arg("device"),
          "A tensor over the memory of another library's array.");
}

}  // namespace eisbach::bindings
