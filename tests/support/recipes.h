#pragma once

#include <optional>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "support/toy.h"

namespace eisbach::test {

// One way to train the toy: what the sweep over layouts crosses.
struct Recipe {
  std::string family;
  std::string schedule;  // of the pipeline
  std::string optimizer;
  DType compute = DType::kF32;
  bool groups = false;   // some parameters frozen, others at another rate
  int64_t kv_heads = 0;  // 0: the family's
  int zero = 0;          // what data ranks divide
  int chunks = 0;        // 0: the schedule's fewest
  // Nothing: tensor ranks divide tokens where they can.
  std::optional<bool> sequence{};
  nn::Recompute recompute = nn::Recompute::kNothing;
  bool terms = false;  // the loss has more than the cross-entropy
  // By which context ranks see one another's keys.
  parallel::ContextMethod method = parallel::ContextMethod::kAuto;
  int ulysses_group = 0;  // of them exchange heads; 0: as many as can

  std::string ToString() const {
    return absl::StrCat(
        family, "_", schedule, "_", optimizer,
        compute == DType::kF32 ? "" : "_",
        compute == DType::kF32 ? "" : Name(compute), groups ? "_groups" : "",
        kv_heads == 0 ? "" : absl::StrCat("_kv", kv_heads),
        zero == 0 ? "" : absl::StrCat("_zero", zero),
        chunks == 0 ? "" : absl::StrCat("_chunks", chunks),
        !sequence   ? ""
        : *sequence ? "_divided"
                    : "_whole",
        recompute == nn::Recompute::kNothing     ? ""
        : recompute == nn::Recompute::kSelective ? "_selective"
                                                 : "_block",
        terms ? "_terms" : "",
        method == parallel::ContextMethod::kAuto
            ? ""
            : absl::StrCat("_", Name(method)),
        ulysses_group == 0 ? "" : absl::StrCat("_", ulysses_group));
  }

  train::EngineConfig Config() const {
    train::EngineConfig config = ToyConfig(family);
    config.pipeline_schedule = schedule;
    config.chunks = chunks;
    config.sequence = sequence;
    config.recompute = recompute;
    config.update.compute_dtype = compute;
    config.update.zero.zero = zero;
    config.context_method = method;
    config.ulysses_group = ulysses_group;
    if (kv_heads != 0) config.model.kv_heads = kv_heads;
    if (optimizer == "sgd") {
      // AdamW and clipping hide a constant factor in the gradient; this does
      // not.
      config.update.optimizer.name = "sgd";
      config.update.optimizer.weight_decay = 0;
      config.update.clip_grad_norm = 0;
      // With head norms a rate of 0.05 makes norms jump from step 15 on, by
      // which rounding is 3e-4 of them at step 19. With the loss's terms
      // llama's norm of step 20 is 7e-6 apart at that rate on one rank whose
      // micro-batches are a third, and 9e-8 at 0.02.
      const bool head_norms =
          config.model.architecture.qk_norm != models::QkNorm::kNone;
      config.update.schedule.learning_rate = head_norms ? 0.01
                                             : terms    ? 0.02
                                                        : 0.05;
    }
    if (optimizer == "lion" || optimizer == "muon") {
      config.update.optimizer.name = optimizer;
      config.update.optimizer.momentum = 0.95;
    }
    // Rounding decides the sign of what is nearly nothing, by which a weight
    // then moves as far as any other: llama's norm of step 20 is 12% apart at
    // AdamW's rate, and at a tenth of it that of step 15 by 1e-5.
    if (optimizer == "lion") {
      config.update.schedule.learning_rate = 3e-5;
      config.update.schedule.min_learning_rate = 3e-5;
    }
    if (terms) config.terms = {.z_loss = 0.01f, .label_smoothing = 0.1f};
    if (compute != DType::kF32) {
      // At 3e-4 in bf16 llama's norm of step 18 is 4% apart on one rank whose
      // micro-batches are three times as large: a spike that three digits do
      // not determine. Here nothing is more than 0.1% apart.
      config.update.schedule.learning_rate = 1e-4;
      config.update.schedule.min_learning_rate = 1e-4;
    }
    // A norm of a block's output alone divides by what is small here, which
    // makes large gradients: at 3e-4 the norm of step 17 is 1% apart on one
    // rank whose micro-batches are a third, at 1e-4 by 8e-6, with sgd by 5e-5
    // at 0.01 and 1e-6 at 0.003. In f16 the scale must be less.
    if (config.model.architecture.norm_placement ==
        models::NormPlacement::kPost) {
      auto& schedule = config.update.schedule;
      if (optimizer == "adamw") schedule.learning_rate = 3e-5;
      if (optimizer == "sgd") schedule.learning_rate = 3e-3;
      schedule.min_learning_rate = schedule.learning_rate;
      config.update.initial_loss_scale = 1024;
    }
    if (groups) {
      config.update.optimizer.groups = {
          {.patterns = {"blocks.[01].*"}, .frozen = true},
          {.patterns = {"*norm*"}, .rate_factor = 0.5, .weight_decay = 0}};
    }
    return config;
  }
};

// A micro-batch that halves the work at least, and of which a step of any
// factoring of up to 8 ranks is a multiple.
inline int64_t LargerMicroBatch(const Layout& layout) {
  return layout.data % 3 == 0 ? 2 : 3;
}

// A recipe on a layout.
struct Training {
  Recipe recipe;
  Layout layout;

  // Such as `ranks8_d2t2p2_gpt_1f1b_adamw`.
  std::string ToString() const {
    return absl::StrCat("ranks", layout.ranks(), "_", layout.ToString(), "_",
                        recipe.ToString());
  }
  friend void PrintTo(const Training& training, std::ostream* out) {
    *out << training.ToString();
  }
};

}  // namespace eisbach::test
