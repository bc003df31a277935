#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/sampler.h"

namespace eisbach::models {

// Tokens that follow those which a slot has seen.
struct Piece {
  int64_t slot;
  absl::Span<const int32_t> tokens;  // at least one
};

// A model that remembers what it was given, for several texts at once: each has
// a slot, counted from 0.
class TextModel {
 public:
  virtual ~TextModel() = default;
  // Gives each piece to its slot; a slot has one piece. Returns the logits that
  // follow each piece's last token, f32 [pieces, vocab] in the host's memory.
  virtual absl::StatusOr<std::vector<float>> Feed(
      absl::Span<const Piece> pieces) = 0;
  // Forgets what slot `slot` has seen but for a common beginning with `text`,
  // short of its last token; returns the length of that beginning.
  virtual int64_t Keep(int64_t slot, absl::Span<const int32_t> text) = 0;
  // Tokens that a slot can hold.
  virtual int64_t context() const = 0;
  virtual int64_t vocab() const = 0;
};

struct GenerateOptions {
  int64_t tokens;              // to draw, at most, for each prompt
  std::vector<int32_t> stops;  // tokens that end a text; not returned
  int64_t first_prompt = 0;    // prompt i is sequence first_prompt + i
  SamplingOptions sampling;
};

// Why a text ends.
enum class TextEnd : uint8_t {
  kTokens,   // so many were asked for
  kStop,     // a token of `stops` was drawn
  kContext,  // the context is full
  kCaller,   // the caller wants no more
};

struct Continuation {
  std::vector<int32_t> tokens;
  TextEnd end = TextEnd::kTokens;
};

// Told each token as it is drawn; false ends that prompt's text. An error ends
// all.
using TokenCallback =
    std::function<absl::StatusOr<bool>(int64_t prompt, int32_t token)>;

// Continues each prompt. Prompt i is a sequence of the draws, and slot i of
// `model`, which keeps what it has seen of the text already. A prompt has at
// least one token and leaves room for one in the context; nothing slides out of
// it: a text ends where it is full. Each text is what it would be alone, but
// for the rounding of products whose shapes differ. `on_token` may be null.
//
// Ranks that divide the model, or hold it alike, make the same calls and get
// the same tokens, since they get the same logits.
absl::StatusOr<std::vector<Continuation>> Generate(
    TextModel& model, absl::Span<const std::vector<int32_t>> prompts,
    const GenerateOptions& options, const TokenCallback& on_token);

}  // namespace eisbach::models
