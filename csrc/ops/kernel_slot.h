#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "device/device.h"
#include "device/tracer.h"

// A kernel slot is the seam between an op and the backends that compute it.
//
//   // ops/softmax.h: what a backend is given
//   struct SoftmaxArgs { const Tensor& x; Tensor& y; };
//   using SoftmaxKernel = KernelSlot<SoftmaxArgs>;
//   SoftmaxKernel& SoftmaxSlot();
//   // ops/softmax.cc
//   EISBACH_DEFINE_KERNEL(SoftmaxSlot, SoftmaxKernel, "softmax")
//   // ops/cpu/softmax.cc
//   EISBACH_REGISTER_KERNEL(SoftmaxSlot, DeviceType::kCpu, &Softmax);
namespace eisbach::ops {

template <typename Args>
class KernelSlot {
 public:
  using Function = absl::Status (*)(const Args&, Stream&);

  explicit KernelSlot(absl::string_view name,
                      OpClass op_class = OpClass::kOther)
      : name_(name), op_class_(op_class) {}

  bool Register(DeviceType device, Function function) {
    functions_[static_cast<int>(device)] = function;
    return true;
  }

  bool Has(DeviceType device) const {
    return functions_[static_cast<int>(device)] != nullptr;
  }

  // Tells the recorder the cost, runs the kernel of the stream's device and
  // traces it. On meta there is nothing to run. Unimplemented when the build
  // has no kernel.
  absl::Status Run(const Args& args, const OpCost& cost, Stream& stream) const {
    Device& device = stream.device();
    if (device.recorder() != nullptr) {
      device.recorder()->OnOp(name_, cost, stream);
    }
    if (device.type() == DeviceType::kMeta) return absl::OkStatus();
    Function function = functions_[static_cast<int>(device.type())];
    if (function == nullptr) {
      return absl::UnimplementedError(absl::StrCat(
          name_, ": no ", Name(device.type()), " kernel in this build"));
    }
    const TraceSpan span(stream,
                         {.kind = SpanKind::kOp,
                          .name = name_,
                          .op_class = op_class_,
                          .flops = cost.flops,
                          .bytes = cost.bytes_read + cost.bytes_written});
    return function(args, stream);
  }

 private:
  absl::string_view name_;
  OpClass op_class_;
  Function functions_[kNumDeviceTypes] = {};
};

// The slot lives in a function so that it exists before any registration.
// After Slot: its name and, for what totals tell apart, its OpClass.
#define EISBACH_DEFINE_KERNEL(function, Slot, ...) \
  Slot& function() {                               \
    static Slot slot(__VA_ARGS__);                 \
    return slot;                                   \
  }

#define EISBACH_REGISTER_KERNEL(slot, device, kernel)            \
  [[maybe_unused]] static const bool eisbach_registered_##slot = \
      slot().Register(device, kernel)

}  // namespace eisbach::ops
