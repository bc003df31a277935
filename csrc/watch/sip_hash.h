#pragma once

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace eisbach::watch {

using SipKey = std::array<uint64_t, 2>;

// SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): a
// tag that only those who know the key can make.
uint64_t SipHash(const SipKey& key, absl::string_view bytes);

}  // namespace eisbach::watch
