#include "models/generate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/ids.h"

namespace eisbach::models {
namespace {

// Tokens of prompts that go through the model at once: its activations stay
// small beside its weights.
constexpr int64_t kPassTokens = 1024;

absl::Status CheckPrompt(const TextModel& model,
                         const std::vector<int32_t>& prompt) {
  const auto length = static_cast<int64_t>(prompt.size());
  if (prompt.empty()) {
    return absl::InvalidArgumentError("a prompt has at least one token");
  }
  if (length >= model.context()) {
    return absl::InvalidArgumentError(absl::StrCat(
        length, " tokens leave no room for another in a context of ",
        model.context(),
        " (model.context); longest that works: ", model.context() - 1));
  }
  return ops::CheckIds(ops::IdKind::kToken, prompt, Shape{length},
                       model.vocab());
}

absl::Status CheckArguments(const TextModel& model,
                            absl::Span<const std::vector<int32_t>> prompts,
                            const GenerateOptions& options) {
  EISBACH_RETURN_IF_ERROR(Validate(options.sampling));
  if (options.tokens < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokens=", options.tokens, " is below 0"));
  }
  for (int32_t stop : options.stops) {
    if (stop >= 0 && stop < model.vocab()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "stop=", stop, " is no token of a vocabulary of ", model.vocab()));
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string name =
        prompts.size() == 1 ? "prompt" : absl::StrCat("prompt ", i);
    EISBACH_RETURN_IF_ERROR(Annotate(CheckPrompt(model, prompts[i]), name));
  }
  return absl::OkStatus();
}

// A prompt whose text is not at its end.
struct Text {
  int64_t prompt;
  std::vector<int32_t> tokens;  // from the prompt's first on
  std::vector<float> logits;    // of the next one
};

class Generation {
 public:
  Generation(TextModel& model, const GenerateOptions& options,
             const TokenCallback& on_token)
      : model_(model), options_(options), on_token_(on_token) {}

  absl::StatusOr<std::vector<Continuation>> Run(
      absl::Span<const std::vector<int32_t>> prompts) {
    results_.resize(prompts.size());
    if (options_.tokens == 0) return std::move(results_);
    for (size_t i = 0; i < prompts.size(); ++i) {
      texts_.push_back({static_cast<int64_t>(i), prompts[i], {}});
    }
    EISBACH_RETURN_IF_ERROR(FeedPrompts());
    for (int64_t index = 0;; ++index) {
      EISBACH_RETURN_IF_ERROR(DrawAll(index));
      if (texts_.empty()) return std::move(results_);
      EISBACH_RETURN_IF_ERROR(FeedLast());
    }
  }

 private:
  // Feeds what the model has not seen, in passes of limited size.
  absl::Status FeedPrompts() {
    std::vector<int64_t> fed;
    for (const Text& text : texts_) {
      fed.push_back(model_.Keep(text.prompt, text.tokens));
    }
    size_t next = 0;
    while (next < texts_.size()) {
      std::vector<Piece> pieces;
      std::vector<Text*> owners;
      int64_t room = kPassTokens;
      for (size_t i = next; i < texts_.size() && room > 0; ++i) {
        const auto length = static_cast<int64_t>(texts_[i].tokens.size());
        const int64_t count = std::min(room, length - fed[i]);
        pieces.push_back(
            {texts_[i].prompt,
             absl::MakeConstSpan(texts_[i].tokens).subspan(fed[i], count)});
        owners.push_back(&texts_[i]);
        fed[i] += count;
        room -= count;
        if (fed[i] == length) next = i + 1;
      }
      EISBACH_RETURN_IF_ERROR(Feed(pieces, owners));
    }
    return absl::OkStatus();
  }

  absl::Status FeedLast() {
    std::vector<Piece> pieces;
    std::vector<Text*> owners;
    for (Text& text : texts_) {
      pieces.push_back({text.prompt, absl::MakeConstSpan(text.tokens).last(1)});
      owners.push_back(&text);
    }
    return Feed(pieces, owners);
  }

  absl::Status Feed(absl::Span<const Piece> pieces,
                    absl::Span<Text* const> owners) {
    EISBACH_ASSIGN_OR_RETURN(const std::vector<float> logits,
                             model_.Feed(pieces));
    const int64_t vocab = model_.vocab();
    for (size_t i = 0; i < owners.size(); ++i) {
      owners[i]->logits.assign(logits.begin() + i * vocab,
                               logits.begin() + (i + 1) * vocab);
    }
    return absl::OkStatus();
  }

  // The next token of each text; those that are at their end go away.
  absl::Status DrawAll(int64_t index) {
    std::vector<Text> going_on;
    for (Text& text : texts_) {
      EISBACH_ASSIGN_OR_RETURN(const bool more, DrawNext(text, index));
      if (more) going_on.push_back(std::move(text));
    }
    texts_ = std::move(going_on);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> DrawNext(Text& text, int64_t index) {
    Continuation& result = results_[text.prompt];
    Penalise(text.tokens, options_.sampling.repetition_penalty,
             absl::MakeSpan(text.logits));
    EISBACH_ASSIGN_OR_RETURN(
        const int32_t token,
        SampleToken(text.logits, options_.sampling,
                    {options_.first_prompt + text.prompt, index}));
    const auto end = [&](TextEnd why) {
      result.end = why;
      return false;
    };
    if (std::find(options_.stops.begin(), options_.stops.end(), token) !=
        options_.stops.end()) {
      return end(TextEnd::kStop);
    }
    text.tokens.push_back(token);
    result.tokens.push_back(token);
    if (on_token_ != nullptr) {
      EISBACH_ASSIGN_OR_RETURN(const bool wanted,
                               on_token_(text.prompt, token));
      if (!wanted) return end(TextEnd::kCaller);
    }
    if (static_cast<int64_t>(result.tokens.size()) == options_.tokens) {
      return end(TextEnd::kTokens);
    }
    if (static_cast<int64_t>(text.tokens.size()) == model_.context()) {
      return end(TextEnd::kContext);
    }
    return true;
  }

  TextModel& model_;
  const GenerateOptions& options_;
  const TokenCallback& on_token_;
  std::vector<Text> texts_;
  std::vector<Continuation> results_;
};

}  // namespace

absl::StatusOr<std::vector<Continuation>> Generate(
    TextModel& model, absl::Span<const std::vector<int32_t>> prompts,
    const GenerateOptions& options, const TokenCallback& on_token) {
  EISBACH_RETURN_IF_ERROR(CheckArguments(model, prompts, options));
  return Generation(model, options, on_token).Run(prompts);
}

}  // namespace eisbach::models
