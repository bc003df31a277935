#include "tensor/tensor.h"

#include <utility>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/nn_layers.h"
#include "bindings/numpy.h"
#include "bindings/variable.h"
#include "ops/elementwise.h"
#include "tensor/parameter.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;

Init ParseInit(const std::string& name, float stddev) {
  if (name == "normal") return {Init::Kind::kNormal, stddev};
  if (name == "zeros") return {Init::Kind::kZeros};
  if (name == "ones") return {Init::Kind::kOnes};
  throw py::value_error("init=" + name + " is none of normal, zeros, ones");
}

py::array NumpyOf(const py::object& self) {
  if (!py::isinstance<Variable>(self)) {
    throw py::type_error(absl::StrCat("Tensor.numpy: ", Got("self", self),
                                      "; it takes ", Words<Variable>::One()));
  }
  return ArrayView(self.cast<const Variable&>().value, self);
}

py::object AsArray(const py::object& self, const py::object& dtype,
                   const py::object& copy) {
  py::object array = NumpyOf(self);
  if (!dtype.is_none() && !py::object(array.attr("dtype")).equal(dtype)) {
    if (copy.is(py::bool_(false))) {
      throw py::value_error("another dtype needs a copy");
    }
    return array.attr("astype")(dtype);
  }
  return copy.is(py::bool_(true)) ? array.attr("copy")() : array;
}

Variable Bound(const Parameter& parameter, const Tensor& tensor) {
  if (!tensor.defined()) {
    Unwrap(absl::FailedPreconditionError(
        parameter.spec().name + " has no memory before an Update takes it"));
  }
  return Variable(tensor);
}

Tensor AsType(const Variable& self, DType dtype) {
  return WithoutGil([&] {
    const Tensor& from = self.value;
    return Unwrap(ops::Cast(from, dtype, from.device().compute_stream()));
  });
}

void BindTensorClass(CoreModule& m) {
  Class<Variable> tensor(m, "Tensor",
                         "A strided view of device memory; copies share it.");
  tensor
      .def_static(
          "from_numpy",
          [](const py::array& array, Device& device, std::optional<bool> copy) {
            return Variable(TensorFromArray(array, device, copy));
          },
          py::arg("array"), py::arg("device"), py::kw_only(),
          py::arg("copy") = py::none(),
          "The array on a device. On cpu its memory is shared where that is "
          "possible; `copy` forces or forbids a copy.")
      .def_static(
          "zeros",
          [](const Shape& shape, DType dtype, Device& device) {
            return Variable(
                Unwrap(Tensor::Zeros(shape, dtype, device.compute_stream())));
          },
          py::arg("shape"), py::arg("dtype"), py::arg("device"),
          "All elements are 0.")
      .def_property_readonly(
          "shape", [](const Variable& v) { return v.value.shape(); },
          "A tuple.")
      .def_property_readonly(
          "strides",
          [](const Variable& v) {
            return Shape(absl::MakeConstSpan(v.value.strides()));
          },
          "In elements.")
      .def_property_readonly(
          "dtype", [](const Variable& v) { return v.value.dtype(); },
          "`f32`, `bf16`, `i32` and so on.")
      .def_property_readonly(
          "device",
          [](const Variable& v) { return v.value.device().shared_from_this(); },
          "That it lies on.")
      .def_property_readonly(
          "nbytes", [](const Variable& v) { return v.value.bytes(); },
          "Of its elements.")
      .def(
          "is_contiguous",
          [](const Variable& v) { return v.value.contiguous(); },
          "Whether the elements lie one after another, as functions need it.")
      .def(
          "contiguous",
          [](const Variable& v) {
            if (v.value.contiguous()) return v;
            return Variable(WithoutGil([&] {
              return Unwrap(
                  ops::Contiguous(v.value, v.value.device().compute_stream()));
            }));
          },
          "The tensor itself where it is contiguous, else a copy that is, "
          "apart from any graph.")
      .def("numpy", &NumpyOf,
           "An array over the tensor's own memory; bf16 by ml_dtypes.")
      .def("__array__", &AsArray, py::arg("dtype") = py::none(),
           py::arg("copy") = py::none())
      .def(
          "item",
          [](const py::object& self) { return NumpyOf(self).attr("item")(); },
          "The value of a tensor of one element.")
      .def(
          "astype",
          [](const Variable& v, DType dtype) {
            return Variable(AsType(v, dtype));
          },
          py::arg("dtype"),
          "A copy with elements of another type, apart from any graph.")
      .def(
          "detach",
          [](const Variable& v) { return Variable(v.value.Detach()); },
          "The same memory, apart from any graph.")
      .def(
          "narrow",
          [](const Variable& v, int dim, int64_t start, int64_t length) {
            return Variable(Unwrap(v.value.Narrow(dim, start, length)));
          },
          py::arg("dim"), py::arg("start"), py::arg("length"),
          "A view of part of a dimension, apart from any graph.")
      .def("__len__",
           [](const Variable& v) {
             if (v.value.rank() == 0)
               throw py::type_error("a scalar has no length");
             return v.value.dim(0);
           })
      .def("__repr__", [](const Variable& v) {
        return "Tensor(" + v.value.ToString() + ")";
      });
}

void BindParameter(CoreModule& m) {
  Class<LogicalSlice>(m, "LogicalSlice",
                      "One piece of a logical tensor in a parameter.")
      .def_readonly("name", &LogicalSlice::name)
      .def_readonly("shape", &LogicalSlice::shape, "Of the logical tensor.")
      .def_readonly("start", &LogicalSlice::start)
      .def_readonly("extent", &LogicalSlice::extent)
      .def_readonly("local_row", &LogicalSlice::local_row)
      .def_readonly("primary", &LogicalSlice::primary);

  Class<Parameter, std::shared_ptr<Parameter>>(
      m, "Parameter",
      "A trained tensor. An Update gives it memory and its "
      "initial value.")
      .def(py::init([](std::string name, const Shape& shape,
                       const std::string& init, float stddev,
                       std::optional<bool> decay) {
             if (name.empty()) {
               throw py::value_error(
                   "Parameter: name='' is empty; it is what "
                   "the initial values depend on");
             }
             CheckNotBelow0(name, "stddev", stddev);
             if (shape.rank() < 1 || shape.rank() > 2) {
               throw py::value_error(name +
                                     ": a parameter has one or two dimensions");
             }
             return std::make_shared<Parameter>(
                 WholeParam(std::move(name), shape, ParseInit(init, stddev),
                            decay.value_or(shape.rank() >= 2)));
           }),
           py::arg("name"), py::arg("shape"), py::kw_only(),
           py::arg("init") = "normal", py::arg("stddev") = 0.02,
           py::arg("decay") = py::none(),
           "`init` is normal, zeros or ones; `decay` is weight decay, by "
           "default of two-dimensional tensors.")
      .def_property_readonly(
          "name", [](const Parameter& p) { return p.spec().name; },
          "Of this rank's tensor; its slices have logical names.")
      .def_property_readonly(
          "shape", [](const Parameter& p) { return p.spec().shape; },
          "Of this rank's part, padding included.")
      .def_property_readonly(
          "slices", [](const Parameter& p) { return p.spec().slices; },
          "The logical tensors that it holds parts of.")
      .def_property_readonly(
          "decay", [](const Parameter& p) { return p.spec().decay; },
          "Whether weight decay shrinks it.")
      .def_property_readonly(
          "data",
          [](Parameter& p) {
            Unwrap(p.BeforeUse());
            return Bound(p, p.data());
          },
          "In the compute dtype.")
      .def_property_readonly(
          "master",
          [](Parameter& p) {
            // Not while it travels to other ranks; it may be written to.
            if (p.data().defined()) Unwrap(p.BeforeUse());
            return Bound(p, p.master());
          },
          "In f32; the same memory as `data` when computing in f32. Where "
          "ranks "
          "divide it (`zero`), this rank's part, flat.")
      .def_property_readonly(
          "grad", [](const Parameter& p) { return Bound(p, p.grad()); },
          "In f32. Where ranks divide it (`zero`), `reduced` has the sum.")
      .def_property_readonly(
          "reduced", [](const Parameter& p) { return Bound(p, p.reduced()); },
          "Flat, in f32: the gradient of what `master` holds, summed over "
          "ranks, from the end of a step to the next.")
      .def("__repr__", [](const Parameter& p) {
        return "Parameter('" + p.spec().name + "', " +
               p.spec().shape.ToString() + ")";
      });
}

}  // namespace

void BindTensor(CoreModule& m) {
  BindTensorClass(m);
  BindParameter(m);
}

}  // namespace eisbach::bindings
