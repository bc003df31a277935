#include "bindings/argument.h"

#include <typeinfo>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;

// Longer values are cut.
constexpr size_t kShown = 60;

std::string TypeName(py::handle type) {
  const auto module = py::str(type.attr("__module__")).cast<std::string>();
  const auto name = py::str(type.attr("__qualname__")).cast<std::string>();
  if (module == "builtins") return name;
  return absl::StrCat(absl::StrReplaceAll(module, {{"eisbach._C", "eisbach"}}),
                      ".", name);
}

}  // namespace

std::string WithArticle(const std::string& word) {
  const bool vowel =
      !word.empty() && absl::StrContains("aeiouAEIOU", word.substr(0, 1));
  return absl::StrCat(vowel ? "an " : "a ", word);
}

std::string Got(const std::string& name, py::handle value) {
  const bool shown = value.is_none() || PyLong_Check(value.ptr()) != 0 ||
                     PyFloat_Check(value.ptr()) != 0 ||
                     PyUnicode_Check(value.ptr()) != 0;
  std::string text;
  try {
    if (shown) text = py::repr(value).cast<std::string>();
  } catch (py::error_already_set&) {  // an int of too many digits
  }
  if (text.empty()) {
    return absl::StrCat(name, " is ",
                        WithArticle(TypeName(py::type::handle_of(value))));
  }
  if (text.size() > kShown) text = absl::StrCat(text.substr(0, kShown), "...");
  return absl::StrCat(name, "=", text);
}

std::string ClassName(const std::type_info& type) {
  const py::detail::type_info* known = py::detail::get_type_info(type);
  if (known == nullptr) return type.name();
  return TypeName(reinterpret_cast<PyObject*>(known->type));
}

}  // namespace eisbach::bindings
