#pragma once

#include <algorithm>
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
  // Before a kernel writes to the gradient, which is there afterwards.
  virtual absl::Status BeforeGradient(Parameter&) { return absl::OkStatus(); }
  virtual absl::Status OnGradient(Parameter& parameter) = 0;
};

// Brings values of parameters to where kernels read them.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // Before kernels of the compute stream read the value, which is there
  // afterwards, until two parameters later at the earliest.
  virtual absl::Status BeforeUse(Parameter& parameter) = 0;
};

struct ElementRange {
  int64_t begin = 0;
  int64_t elements = 0;

  int64_t end() const { return begin + elements; }
  friend bool operator==(const ElementRange&, const ElementRange&) = default;
};

// What both have; {} where that is nothing.
inline ElementRange Intersect(const ElementRange& a, const ElementRange& b) {
  const int64_t begin = std::max(a.begin, b.begin);
  const int64_t end = std::min(a.end(), b.end());
  if (end <= begin) return {};
  return {begin, end - begin};
}

// How ranks divide a parameter: part i is what it has of the elements
// [i, i + 1) x part_elements of its bucket.
struct ParameterDivision {
  int parts = 1;
  int part = 0;  // this rank's
  int64_t part_elements = 0;
  int64_t offset = 0;  // of the parameter in the bucket
};

// Where a parameter lies. What is not there is undefined.
struct ParameterTensors {
  Tensor data;     // compute dtype
  Tensor grad;     // f32
  Tensor master;   // see Parameter
  Tensor reduced;  // see Parameter
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

  // Compute dtype. Where a WeightSource brings it: after BeforeUse.
  const Tensor& data() const { return tensors_.data; }
  absl::Status BeforeUse() {
    return source_ == nullptr ? absl::OkStatus() : source_->BeforeUse(*this);
  }
  // f32, of the parameter's shape; undefined where frozen. Where the sink
  // divides gradients: from BeforeGradient to GradientWritten.
  const Tensor& grad() const { return tensors_.grad; }

  // What this rank updates: all, or where ranks divide it own(), flat. f32, or
  // what data() is where it is frozen; a part of data() itself where that is
  // f32 and there, so that it is written to after BeforeUse alone.
  const Tensor& master() const { return tensors_.master; }
  // The elements of master().
  ElementRange own() const { return PartOf(division_.part); }
  // Those of another rank's.
  ElementRange PartOf(int part) const {
    const ElementRange all{0, spec_.shape.elements()};
    if (division_.parts == 1) return all;
    return Intersect(all, {part * division_.part_elements - division_.offset,
                           division_.part_elements});
  }
  const ParameterDivision& division() const { return division_; }
  bool divided() const { return division_.parts > 1; }
  // The gradient of own(), f32 and flat, summed over the ranks that see other
  // samples: complete from the end of the reduction to the next step.
  const Tensor& reduced() const { return tensors_.reduced; }

  // The gradient protocol. A backward op asks `accumulate()`: false means the
  // gradient holds nothing yet and must be overwritten, true that the op adds.
  // It then calls GradientWritten(). Before all that: BeforeGradient().
  absl::Status BeforeGradient() {
    return sink_ == nullptr ? absl::OkStatus() : sink_->BeforeGradient(*this);
  }
  bool accumulate() const { return accumulate_; }
  absl::Status GradientWritten() {
    accumulate_ = true;
    return sink_ == nullptr ? absl::OkStatus() : sink_->OnGradient(*this);
  }
  // Starts a step: what the gradient holds is forgotten.
  void ResetGradient() { accumulate_ = false; }

  void Bind(ParameterTensors tensors, const ParameterDivision& division = {}) {
    tensors_ = std::move(tensors);
    division_ = division;
  }
  void set_data(Tensor data) { tensors_.data = std::move(data); }
  void set_grad(Tensor grad) { tensors_.grad = std::move(grad); }
  void set_sink(GradientSink* sink) { sink_ = sink; }          // not owned
  void set_source(WeightSource* source) { source_ = source; }  // not owned
  // Whether somebody's buckets hear of its gradient.
  bool in_use() const { return sink_ != nullptr; }

 private:
  ParamSpec spec_;
  ParameterTensors tensors_;
  ParameterDivision division_;
  GradientSink* sink_ = nullptr;
  WeightSource* source_ = nullptr;
  bool accumulate_ = false;
};

// Of a layer of these, the second of which may be null.
inline absl::Status BeforeUse(Parameter& weight, Parameter* bias) {
  absl::Status status = weight.BeforeUse();
  if (status.ok() && bias != nullptr) status = bias->BeforeUse();
  return status;
}

// Whether a layer of these, the second of which may be null, has a gradient to
// compute.
inline bool Trains(const Parameter& weight, const Parameter* bias) {
  return weight.trains() || (bias != nullptr && bias->trains());
}

}  // namespace eisbach
