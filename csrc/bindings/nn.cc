#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/functions/elementwise.h"
#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/nn_layers.h"
#include "bindings/trained.h"
#include "bindings/variable.h"
#include "core/status_macros.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/head.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using nn::ForwardContext;
using nn::Module;

template <typename T>
using Layer = Class<T, Module, std::shared_ptr<T>>;

constexpr auto kReleased = py::call_guard<py::gil_scoped_release>();

// A layer over a parameter that Python owns too.
template <typename T>
std::shared_ptr<T> OverTable(std::shared_ptr<Parameter> weight) {
  if (weight->spec().shape.rank() != 2) {
    throw py::value_error(weight->spec().name + " is no table [vocab, hidden]");
  }
  Parameter& table = *weight;
  table.mutable_spec().table = true;
  return std::shared_ptr<T>(
      new T(table), [weight = std::move(weight)](T* layer) { delete layer; });
}

// Calls `forward(input)` of a layer of one tensor to one tensor.
template <typename T>
absl::StatusOr<Variable> Call(const std::shared_ptr<T>& layer,
                              const Variable& x,
                              const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  EISBACH_RETURN_IF_ERROR(Use(std::static_pointer_cast<Module>(layer)));
  EISBACH_ASSIGN_OR_RETURN(Tensor output, layer->Forward(input, context));
  return Output(std::move(output));
}

absl::StatusOr<Variable> CallNorm(const std::shared_ptr<nn::Norm>& layer,
                                  const Variable& x,
                                  const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  EISBACH_RETURN_IF_ERROR(Use(std::static_pointer_cast<Module>(layer)));
  EISBACH_ASSIGN_OR_RETURN(autograd::NormResult result,
                           layer->Forward(input, Tensor(), context));
  return Output(std::move(result.y));
}

absl::StatusOr<Variable> CallBlock(const std::shared_ptr<nn::Block>& layer,
                                   const Variable& x,
                                   const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  EISBACH_RETURN_IF_ERROR(Use(std::static_pointer_cast<Module>(layer)));
  EISBACH_ASSIGN_OR_RETURN(nn::Residual residual,
                           layer->Forward({input, Tensor()}, context));
  EISBACH_ASSIGN_OR_RETURN(Tensor output, nn::Join(residual, context));
  return Output(std::move(output));
}

absl::StatusOr<Variable> Loss(const std::shared_ptr<nn::PlainHead>& head,
                              const Variable& x, const Variable& targets,
                              const ForwardContext& context, float scale) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  EISBACH_RETURN_IF_ERROR(Use(std::static_pointer_cast<Module>(head)));
  const Tensor& wanted = targets.value;
  if (wanted.dtype() != DType::kI32 || input.rank() != 3 ||
      wanted.rank() != 2 || wanted.dim(0) != input.dim(0) ||
      wanted.dim(1) != input.dim(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a head takes x [B, T, H] and targets i32 [B, T], not ",
                     input.ToString(), " and ", wanted.ToString()));
  }
  EISBACH_ASSIGN_OR_RETURN(Tensor loss,
                           head->Loss(input, wanted, scale, context));
  return Output(std::move(loss));
}

void BindContext(CoreModule& m) {
  Class<ForwardContext>(m, "ForwardContext",
                        "What a forward pass runs with, besides its inputs.")
      .def(py::init([](Device& device, bool training, uint64_t seed,
                       const Variable* step, const Variable* samples,
                       const Variable* starts) {
             if (training && (step == nullptr || samples == nullptr)) {
               throw py::value_error(
                   "training needs step and samples, of which dropout depends");
             }
             return ForwardContext{
                 .stream = device.compute_stream(),
                 .training = training,
                 .seed = seed,
                 .step = step == nullptr ? Tensor() : step->value,
                 .sample_index = samples == nullptr ? Tensor() : samples->value,
                 .starts = starts == nullptr ? Tensor() : starts->value};
           }),
           py::arg("device"), py::kw_only(), py::arg("training") = false,
           py::arg("seed") = 0, py::arg("step") = py::none(),
           py::arg("samples") = py::none(), py::arg("starts") = py::none(),
           py::keep_alive<1, 2>(),
           "`step` is i64 [1], `samples` i64 [B]: each sample's index in the "
           "run. Update.forward_context() fills them in. `starts` is i32 "
           "[B, T]: where each token's document begins in its row; None for "
           "rows that are one document.")
      .def_readonly("training", &ForwardContext::training,
                    "Whether dropout drops.");
}

// The parameters of a layer, each kept alive with the layer.
std::vector<std::shared_ptr<Parameter>> ParametersOf(
    const std::shared_ptr<Module>& layer) {
  std::vector<std::shared_ptr<Parameter>> parameters;
  layer->VisitParameters([&](Parameter& parameter) {
    parameters.push_back(std::shared_ptr<Parameter>(layer, &parameter));
  });
  return parameters;
}

void BindSimple(CoreModule& m) {
  Layer<nn::Linear>(m, "Linear", "y [..., N] = x [..., K] weight^T + bias.")
      .def(py::init([](std::string name, int64_t inputs, int64_t outputs,
                       bool bias, float stddev) {
             CheckSizes(name, {inputs, outputs});
             CheckNotBelow0(name, "stddev", stddev);
             return std::make_shared<nn::Linear>(nn::PlainLinear(
                 std::move(name), inputs, outputs, bias, stddev));
           }),
           py::arg("name"), py::arg("inputs"), py::arg("outputs"),
           py::kw_only(), py::arg("bias") = true, py::arg("stddev") = 0.02)
      .def("__call__", &Call<nn::Linear>, py::arg("x"), py::arg("context"),
           kReleased);

  Layer<nn::Norm>(m, "Norm", "Layer norm, or RMS norm, of the last dimension.")
      .def(py::init([](std::string name, int64_t hidden,
                       const std::string& kind, double eps) {
             CheckSizes(name, {hidden});
             CheckNotBelow0(name, "eps", eps);
             return std::make_shared<nn::Norm>(std::move(name), ParseNorm(kind),
                                               hidden, eps,
                                               /*primary=*/true);
           }),
           py::arg("name"), py::arg("hidden"), py::kw_only(),
           py::arg("kind") = "layer", py::arg("eps") = 1e-5,
           "`kind` is layer or rms.")
      .def("__call__", &CallNorm, py::arg("x"), py::arg("context"), kReleased);

  Layer<nn::Dropout>(m, "Dropout",
                     "Of activations [B, T, F]; off outside training.")
      .def(py::init([](const std::string& name, double p) {
             if (!(p >= 0 && p < 1)) {
               throw py::value_error(
                   absl::StrCat(name, ": p=", p, " is outside [0, 1)"));
             }
             return std::make_shared<nn::Dropout>(name, p);
           }),
           py::arg("name"), py::arg("p"))
      .def("__call__", &Call<nn::Dropout>, py::arg("x"), py::arg("context"),
           kReleased);

  Layer<nn::Embedding>(m, "Embedding", "Ids i32 [B, T] to rows [B, T, H].")
      .def(py::init(&OverTable<nn::Embedding>), py::arg("weight"),
           "`weight` [vocab, H] may be shared with a head.")
      .def("__call__", &Call<nn::Embedding>, py::arg("ids"), py::arg("context"),
           kReleased);

  Layer<nn::PositionEmbedding>(
      m, "PositionEmbedding",
      "Learned positions, added to x [B, T, H] in place.")
      .def(py::init([](std::string name, int64_t context, int64_t hidden,
                       float stddev) {
             CheckSizes(name, {context, hidden});
             CheckNotBelow0(name, "stddev", stddev);
             return std::make_shared<nn::PositionEmbedding>(
                 std::move(name), context, hidden, stddev, /*primary=*/true);
           }),
           py::arg("name"), py::arg("context"), py::arg("hidden"),
           py::kw_only(), py::arg("stddev") = 0.02)
      .def("__call__", &Call<nn::PositionEmbedding>, py::arg("x"),
           py::arg("context"), kReleased);

  Layer<nn::PlainHead>(m, "Head", "Logits = x weight^T, and their loss.")
      .def(py::init(&OverTable<nn::PlainHead>), py::arg("weight"))
      .def("loss", &Loss, py::arg("x"), py::arg("targets"), py::arg("context"),
           py::arg("scale") = 1.0, kReleased,
           "scale x the sum of the tokens' losses, f64 [1].")
      .def(
          "logits",
          [](const std::shared_ptr<nn::PlainHead>& head, const Variable& x,
             const ForwardContext& context) -> absl::StatusOr<Variable> {
            EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
            EISBACH_RETURN_IF_ERROR(
                Use(std::static_pointer_cast<Module>(head)));
            EISBACH_ASSIGN_OR_RETURN(Tensor logits,
                                     head->Logits(input, context));
            return Output(std::move(logits));
          },
          py::arg("x"), py::arg("context"), kReleased, "[B, T, vocab].");
}

void BindComposed(CoreModule& m) {
  Layer<nn::Attention>(m, "Attention", "Causal self-attention, [B, T, H].")
      .def(py::init(&MakeAttention), py::arg("name"), py::arg("hidden"),
           py::arg("heads"), py::kw_only(), py::arg("kv_heads") = py::none(),
           py::arg("bias") = true, py::arg("stddev") = 0.02,
           py::arg("output_stddev") = 0.02, py::arg("rope") = py::none(),
           "`rope` is a table made by rope_table(); None is for positions "
           "that are learned.")
      .def("__call__", &Call<nn::Attention>, py::arg("x"), py::arg("context"),
           kReleased);

  Layer<nn::Mlp>(m, "Mlp", "down(activation(up(x))).")
      .def(py::init(&MakeMlp), py::arg("name"), py::arg("hidden"),
           py::arg("ffn_hidden"), py::kw_only(), py::arg("activation") = "gelu",
           py::arg("bias") = true, py::arg("stddev") = 0.02,
           py::arg("output_stddev") = 0.02, "`activation` is gelu or swiglu.")
      .def("__call__", &Call<nn::Mlp>, py::arg("x"), py::arg("context"),
           kReleased);

  Layer<nn::Block>(m, "Block",
                   "x += attention(norm(x)); x += mlp(norm(x)): [B, T, H].")
      .def(py::init(&MakeBlock), py::arg("name"), py::arg("hidden"),
           py::arg("heads"), py::kw_only(), py::arg("kv_heads") = py::none(),
           py::arg("ffn_hidden") = py::none(), py::arg("norm") = "layer",
           py::arg("eps") = 1e-5, py::arg("activation") = "gelu",
           py::arg("bias") = true, py::arg("stddev") = 0.02,
           py::arg("output_stddev") = 0.02, py::arg("rope") = py::none(),
           py::arg("dropout") = 0.0, py::arg("recompute") = false)
      .def("__call__", &CallBlock, py::arg("x"), py::arg("context"), kReleased);

  m.def("rope_table", &RopeTable, py::arg("context"), py::arg("head_dim"),
        py::arg("device"), py::kw_only(), py::arg("theta") = 10000.0,
        "cos and sin of each position: f32 [context, head_dim / 2, 2].");
}

}  // namespace

void BindNn(CoreModule& parent) {
  CoreModule m = parent.def_submodule("nn", "Layers.");
  BindContext(m);
  Class<Module, std::shared_ptr<Module>>(
      m, "Layer", "Owns parameters; is called with a ForwardContext.")
      .def("parameters", &ParametersOf,
           "In the order in which forward uses them.")
      .def(
          "random_names",
          [](Module& layer) {
            std::vector<std::string> names;
            layer.VisitRandom(
                [&](const std::string& name) { names.push_back(name); });
            return names;
          },
          "Of the layers inside that draw random numbers: dropout.");
  BindSimple(m);
  BindComposed(m);
}

}  // namespace eisbach::bindings
