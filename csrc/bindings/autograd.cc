#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "autograd/functions/activation.h"
#include "autograd/functions/attention.h"
#include "autograd/functions/cross_entropy.h"
#include "autograd/functions/elementwise.h"
#include "autograd/functions/embedding.h"
#include "autograd/functions/linear.h"
#include "autograd/functions/norm.h"
#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/nn_layers.h"
#include "bindings/trained.h"
#include "bindings/variable.h"
#include "core/status_macros.h"
#include "nn/module.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using ParameterPtr = std::shared_ptr<Parameter>;

Stream& StreamOf(const Variable& variable) {
  return variable.value.device().compute_stream();
}

absl::Status Backward(const std::shared_ptr<Recording>& recording,
                      const std::vector<const Variable*>& outputs,
                      const std::vector<const Variable*>& grads) {
  if (CurrentRecording() == recording) {
    return absl::FailedPreconditionError(
        "backward comes after the `with` block that records");
  }
  std::vector<Tensor> ends, seeds;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == nullptr || grads[i] == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("backward takes tensors: outputs[", i, "] or gradients[",
                       i, "] is None"));
    }
    const Variable& output = *outputs[i];
    if (output.recording != recording || output.count != recording->count() ||
        output.value.grad_edge().node == nullptr) {
      return absl::InvalidArgumentError(
          "backward starts at tensors that this graph has recorded last");
    }
    ends.push_back(output.value);
    seeds.push_back(grads[i]->value.Detach());
  }
  if (ends.empty()) return absl::InvalidArgumentError("no tensor to start at");
  EISBACH_RETURN_IF_ERROR(recording->Begin());
  autograd::BackwardContext context{ends[0].device().compute_stream()};
  return recording->graph().Backward(ends, seeds, context);
}

void BindGraph(CoreModule& m) {
  Class<Recording, std::shared_ptr<Recording>>(
      m, "Graph",
      "Records a forward pass inside `with graph:`, then runs it backward, "
      "once. Entering again forgets the last recording.")
      .def(py::init<>())
      .def("__enter__",
           [](const std::shared_ptr<Recording>& recording) {
             Unwrap(EnterRecording(recording));
             return recording;
           })
      .def("__exit__",
           [](Recording& recording, const py::args&) {
             return LeaveRecording(recording);
           })
      .def(
          "leaf",
          [](const std::shared_ptr<Recording>& recording,
             const Variable& tensor) {
            if (CurrentRecording() != recording) {
              Unwrap(absl::FailedPreconditionError(
                  "a leaf is made inside the `with` block that records"));
            }
            return Output(recording->Leaf(tensor.value));
          },
          py::arg("tensor"), "The tensor as one whose gradient is wanted.")
      .def(
          "gradient",
          [](const std::shared_ptr<Recording>& recording,
             const Variable& leaf) -> std::optional<Variable> {
            if (leaf.recording != recording ||
                leaf.count != recording->count() ||
                !recording->IsLeaf(leaf.value)) {
              throw py::value_error("the tensor is no leaf of this recording");
            }
            Tensor gradient = recording->graph().TakeGradient(leaf.value);
            if (!gradient.defined()) return std::nullopt;
            return Variable(std::move(gradient));
          },
          py::arg("leaf"),
          "Takes the gradient of a leaf after backward; None where none "
          "reached it.")
      .def(
          "backward",
          [](const std::shared_ptr<Recording>& recording,
             const Variable& loss) {
            return Backward(recording, {&loss}, {&loss});
          },
          py::arg("loss"), py::call_guard<py::gil_scoped_release>(),
          "Runs backward from what cross_entropy or a head returned; the "
          "gradients of parameters are added to their buckets.")
      .def(
          "backward",
          [](const std::shared_ptr<Recording>& recording,
             const std::vector<const Variable*>& outputs,
             const std::vector<const Variable*>& gradients) {
            if (outputs.size() != gradients.size()) {
              return absl::InvalidArgumentError(
                  "backward takes a gradient for each output");
            }
            return Backward(recording, outputs, gradients);
          },
          py::arg("outputs"), py::arg("gradients"),
          py::call_guard<py::gil_scoped_release>(),
          "Runs backward from outputs whose gradients are given.");
}

absl::StatusOr<Variable> Recorded(absl::StatusOr<Tensor> result) {
  if (!result.ok()) return std::move(result).status();
  return Output(*std::move(result));
}

absl::StatusOr<Variable> Linear(const Variable& x, const ParameterPtr& weight,
                                const ParameterPtr& bias) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  EISBACH_RETURN_IF_ERROR(Use(weight));
  if (bias != nullptr) EISBACH_RETURN_IF_ERROR(Use(bias));
  return Recorded(autograd::Linear(input, *weight, bias.get(),
                                   /*use_bias=*/true, StreamOf(x)));
}

absl::StatusOr<Variable> Embedding(const Variable& ids,
                                   const ParameterPtr& weight) {
  EISBACH_RETURN_IF_ERROR(Use(weight));
  return Recorded(autograd::Embedding(ids.value, *weight, /*first_row=*/0,
                                      weight->data().dim(0), StreamOf(ids)));
}

absl::StatusOr<Variable> AddPosition(const Variable& x,
                                     const ParameterPtr& weight) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  EISBACH_RETURN_IF_ERROR(Use(weight));
  return Recorded(autograd::AddPosition(input, *weight, StreamOf(x)));
}

absl::StatusOr<Variable> Norm(ops::NormKind kind, const Variable& x,
                              const ParameterPtr& weight,
                              const ParameterPtr& bias, double eps) {
  CheckNotBelow0(kind == ops::NormKind::kLayer ? "layer_norm" : "rms_norm",
                 "eps", eps);
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  EISBACH_RETURN_IF_ERROR(Use(weight));
  if (bias != nullptr) EISBACH_RETURN_IF_ERROR(Use(bias));
  EISBACH_ASSIGN_OR_RETURN(autograd::NormResult result,
                           autograd::Norm(kind, eps, input, Tensor(), *weight,
                                          bias.get(), StreamOf(x)));
  return Output(std::move(result.y));
}

absl::StatusOr<Variable> CrossEntropy(const Variable& logits,
                                      const Variable& targets, float scale,
                                      const nn::ForwardContext* context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(logits));
  if (input.rank() < 1 || targets.value.dtype() != DType::kI32 ||
      input.elements() !=
          targets.value.elements() * (input.rank() > 0 ? input.dim(-1) : 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cross_entropy takes logits [..., vocab] and an i32 target a row, not ",
        input.ToString(), " and ", targets.value.ToString()));
  }
  if (context == nullptr && input.dtype() == DType::kF16 &&
      autograd::CurrentGraph() != nullptr) {
    return absl::InvalidArgumentError(
        "cross_entropy of f16 logits takes the ForwardContext whose loss scale "
        "the update expects (context)");
  }
  autograd::LossScale share{scale};
  if (context != nullptr) {
    share.gradient_factor = context->loss_scale;
    share.counted = context->counted;
  }
  return Recorded(autograd::CrossEntropy(
      input, targets.value, autograd::WholeVocabulary(input.dim(-1)), share,
      StreamOf(logits)));
}

absl::StatusOr<Variable> Attention(const Variable& qkv, int64_t heads,
                                   std::optional<int64_t> kv_heads) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(qkv));
  if (input.rank() != 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "attention takes a packed qkv [B, T, width], not ", input.ToString()));
  }
  EISBACH_ASSIGN_OR_RETURN(
      ops::AttentionHeads counts,
      PlainHeads(heads, kv_heads.value_or(heads), input.dim(-1)));
  return Recorded(autograd::Attention(input, counts, StreamOf(qkv)));
}

using Unary = absl::StatusOr<Tensor> (*)(const Tensor&, Stream&);

template <Unary kFunction>
absl::StatusOr<Variable> Apply(const Variable& x) {
  EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
  return Recorded(kFunction(input, StreamOf(x)));
}

}  // namespace

void BindAutograd(CoreModule& m) {
  BindGraph(m);
  CoreModule f = m.def_submodule(
      "functional",
      "Differentiable functions; they record inside `with graph:`.");
  constexpr auto kReleased = py::call_guard<py::gil_scoped_release>();
  f.def("linear", &Linear, py::arg("x"), py::arg("weight"),
        py::arg("bias") = py::none(), kReleased,
        "y [..., N] = x [..., K] weight^T + bias; weight [N, K].");
  f.def("embedding", &Embedding, py::arg("ids"), py::arg("weight"), kReleased,
        "Rows of weight [vocab, H] by ids, i32 [B, T]: [B, T, H]. ValueError "
        "names an id outside [0, vocab); on a GPU, which nobody waits for, its "
        "row is NaN.");
  f.def("add_position", &AddPosition, py::arg("x"), py::arg("weight"),
        kReleased, "x [B, T, H] + weight[t], in place.");
  f.def(
      "layer_norm",
      [](const Variable& x, const ParameterPtr& weight,
         const ParameterPtr& bias, double eps) {
        return Norm(ops::NormKind::kLayer, x, weight, bias, eps);
      },
      py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("eps") = 1e-5,
      kReleased, "Over the last dimension; weight and bias [H].");
  f.def(
      "rms_norm",
      [](const Variable& x, const ParameterPtr& weight, double eps) {
        return Norm(ops::NormKind::kRms, x, weight, nullptr, eps);
      },
      py::arg("x"), py::arg("weight"), py::arg("eps") = 1e-5, kReleased,
      "Over the last dimension: x / sqrt(mean(x^2) + eps) * weight.");
  f.def("attention", &Attention, py::arg("qkv"), py::arg("heads"),
        py::arg("kv_heads") = py::none(), kReleased,
        "Causal attention of a packed qkv [B, T, (heads + 2 kv_heads) D]: "
        "[B, T, heads D].");
  f.def("gelu", &Apply<&autograd::Gelu>, py::arg("x"), kReleased,
        "By its tanh form.");
  f.def("swiglu", &Apply<&autograd::Swiglu>, py::arg("gate_up"), kReleased,
        "silu(gate) * up of gate and up side by side.");
  f.def("softmax", &Apply<&autograd::Softmax>, py::arg("x"), kReleased,
        "Over the last dimension.");
  f.def(
      "add",
      [](const Variable& a, const Variable& b) -> absl::StatusOr<Variable> {
        EISBACH_ASSIGN_OR_RETURN(Tensor left, Input(a));
        EISBACH_ASSIGN_OR_RETURN(Tensor right, Input(b));
        return Recorded(autograd::Add(left, right, StreamOf(a)));
      },
      py::arg("a"), py::arg("b"), kReleased, "a + b, of one shape.");
  f.def(
      "view",
      [](const Variable& x, const Shape& shape) -> absl::StatusOr<Variable> {
        EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(x));
        return Recorded(autograd::View(input, shape));
      },
      py::arg("x"), py::arg("shape"), kReleased,
      "The same elements under another shape.");
  f.def("cross_entropy", &CrossEntropy, py::arg("logits"), py::arg("targets"),
        py::arg("scale") = 1.0, py::kw_only(), py::arg("context") = py::none(),
        kReleased,
        "scale x the sum over rows, f64 [1]; a row whose target is below 0 is "
        "masked, without loss and gradient. ValueError names a target of vocab "
        "or above; on a GPU, which nobody waits for, the loss is NaN. Backward "
        "overwrites the logits. `context` has the loss scale: f16 logits that "
        "record need it.");
}

}  // namespace eisbach::bindings
