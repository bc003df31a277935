#include "bindings/unwrap.h"

#include <pybind11/gil_safe_call_once.h>

#include "bindings/bindings.h"
#include "core/errno_status.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;

PYBIND11_CONSTINIT py::gil_safe_call_once_and_store<py::object>
    non_finite_error;

PyObject* ExceptionFor(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAlreadyExists:
      return PyExc_ValueError;
    case absl::StatusCode::kNotFound:
      return PyExc_FileNotFoundError;
    case absl::StatusCode::kPermissionDenied:
      return PyExc_PermissionError;
    case absl::StatusCode::kResourceExhausted:
      return PyExc_MemoryError;
    case absl::StatusCode::kUnimplemented:
      return PyExc_NotImplementedError;
    case absl::StatusCode::kDataLoss:
      return non_finite_error.get_stored().ptr();
    default:
      return PyExc_RuntimeError;
  }
}

// An OSError of the class and number of `error`, which says `message` alone.
void SetOsError(int error, const char* message) {
  PyObject* plain = PyObject_CallFunction(PyExc_OSError, "is", error, message);
  if (plain == nullptr) return;
  const py::object type =
      py::type::of(py::reinterpret_steal<py::object>(plain));
  py::object told = type(message);
  told.attr("errno") = error;
  PyErr_SetObject(type.ptr(), told.ptr());
}

}  // namespace

void BindErrors(CoreModule& m) {
  non_finite_error.call_once_and_store_result([&] {
    py::object error = py::reinterpret_steal<
        py::object>(PyErr_NewExceptionWithDoc(
        "eisbach.NonFiniteError",
        "A loss or gradient is NaN or infinite; the message names the step, "
        "the rank and the first tensor that holds one.",
        PyExc_FloatingPointError, nullptr));
    if (!error) throw py::error_already_set();
    return error;
  });
  m.attr("NonFiniteError") = non_finite_error.get_stored();
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const StatusError& error) {
      if (const auto number = ErrnoOf(error.status())) {
        return SetOsError(*number, error.what());
      }
      PyErr_SetString(ExceptionFor(error.status().code()), error.what());
    }
  });
}

}  // namespace eisbach::bindings
