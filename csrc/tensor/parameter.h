#pragma once

#include <utility>

#include "absl/status/status.h"
#include "tensor/param_spec.h"
#include "tensor/tensor.h"

namespace eisbach {

class Parameter;

// Hears of every contribution to a parameter's gradient (the buckets do).
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  virtual absl::Status OnGradient(Parameter& parameter) = 0;
};

// A weight of a layer. The layer makes it from a spec; a FlatBuffer
// then gives it its place in memory. Graph nodes save the Parameter, never its
// storage. Neither copied nor moved: others keep pointers to it.
class Parameter {
 public:
  explicit Parameter(ParamSpec spec) : spec_(std::move(spec)) {}
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  const ParamSpec& spec() const { return spec_; }
  ParamSpec& mutable_spec() { return spec_; }  // before it is bound

  // Whether it has a gradient; else it keeps the values that it is given.
  bool trains() const { return !spec_.training.frozen; }

  const Tensor& data() const { return data_; }  // compute dtype
  // f32; data() itself in f32, and where it is frozen.
  const Tensor& master() const { return master_; }
  const Tensor& grad() const { return grad_; }  // f32; undefined where frozen

  // The gradient protocol. A backward op asks `accumulate()`: false means the
  // gradient holds nothing yet and must be overwritten, true that the op adds.
  // It then calls GradientWritten().
  bool accumulate() const { return accumulate_; }
  absl::Status GradientWritten() {
    accumulate_ = true;
    return sink_ == nullptr ? absl::OkStatus() : sink_->OnGradient(*this);
  }
  // Starts a step: what the gradient holds is forgotten.
  void ResetGradient() { accumulate_ = false; }

  void Bind(Tensor data, Tensor master, Tensor grad) {
    data_ = std::move(data);
    master_ = std::move(master);
    grad_ = std::move(grad);
  }
  void set_sink(GradientSink* sink) { sink_ = sink; }  // not owned
  // Whether somebody's buckets hear of its gradient.
  bool in_use() const { return sink_ != nullptr; }

 private:
  ParamSpec spec_;
  Tensor data_, master_, grad_;
  GradientSink* sink_ = nullptr;
  bool accumulate_ = false;
};

// Whether a layer of these, the second of which may be null, has a gradient to
// compute.
inline bool Trains(const Parameter& weight, const Parameter* bias) {
  return weight.trains() || (bias != nullptr && bias->trains());
}

}  // namespace eisbach
