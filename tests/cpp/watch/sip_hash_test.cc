#include "watch/sip_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace eisbach::watch::sip_hash_test {
namespace {

// The key and the message of the paper's appendix A, and its result.
TEST(SipHash, IsThatOfThePaper) {
  const SipKey key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  std::string message;
  for (char c = 0; c < 15; ++c) message += c;
  EXPECT_EQ(SipHash(key, message), 0xa129ca6149be45e5u);
}

TEST(SipHash, DependsOnTheKeyTheBytesAndTheirNumber) {
  const SipKey key = {1, 2};
  EXPECT_NE(SipHash(key, "abc"), SipHash({1, 3}, "abc"));
  EXPECT_NE(SipHash(key, "abc"), SipHash(key, "abx"));
  EXPECT_NE(SipHash(key, std::string(8, '\0')),
            SipHash(key, std::string(9, '\0')));
}

}  // namespace
}  // namespace eisbach::watch::sip_hash_test
