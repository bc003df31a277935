#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <type_traits>
#include <utility>

#include "absl/types/span.h"
#include "bindings/argument.h"

// pybind11's class and module, for functions that say in one sentence what is
// wrong with a call: "Engine.save: config is a list; it takes ...". A
// call that fits costs what it did but for a look at its arguments:
//
//   - None is for arguments whose default it is, or that are optional;
//   - a number is no bool, and an int or a bool is of that type already;
//   - a fraction is finite;
//   - an object has been made by its class: its __init__ has run.
namespace eisbach::bindings {

// Makes `function`, or the overload of it that was defined last, explain its
// calls; `name` is its own in `scope`, a class or module, or that of the
// property that it gets or sets. `arguments` has static storage.
void Explain(pybind11::handle function, pybind11::handle scope,
             const std::string& name, absl::Span<const Argument> arguments);

template <typename F>
struct Signature;
template <typename R, typename... Args>
struct Signature<R(Args...)> {
  template <typename>
  static absl::Span<const Argument> Arguments() {
    return {kArguments<Args...>, sizeof...(Args)};
  }
};
template <typename R, typename C, typename... Args>
struct Signature<R (C::*)(Args...)> {
  template <typename T>
  static absl::Span<const Argument> Arguments() {
    return {kArguments<T&, Args...>, sizeof...(Args) + 1};
  }
};
template <typename R, typename C, typename... Args>
struct Signature<R (C::*)(Args...) const> : Signature<R (C::*)(Args...)> {};

// Those of a function that is defined on class T, or on none.
template <typename F, typename T = void>
absl::Span<const Argument> ArgumentsOf() {
  using Plain = std::decay_t<F>;
  if constexpr (std::is_member_function_pointer_v<Plain>) {
    return Signature<Plain>::template Arguments<T>();
  } else {
    return Signature<
        pybind11::detail::function_signature_t<F>>::template Arguments<T>();
  }
}

template <typename T, typename... Options>
class Class : public pybind11::class_<T, Options...> {
 public:
  using Base = pybind11::class_<T, Options...>;
  using Base::Base;

  template <typename F, typename... Extra>
  Class& def(const char* name, F&& f, const Extra&... extra) {
    Base::def(name, std::forward<F>(f), extra...);
    Explain(this->attr(name), *this, name, ArgumentsOf<F, T>());
    return *this;
  }
  template <typename... Args, typename... Extra>
  Class& def(pybind11::detail::initimpl::factory<Args...>&& init,
             const Extra&... extra) {
    std::move(init).execute(*this, extra...);
    return *this;
  }
  template <typename... Args, typename... Extra>
  Class& def(const pybind11::detail::initimpl::constructor<Args...>& init,
             const Extra&... extra) {
    init.execute(*this, extra...);
    return *this;
  }
  template <typename F, typename... Extra>
  Class& def_static(const char* name, F&& f, const Extra&... extra) {
    Base::def_static(name, std::forward<F>(f), extra...);
    Explain(this->attr(name), *this, name, ArgumentsOf<F>());
    return *this;
  }
  template <typename Getter, typename... Extra>
  Class& def_property_readonly(const char* name, const Getter& getter,
                               const Extra&... extra) {
    Base::def_property_readonly(name, getter, extra...);
    Explain(this->attr(name).attr("fget"), *this, name,
            ArgumentsOf<Getter, T>());
    return *this;
  }
  template <typename Getter, typename Setter, typename... Extra>
  Class& def_property(const char* name, const Getter& getter,
                      const Setter& setter, const Extra&... extra) {
    Base::def_property(name, getter, setter, extra...);
    Explain(this->attr(name).attr("fget"), *this, name,
            ArgumentsOf<Getter, T>());
    Explain(this->attr(name).attr("fset"), *this, name,
            ArgumentsOf<Setter, T>());
    return *this;
  }
  template <typename C, typename D, typename... Extra>
  Class& def_readonly(const char* name, const D C::*member,
                      const Extra&... extra) {
    Base::def_readonly(name, member, extra...);
    Explain(this->attr(name).attr("fget"), *this, name,
            {kArguments<const T&>, 1});
    return *this;
  }
};

class CoreModule : public pybind11::module_ {
 public:
  explicit CoreModule(pybind11::module_ module)
      : pybind11::module_(std::move(module)) {}

  template <typename F, typename... Extra>
  CoreModule& def(const char* name, F&& f, const Extra&... extra) {
    pybind11::module_::def(name, std::forward<F>(f), extra...);
    Explain(this->attr(name), *this, name, ArgumentsOf<F>());
    return *this;
  }
  CoreModule def_submodule(const char* name, const char* doc) {
    return CoreModule(pybind11::module_::def_submodule(name, doc));
  }
};

}  // namespace eisbach::bindings
