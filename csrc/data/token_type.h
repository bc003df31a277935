#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace eisbach::data {

// How a token file stores a token id. The values are the codes of Megatron's
// .idx format; its float codes 6 and 7 cannot hold token ids.
enum class TokenType : uint8_t {
  kU8 = 1,
  kI8 = 2,
  kI16 = 3,
  kI32 = 4,
  kI64 = 5,
  kU16 = 8,
};

constexpr std::optional<TokenType> TokenTypeFromCode(uint8_t code) {
  const bool known = (code >= 1 && code <= 5) || code == 8;
  if (!known) return std::nullopt;
  return static_cast<TokenType>(code);
}

// Calls `f(T{})` with the type that stores a token.
template <typename F>
constexpr decltype(auto) DispatchTokenType(TokenType type, F&& f) {
  switch (type) {
    case TokenType::kU8:
      return f(uint8_t{});
    case TokenType::kI8:
      return f(int8_t{});
    case TokenType::kI16:
      return f(int16_t{});
    case TokenType::kU16:
      return f(uint16_t{});
    case TokenType::kI64:
      return f(int64_t{});
    case TokenType::kI32:
      break;
  }
  return f(int32_t{});
}

constexpr size_t SizeOf(TokenType type) {
  return DispatchTokenType(type, [](auto token) { return sizeof(token); });
}

constexpr absl::string_view Name(TokenType type) {
  switch (type) {
    case TokenType::kU8:
      return "u8";
    case TokenType::kI8:
      return "i8";
    case TokenType::kI16:
      return "i16";
    case TokenType::kI32:
      return "i32";
    case TokenType::kI64:
      return "i64";
    case TokenType::kU16:
      return "u16";
  }
  return "?";
}

// The smallest type that holds the ids [0, vocab).
constexpr TokenType TokenTypeFor(int64_t vocab) {
  if (vocab <= 256) return TokenType::kU8;
  return vocab <= 65536 ? TokenType::kU16 : TokenType::kI32;
}

}  // namespace eisbach::data
