#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/graph.h"
#include "support/op_testing.h"
#include "tensor/flat_buffer.h"

// Differentiable functions under test: parameters with storage, a forward and
// backward pass, and finite differences of its result.
namespace eisbach::test {

// Parameters of f32 gradient and random values, bound to one flat buffer.
class TestParameters {
 public:
  // `mean` keeps weights of norms away from 0.
  Parameter& Add(const Shape& shape, double mean = 0, double scale = 1) {
    const std::string name = absl::StrCat("p", owned_.size());
    owned_.push_back(
        std::make_unique<Parameter>(WholeParam(name, shape, {}, true)));
    moments_.emplace_back(mean, scale);
    return *owned_.back();
  }

  // Gives all of them storage; gradients start as NaN, so that reading what a
  // backward op should overwrite shows.
  void Bind(DType dtype = DType::kF32) {
    std::vector<Parameter*> list;
    for (auto& parameter : owned_) list.push_back(parameter.get());
    buffer_ =
        Value(FlatBuffer::Make(list, dtype, int64_t{1} << 30, TheStream()));
    for (size_t i = 0; i < owned_.size(); ++i) {
      const Tensor& data = owned_[i]->data();
      std::vector<double> values =
          NormalValues(data.elements(), /*seed=*/100 + i, moments_[i].second);
      for (double& value : values) value += moments_[i].first;
      Assign(owned_[i]->master(), values);
      Assign(data, values);
    }
    Reset();
  }

  void Reset() {
    for (auto& parameter : owned_) {
      const Tensor& grad = parameter->grad();
      Assign(grad, std::vector<double>(grad.elements(), NAN));
      parameter->ResetGradient();
    }
  }

  // All gradients' bytes, to compare runs.
  std::vector<uint8_t> GradientBytes() const {
    std::vector<uint8_t> all;
    for (const auto& parameter : owned_) {
      const std::vector<uint8_t> one = ToBytes(parameter->grad());
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }

 private:
  std::vector<std::unique_ptr<Parameter>> owned_;
  std::vector<std::pair<double, double>> moments_;
  std::unique_ptr<FlatBuffer> buffer_;
};

using TestFunction = std::function<absl::StatusOr<Tensor>(const Tensor& x)>;

// A fresh copy: what a function may overwrite.
inline Tensor Clone(const Tensor& x) {
  return FromValues(x.shape(), x.dtype(), ToDoubles(x));
}

// Runs f(x) recorded and back from `seed`; returns x's gradient, undefined
// where none reached it.
inline Tensor Gradient(const TestFunction& f, const Tensor& x,
                       const Tensor& seed,
                       autograd::Deferred* deferred = nullptr) {
  autograd::Graph graph;
  Tensor leaf = graph.Leaf(Clone(x));
  Tensor y;
  {
    autograd::GraphScope scope(&graph);
    y = Value(f(leaf));
  }
  autograd::BackwardContext context{TheStream(), deferred};
  EISBACH_EXPECT_OK(graph.Backward({y}, {seed}, context));
  Tensor gradient = graph.TakeGradient(leaf);
  if (deferred != nullptr) {
    EISBACH_EXPECT_OK(deferred->Run(TheStream()));
  }
  return gradient;
}

// Compares the gradients of sum(seed * f(x)), with a random seed, in x and in
// `parameters`, with central differences. Everything is f32.
inline void CheckGradients(const TestFunction& f, const Tensor& x,
                           const std::vector<Parameter*>& parameters = {},
                           double step = 1e-2, double tolerance = 2e-3) {
  const Tensor plain = Value(f(Clone(x)));
  const Tensor seed = Normal(plain.shape(), plain.dtype(), /*seed=*/77);
  for (Parameter* parameter : parameters) parameter->ResetGradient();
  const Tensor dx = Gradient(f, x, seed);
  const auto loss = [&] { return Dot(Value(f(Clone(x))), seed); };
  if (dx.defined()) {
    SCOPED_TRACE("input");
    ExpectGradient(x, dx, loss, step, tolerance);
  }
  for (Parameter* parameter : parameters) {
    SCOPED_TRACE(parameter->spec().name);
    ASSERT_TRUE(parameter->accumulate());
    ExpectGradient(parameter->data(), parameter->grad(), loss, step, tolerance);
  }
}

// A second backward pass adds to the parameters' gradients: twice the same
// contribution is twice the gradient.
inline void CheckAccumulation(const TestFunction& f, const Tensor& x,
                              const std::vector<Parameter*>& parameters) {
  const Tensor plain = Value(f(Clone(x)));
  const Tensor seed = Normal(plain.shape(), plain.dtype(), /*seed=*/77);
  for (Parameter* parameter : parameters) parameter->ResetGradient();
  Gradient(f, x, seed);
  std::vector<std::vector<double>> once;
  for (Parameter* parameter : parameters) {
    once.push_back(ToDoubles(parameter->grad()));
  }
  Gradient(f, x, seed);
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (double& value : once[i]) value *= 2;
    ExpectClose(parameters[i]->grad(), once[i], 1e-5);
  }
}

}  // namespace eisbach::test
