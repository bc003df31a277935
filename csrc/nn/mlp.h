#pragma once

#include <memory>

#include "nn/module.h"
#include "nn/xielu.h"

namespace eisbach::nn {

enum class Activation : uint8_t { kGelu, kSwiglu, kGeglu, kXielu };

// Whether the first projection yields a gate beside what it lets through.
inline bool Gated(Activation activation) {
  return activation == Activation::kSwiglu || activation == Activation::kGeglu;
}

// down(activation(up(x))); where it is gated `up` yields gate and up side by
// side.
class Mlp final : public Module {
 public:
  // `xielu` where that is the activation. `recompute`: backward computes what
  // `down` takes once more (autograd/recompute.h).
  Mlp(std::unique_ptr<Projection> up, std::unique_ptr<Projection> down,
      Activation activation, std::unique_ptr<Xielu> xielu = nullptr,
      bool recompute = false);

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override;

 private:
  // What `down` takes.
  absl::StatusOr<Tensor> Hidden(const Tensor& x, const ForwardContext& context);
  absl::StatusOr<Tensor> Activate(const Tensor& up,
                                  const ForwardContext& context);

  std::unique_ptr<Projection> up_;
  std::unique_ptr<Projection> down_;
  Activation activation_;
  std::unique_ptr<Xielu> xielu_;
  bool recompute_;
};

}  // namespace eisbach::nn
