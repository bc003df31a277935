#include "models/family.h"

namespace eisbach::models {
namespace {

// Llama: Touvron et al., arXiv:2302.13971; grouped queries from Llama 2,
// arXiv:2307.09288.
[[maybe_unused]] const bool llama_registered =
    RegisterFamily({.name = "llama",
                    .norm = ops::NormKind::kRms,
                    .activation = nn::Activation::kSwiglu,
                    .bias = false,
                    .rope = true});

}  // namespace
}  // namespace eisbach::models
