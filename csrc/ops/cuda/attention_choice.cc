#include "ops/cuda/attention_choice.h"

#include <cstdlib>
#include <mutex>
#include <utility>

#include "absl/container/node_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/components.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "device/cuda/cuda_device.h"

namespace eisbach::cuda {
namespace {

constexpr char kVariable[] = "EISBACH_CUDA_ATTENTION";

AttentionProvider provider = nullptr;

struct Choice {
  std::unique_ptr<AttentionRunner> runner;
  std::string reason;  // without a runner
};

struct Choices {
  std::mutex mutex;
  absl::node_hash_map<std::pair<int, AttentionKey>, Choice> by_shape;
};
// Never destroyed: a library's plans must not outlive its driver.
Choices& TheChoices() {
  static auto* choices = new Choices;
  return *choices;
}

std::string Mode() {
  const char* mode = std::getenv(kVariable);
  return mode == nullptr ? "auto" : mode;
}

absl::StatusOr<Choice> Choose(const AttentionKey& key, Stream& stream) {
  const std::string mode = Mode();
  if (mode == "simt") return Choice{nullptr, absl::StrCat(kVariable, "=simt")};
  if (mode != "auto" && mode != "cudnn") {
    return absl::InvalidArgumentError(
        absl::StrCat(kVariable, "=", mode, " must be auto, cudnn or simt"));
  }
  if (provider == nullptr) {
    constexpr char kNone[] = "this build has no cuDNN";
    if (mode == "auto") return Choice{nullptr, kNone};
    return absl::UnimplementedError(
        absl::StrCat(kVariable, "=cudnn, but ", kNone));
  }
  absl::StatusOr<std::unique_ptr<AttentionRunner>> runner =
      provider(key, stream);
  if (runner.ok()) return Choice{*std::move(runner), ""};
  if (!absl::IsUnimplemented(runner.status())) return runner.status();
  const std::string reason(runner.status().message());
  if (mode == "cudnn") {
    return absl::UnimplementedError(
        absl::StrCat(kVariable, "=cudnn, but ", reason));
  }
  LogLine(absl::StrCat("attention: our own kernels, as ", reason));
  return Choice{nullptr, reason};
}

absl::StatusOr<const Choice*> Find(const AttentionKey& key, Stream& stream) {
  const std::pair<int, AttentionKey> shape(DeviceOf(stream).index(), key);
  Choices& choices = TheChoices();
  std::lock_guard<std::mutex> lock(choices.mutex);
  auto found = choices.by_shape.find(shape);
  if (found == choices.by_shape.end()) {
    EISBACH_ASSIGN_OR_RETURN(Choice made, Choose(key, stream));
    found = choices.by_shape.emplace(shape, std::move(made)).first;
  }
  return &found->second;
}

[[maybe_unused]] const bool component_registered =
    RegisterComponent("attention_cuda", [] {
      return absl::StrCat(provider == nullptr ? "own kernels"
                                              : "cuDNN, own kernels where it "
                                                "refuses",
                          " (", kVariable, "=", Mode(), ")");
    });

}  // namespace

bool RegisterAttentionProvider(AttentionProvider made) {
  provider = made;
  return true;
}

absl::StatusOr<AttentionRunner*> ChooseAttention(const AttentionKey& key,
                                                 Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Choice* choice, Find(key, stream));
  return choice->runner.get();
}

absl::StatusOr<std::string> DescribeAttention(const AttentionKey& key,
                                              Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Choice* choice, Find(key, stream));
  if (choice->runner != nullptr) return choice->runner->Describe();
  return absl::StrCat("own kernel: ", choice->reason);
}

}  // namespace eisbach::cuda
