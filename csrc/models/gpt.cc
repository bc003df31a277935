#include "models/family.h"

namespace eisbach::models {
namespace {

// GPT-2: Radford et al., "Language models are unsupervised multitask
// learners", 2019.
[[maybe_unused]] const bool gpt_registered =
    RegisterFamily({.name = "gpt",
                    .norm = ops::NormKind::kLayer,
                    .activation = nn::Activation::kGelu,
                    .bias = true,
                    .rope = false});

}  // namespace
}  // namespace eisbach::models
