#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bindings/casters.h"

// What the arguments of bound functions take, in words, and whether a value
// can be had as one: for the sentence about a call that does not fit.
namespace eisbach::bindings {

// What is wrong with a value.
struct Fault {
  std::string got;    // "prompt[3]='x'"
  std::string takes;  // "an int"
  bool range;         // of the right type, but not one of its values
};

// What an argument is given: "config is a dict", "step='x'", "step=-1".
std::string Got(const std::string& name, pybind11::handle value);
// The name of a bound class as users import it, such as `eisbach.Tensor`.
std::string ClassName(const std::type_info& type);
// "a" or "an", and the word.
std::string WithArticle(const std::string& word);

// One() and Many() say what an argument of type T takes: "a str", "strs".
// A type of a header of its own says so there.
template <typename T>
struct Words {
  static std::string One() { return WithArticle(ClassName(typeid(T))); }
  static std::string Many() {
    return absl::StrCat(ClassName(typeid(T)), " objects");
  }
};

template <typename T>
using WordsOf = Words<pybind11::detail::intrinsic_t<T>>;

#define EISBACH_ARGUMENT_WORDS(type, one, many) \
  template <>                                   \
  struct Words<type> {                          \
    static std::string One() { return one; }    \
    static std::string Many() { return many; }  \
  }

EISBACH_ARGUMENT_WORDS(bool, "True or False", "bools");
EISBACH_ARGUMENT_WORDS(float, "a finite number", "finite numbers");
EISBACH_ARGUMENT_WORDS(double, "a finite number", "finite numbers");
EISBACH_ARGUMENT_WORDS(int64_t, "an int", "ints");
EISBACH_ARGUMENT_WORDS(uint64_t, "an int", "ints");
EISBACH_ARGUMENT_WORDS(int32_t, "an int", "ints");
EISBACH_ARGUMENT_WORDS(std::string, "a str", "strs");
EISBACH_ARGUMENT_WORDS(std::filesystem::path, "a path", "paths");
EISBACH_ARGUMENT_WORDS(DType, "the name of a dtype, such as 'f32'",
                       "names of dtypes");
EISBACH_ARGUMENT_WORDS(Shape, "a tuple of sizes", "tuples of sizes");
EISBACH_ARGUMENT_WORDS(pybind11::dict, "a dict", "dicts");
EISBACH_ARGUMENT_WORDS(pybind11::bytes, "bytes", "bytes");
EISBACH_ARGUMENT_WORDS(pybind11::function, "a function", "functions");
EISBACH_ARGUMENT_WORDS(pybind11::args, "anything", "anything");
EISBACH_ARGUMENT_WORDS(pybind11::object, "anything", "anything");

#undef EISBACH_ARGUMENT_WORDS

template <typename T>
struct Words<std::shared_ptr<T>> : Words<T> {};
template <typename T>
struct Words<std::optional<T>> : Words<T> {};
template <typename T>
struct Words<std::vector<T>> {
  static std::string One() {
    return absl::StrCat("a list of ", WordsOf<T>::Many());
  }
  static std::string Many() {
    return absl::StrCat("lists of ", WordsOf<T>::Many());
  }
};
template <typename A, typename B>
struct Words<std::pair<A, B>> {
  static std::string Of() {
    return absl::StrCat(WordsOf<A>::One(), " and ", WordsOf<B>::One());
  }
  static std::string One() { return absl::StrCat("a pair of ", Of()); }
  static std::string Many() { return absl::StrCat("pairs of ", Of()); }
};
template <typename A, typename B>
struct Words<std::map<A, B>> {
  static std::string One() {
    return absl::StrCat("a dict of ", WordsOf<A>::Many(), " to ",
                        WordsOf<B>::Many());
  }
  static std::string Many() { return absl::StrCat("dicts"); }
};
template <typename A, typename B>
struct Words<std::variant<A, B>> {
  static std::string One() {
    return absl::StrCat(WordsOf<A>::One(), " or ", WordsOf<B>::One());
  }
  static std::string Many() { return One(); }
};

template <typename T>
struct ElementOf {
  using type = void;
};
template <typename T>
struct ElementOf<std::vector<T>> {
  using type = T;
};
template <>
struct ElementOf<Shape> {
  using type = int64_t;
};

template <typename T>
using Plain = pybind11::detail::intrinsic_t<T>;
template <typename T>
inline constexpr bool kIsInteger =
    std::is_integral_v<Plain<T>> && !std::is_same_v<Plain<T>, bool>;
template <typename T>
inline constexpr bool kIsFraction = std::is_floating_point_v<Plain<T>>;

// Whether an argument takes only what is of its type already: no int that a
// fraction becomes when it is cut off, no bool of a value that has a truth.
template <typename T>
struct IsExact
    : std::bool_constant<kIsInteger<T> || std::is_same_v<Plain<T>, bool>> {};
template <typename T>
struct IsExact<std::optional<T>> : IsExact<T> {};
template <typename T>
struct IsExact<std::vector<T>> : IsExact<T> {};
template <>
struct IsExact<Shape> : std::true_type {};

template <typename T>
bool Loads(pybind11::handle value) {
  namespace py = pybind11;
  try {
    py::detail::loader_life_support guard;
    py::detail::make_caster<T> caster;
    return caster.load(value, !IsExact<Plain<T>>::value);
  } catch (const py::reference_cast_error&) {  // None in a list
    return false;
  } catch (...) {
    PyErr_Clear();
    return true;  // it has said itself what is wrong
  }
}

template <typename T>
struct WithoutOptional {
  using type = T;
};
template <typename T>
struct WithoutOptional<std::optional<T>> {
  using type = T;
};

// What is wrong with `value`, which is not None and which messages call `name`;
// nothing where an argument of type T takes it.
template <typename T>
std::optional<Fault> FaultOf(pybind11::handle value, const std::string& name) {
  namespace py = pybind11;
  if constexpr (kIsInteger<T> || kIsFraction<T>) {
    if (PyBool_Check(value.ptr())) {
      return Fault{Got(name, value), WordsOf<T>::One(), false};
    }
  }
  if (Loads<T>(value)) return std::nullopt;
  using Element = typename ElementOf<Plain<T>>::type;
  if constexpr (!std::is_void_v<Element>) {
    if (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr())) {
      int64_t i = 0;
      for (const py::handle element : value) {
        std::optional<Fault> fault =
            element.is_none()
                ? Fault{absl::StrCat(name, "[", i, "]=None"),
                        WordsOf<Element>::One(), false}
                : FaultOf<Element>(element, absl::StrCat(name, "[", i, "]"));
        if (fault.has_value()) return fault;
        ++i;
      }
    }
  }
  std::string what = Got(name, value);
  if constexpr (kIsInteger<T>) {
    if (PyLong_Check(value.ptr()) != 0) {
      constexpr bool kSigned = std::is_signed_v<Plain<T>>;
      constexpr int kBits = 8 * sizeof(Plain<T>) - (kSigned ? 1 : 0);
      return Fault{std::move(what),
                   absl::StrCat("an int of ", kSigned ? "-2^" : "0",
                                kSigned ? absl::StrCat(kBits) : "", " to 2^",
                                kBits, " - 1"),
                   true};
    }
  }
  return Fault{std::move(what), WordsOf<T>::One(), false};
}

// What a bound function takes as one of its arguments.
struct Argument {
  std::optional<Fault> (*fault)(pybind11::handle value,
                                const std::string& name);
  std::string (*one)();
  bool exact;     // IsExact
  bool optional;  // takes None where it has no default either
  bool number;    // no bool
  bool text;      // no bytes
  double most;    // largest magnitude of a fraction; 0 of what is none
};

template <typename T>
std::optional<Fault> NoFault(pybind11::handle, const std::string&) {
  return std::nullopt;
}

template <typename T>
constexpr Argument MakeArgument() {
  using Value = typename WithoutOptional<Plain<T>>::type;
  double most = 0;
  if constexpr (kIsFraction<Value>) most = std::numeric_limits<Value>::max();
  if constexpr (std::is_same_v<Plain<T>, pybind11::detail::value_and_holder>) {
    return {&NoFault<T>, nullptr, false, false, false, false, 0};
  } else {
    constexpr bool kOptional = !std::is_same_v<Value, Plain<T>>;
    return {&FaultOf<std::conditional_t<kOptional, Value, T>>,
            &WordsOf<T>::One,
            IsExact<Plain<T>>::value,
            kOptional || std::is_same_v<Plain<T>, pybind11::object>,
            kIsInteger<Value> || kIsFraction<Value>,
            std::is_same_v<Plain<T>, std::string>,
            most};
  }
}

template <typename... Args>
inline constexpr Argument kArguments[sizeof...(Args) + 1] = {
    MakeArgument<Args>()..., Argument{}};

}  // namespace eisbach::bindings
