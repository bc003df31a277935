#include "bindings/define.h"

#include <cmath>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using py::detail::function_record;

// An overload that explains itself.
struct Known {
  std::string name;  // "Engine.save"; the class where a property is set
  std::string set;   // the property that it sets
  absl::Span<const Argument> arguments;
};

// Never destroyed; changed while the module is made alone.
std::unordered_map<const function_record*, Known>& Registry() {
  static auto& registry =
      *new std::unordered_map<const function_record*, Known>;
  return registry;
}

// What pybind11 calls for each of its functions.
PyCFunction& Dispatcher() {
  static PyCFunction dispatcher = nullptr;
  return dispatcher;
}

// The arguments of a call.
struct Given {
  absl::Span<PyObject* const> by_position;
  absl::InlinedVector<std::pair<PyObject*, PyObject*>, 8> by_name;

  PyObject* Named(const std::string& name) const {
    for (const auto& [key, value] : by_name) {
      if (PyUnicode_CompareWithASCIIString(key, name.c_str()) == 0) {
        return value;
      }
    }
    return nullptr;
  }
};

std::string NameOf(const function_record& function, size_t i) {
  if (i < function.args.size() && function.args[i].name != nullptr &&
      function.args[i].name[0] != '\0') {
    return function.args[i].name;
  }
  const size_t own = function.is_method ? 1 : 0;
  return i < own ? "self" : absl::StrCat("argument ", i + 1 - own);
}

// The value that a call gives an argument; null where it gives none.
PyObject* ValueOf(const function_record& function, const Given& given,
                  size_t i) {
  if (i < function.nargs_pos && i < given.by_position.size()) {
    return given.by_position[i];
  }
  return i < function.args.size() ? given.Named(NameOf(function, i)) : nullptr;
}

// "Engine.load(path, *, config='{}')".
std::string Usage(const function_record& function, const Known& known) {
  std::vector<std::string> parts;
  for (size_t i = function.is_method ? 1 : 0; i < function.nargs; ++i) {
    if (i == function.nargs_pos && !function.has_args) parts.push_back("*");
    const bool optional = i < function.args.size() && function.args[i].value;
    parts.push_back(absl::StrCat(
        NameOf(function, i),
        optional
            ? absl::StrCat("=",
                           py::repr(function.args[i].value).cast<std::string>())
            : ""));
  }
  return absl::StrCat(known.name, "(", absl::StrJoin(parts, ", "), ")");
}

// Why an overload does not take a call.
struct Refusal {
  int fits_until = 0;  // how far the call fits
  std::string text;    // about the call as a whole, or
  Fault fault;         // about one argument
};

std::optional<Refusal> RefusedNames(const function_record& function,
                                    const Known& known, const Given& given) {
  const auto refuse = [&](std::string what) {
    return Refusal{0,
                   absl::StrCat(known.name, ": ", what, "; it is ",
                                Usage(function, known)),
                   {}};
  };
  const size_t own = function.is_method ? 1 : 0;
  if (!function.has_args && given.by_position.size() > function.nargs_pos) {
    return refuse(absl::StrCat("has ", given.by_position.size() - own,
                               " arguments by position and takes ",
                               function.nargs_pos - own));
  }
  for (const auto& [key, value] : given.by_name) {
    const auto name = py::handle(key).cast<std::string>();
    bool found = false;
    for (size_t i = own; i < function.args.size(); ++i) {
      if (NameOf(function, i) != name) continue;
      found = true;
      if (i < function.nargs_pos && i < given.by_position.size()) {
        return refuse(absl::StrCat(name, " is given twice"));
      }
    }
    if (!found) return refuse(absl::StrCat("has no argument ", name));
  }
  for (size_t i = own; i < function.nargs; ++i) {
    if (function.has_args && i + 1 == function.nargs) continue;
    if (ValueOf(function, given, i) != nullptr) continue;
    if (i < function.args.size() && function.args[i].value) continue;
    return refuse(absl::StrCat(NameOf(function, i), " is not given"));
  }
  return std::nullopt;
}

std::optional<Refusal> Refused(const function_record& function,
                               const Known& known, const Given& given) {
  if (auto refusal = RefusedNames(function, known, given)) return refusal;
  for (size_t i = 0; i < known.arguments.size(); ++i) {
    PyObject* value = ValueOf(function, given, i);
    if (value == nullptr) continue;
    const std::string name =
        known.set.empty() || i == 0 ? NameOf(function, i) : known.set;
    const Argument& argument = known.arguments[i];
    const bool none =
        i < function.args.size() ? function.args[i].none : argument.optional;
    if (value == Py_None) {
      if (none || argument.one == nullptr) continue;
      return Refusal{static_cast<int>(i) + 1,
                     "",
                     {absl::StrCat(name, "=None"), argument.one(), false}};
    }
    if (auto fault = argument.fault(value, name)) {
      return Refusal{static_cast<int>(i) + 1, "", *std::move(fault)};
    }
  }
  return std::nullopt;
}

// Says what is wrong with a call that no overload of `first` takes. A
// TypeError that a function has raised itself stays as it is.
void Reword(const function_record& first, const Given& given) {
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  std::optional<Refusal> best;
  std::string name;
  for (const function_record* one = &first; one != nullptr; one = one->next) {
    const auto known = Registry().find(one);
    if (known == Registry().end()) return PyErr_Restore(type, error, trace);
    std::optional<Refusal> refusal = Refused(*one, known->second, given);
    if (!refusal.has_value()) return PyErr_Restore(type, error, trace);
    if (best.has_value() && refusal->fits_until <= best->fits_until) continue;
    best = std::move(refusal);
    name = known->second.name;
  }
  Py_XDECREF(type);
  Py_XDECREF(error);
  Py_XDECREF(trace);
  if (best->fits_until == 0) {
    PyErr_SetString(PyExc_TypeError, best->text.c_str());
    return;
  }
  const std::string text = absl::StrCat(name, ": ", best->fault.got,
                                        "; it takes ", best->fault.takes);
  PyErr_SetString(best->fault.range ? PyExc_ValueError : PyExc_TypeError,
                  text.c_str());
}

// Whether `value` is an object of a bound class without anything in it.
bool IsUnmade(PyObject* value) {
  if (Py_TYPE(Py_TYPE(value)) !=
      py::detail::get_internals().default_metaclass) {
    return false;
  }
  auto* instance = reinterpret_cast<py::detail::instance*>(value);
  return instance->get_value_and_holder().value_ptr() == nullptr;
}

bool HoldsUnmade(PyObject* value) {
  if (PyList_CheckExact(value) == 0 && PyTuple_CheckExact(value) == 0) {
    return IsUnmade(value);
  }
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
  PyObject** items = PySequence_Fast_ITEMS(value);
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (IsUnmade(items[i])) return true;
  }
  return false;
}

// What pybind11 would take, and should not; false with an exception set.
bool CheckSelf(const function_record& function, const Given& given) {
  if (!function.is_method || function.is_constructor ||
      given.by_position.empty() || given.by_position[0] != Py_None) {
    return true;
  }
  const Known& known = Registry().at(&function);
  PyErr_Format(PyExc_TypeError, "%s: self=None; it takes %s",
               known.name.c_str(), known.arguments[0].one().c_str());
  return false;
}

bool CheckUnmade(const function_record& function, const Given& given) {
  bool made = true;
  for (size_t i = function.is_constructor ? 1 : 0; i < given.by_position.size();
       ++i) {
    made = made && !HoldsUnmade(given.by_position[i]);
  }
  for (const auto& [name, value] : given.by_name) {
    made = made && !HoldsUnmade(value);
  }
  if (!made) {
    PyErr_Format(PyExc_TypeError,
                 "%s: is given an object whose __init__ has not run",
                 Registry().at(&function).name.c_str());
  }
  return made;
}

bool IsWrongType(const Argument& argument, PyObject* value) {
  if (value == Py_None) return false;  // pybind11 refuses it
  if (argument.number) {
    return PyBool_Check(value) != 0 ||
           (argument.most == 0 && PyIndex_Check(value) == 0);
  }
  return argument.text &&
         (PyBytes_Check(value) != 0 || PyByteArray_Check(value) != 0);
}

bool IsBeyond(const Argument& argument, PyObject* value) {
  if (argument.most == 0 || value == Py_None) return false;
  const double number = PyFloat_AsDouble(value);
  if (PyErr_Occurred() == nullptr) return !(std::abs(number) <= argument.most);
  const bool beyond = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
  PyErr_Clear();
  return beyond;  // what is no number pybind11 refuses
}

bool CheckValues(const function_record& function, const Given& given) {
  if (function.next != nullptr) return true;
  const Known& known = Registry().at(&function);
  for (size_t i = 0; i < known.arguments.size(); ++i) {
    const Argument& argument = known.arguments[i];
    if (!argument.number && !argument.text) continue;
    PyObject* value = ValueOf(function, given, i);
    if (value == nullptr) continue;
    const bool wrong_type = IsWrongType(argument, value);
    if (!wrong_type && !IsBeyond(argument, value)) continue;
    const std::string text = absl::StrCat(
        known.name, ": ",
        Got(known.set.empty() ? NameOf(function, i) : known.set, value),
        "; it takes ", argument.one());
    PyErr_SetString(wrong_type ? PyExc_TypeError : PyExc_ValueError,
                    text.c_str());
    return false;
  }
  return true;
}

template <typename F>
PyObject* CallChecked(PyObject* self, const Given& given, F&& call) {
  const function_record& function =
      *py::detail::function_record_ptr_from_PyObject(self);
  if (!CheckSelf(function, given) || !CheckUnmade(function, given) ||
      !CheckValues(function, given)) {
    return nullptr;
  }
  PyObject* result = call();
  if (result == nullptr && PyErr_ExceptionMatches(PyExc_TypeError) != 0) {
    Reword(function, given);
  }
  return result;
}

// pybind11 calls its functions in one of two ways, by its version.
PyObject* CallFast(PyObject* self, PyObject* const* values, Py_ssize_t count,
                   PyObject* names) {
  Given given{{values, static_cast<size_t>(count)}, {}};
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < named; ++i) {
    given.by_name.emplace_back(PyTuple_GET_ITEM(names, i), values[count + i]);
  }
  return CallChecked(self, given, [&] {
    return reinterpret_cast<decltype(&CallFast)>(
        reinterpret_cast<void (*)()>(Dispatcher()))(self, values, count, names);
  });
}

PyObject* CallPacked(PyObject* self, PyObject* values, PyObject* names) {
  Given given{{PySequence_Fast_ITEMS(values),
               static_cast<size_t>(PyTuple_GET_SIZE(values))},
              {}};
  PyObject *key, *value;
  Py_ssize_t at = 0;
  while (names != nullptr && PyDict_Next(names, &at, &key, &value) != 0) {
    given.by_name.emplace_back(key, value);
  }
  return CallChecked(self, given, [&] {
    return reinterpret_cast<decltype(&CallPacked)>(
        reinterpret_cast<void (*)()>(Dispatcher()))(self, values, names);
  });
}

// "nn.Linear" of the class, "functional" of the module, "" of the core itself.
std::string ScopeName(py::handle scope) {
  const bool is_class = PyType_Check(scope.ptr()) != 0;
  const auto module =
      scope.attr(is_class ? "__module__" : "__name__").cast<std::string>();
  absl::string_view name = module;
  absl::ConsumePrefix(&name, "eisbach._C");
  absl::ConsumePrefix(&name, ".");
  if (!is_class) return std::string(name);
  return absl::StrCat(name, name.empty() ? "" : ".",
                      scope.attr("__qualname__").cast<std::string>());
}

}  // namespace

void Explain(py::handle function, py::handle scope, const std::string& name,
             absl::Span<const Argument> arguments) {
  const py::handle plain = py::detail::get_function(function);
  function_record* record = py::detail::function_record_ptr_from_PyObject(
      PyCFunction_GET_SELF(plain.ptr()));
  while (record->next != nullptr) record = record->next;
  for (size_t i = 0; i < record->args.size(); ++i) {
    py::detail::argument_record& argument = record->args[i];
    argument.none =
        arguments[i].optional || (argument.value && argument.value.is_none());
    if (arguments[i].exact) argument.convert = false;
  }
  std::string whole = ScopeName(scope);
  if (!record->is_setter && name != "__init__") {
    absl::StrAppend(&whole, whole.empty() ? "" : ".", name);
  }
  Registry()[record] = {std::move(whole), record->is_setter ? name : "",
                        arguments};
  PyMethodDef* method = reinterpret_cast<PyCFunctionObject*>(plain.ptr())->m_ml;
  const auto fast =
      reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&CallFast));
  const auto packed =
      reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&CallPacked));
  if (method->ml_meth == fast || method->ml_meth == packed) return;
  Dispatcher() = method->ml_meth;
  method->ml_meth = (method->ml_flags & METH_FASTCALL) != 0 ? fast : packed;
}

}  // namespace eisbach::bindings
