#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "bindings/define.h"

namespace eisbach::bindings {

// What Python calls a value of an enumeration.
template <typename E>
struct Named {
  const char* name;
  E value;
};

template <typename E, size_t kCount>
std::string NameOf(const Named<E> (&names)[kCount], E value) {
  for (const Named<E>& named : names) {
    if (named.value == value) return named.name;
  }
  return "";
}

// Raises ValueError, which says what `what` may be.
template <typename E, size_t kCount>
E Parse(const Named<E> (&names)[kCount], const char* what,
        const std::string& name) {
  std::string known;
  for (const Named<E>& named : names) {
    if (name == named.name) return named.value;
    absl::StrAppend(&known, known.empty() ? "" : ", ", named.name);
  }
  throw pybind11::value_error(
      absl::StrCat(what, "=", name, " is not one of ", known));
}

}  // namespace eisbach::bindings
