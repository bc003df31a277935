#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace eisbach::bindings {

// A status on its way to Python. Thrown by bindings alone, with or without the
// GIL; the translator in unwrap.cc turns it into the exception that its code
// stands for:
//
//   InvalidArgument, OutOfRange, AlreadyExists   ValueError
//   FailedPrecondition, Aborted, Internal, ...   RuntimeError
//   NotFound                                     FileNotFoundError
//   PermissionDenied                             PermissionError
//   ResourceExhausted                            MemoryError
//   Unimplemented                                NotImplementedError
//   DataLoss                                     eisbach.NonFiniteError
//
// What the system refused (ErrnoError) is the OSError of its number.
class StatusError final : public std::exception {
 public:
  explicit StatusError(absl::Status status)
      : status_(std::move(status)), message_(status_.message()) {}

  const absl::Status& status() const { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  absl::Status status_;
  std::string message_;
};

inline void Unwrap(absl::Status status) {
  if (!status.ok()) throw StatusError(std::move(status));
}

template <typename T>
T Unwrap(absl::StatusOr<T> value) {
  if (!value.ok()) throw StatusError(std::move(value).status());
  return *std::move(value);
}

// Calls `f` while other Python threads run. It touches no Python object.
template <typename F>
auto WithoutGil(F&& f) {
  pybind11::gil_scoped_release release;
  return std::forward<F>(f)();
}

}  // namespace eisbach::bindings
