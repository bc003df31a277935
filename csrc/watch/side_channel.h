#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "watch/sip_hash.h"

namespace eisbach::watch {

// Datagrams between the watches of several hosts, on a socket of their own that
// no training data takes. Each carries a tag (SipHash) of the job's key; others
// are dropped unread. They may be lost: who asks asks again.
class SideChannel {
 public:
  struct Message {
    char kind = 0;
    uint64_t nonce = 0;  // of a question, and of its answers
    std::string body;    // up to kMostBytes; longer ones are not sent
  };
  struct Received {
    Message message;
    sockaddr_storage from;
    socklen_t from_bytes;
  };
  static constexpr size_t kMostBytes = 60000;

  // Listens on a port that the system chooses: on the addresses of `interface`,
  // or on all where that is empty. Unavailable when it cannot.
  static absl::StatusOr<std::unique_ptr<SideChannel>> Open(
      absl::string_view interface, const SipKey& key);
  ~SideChannel();
  SideChannel(const SideChannel&) = delete;
  SideChannel& operator=(const SideChannel&) = delete;

  int fd() const { return fd_; }
  // Where others reach this one: "192.0.2.1 4711". Loopback only where the host
  // has nothing else.
  const std::vector<std::string>& addresses() const { return addresses_; }

  void Send(const std::string& address, const Message& message);
  void Reply(const Received& to, const Message& message);
  // The next message that has come; nothing when none has. Does not block.
  std::optional<Received> Receive();

 private:
  SideChannel(int fd, int family, const SipKey& key)
      : fd_(fd), family_(family), key_(key) {}
  std::string Sealed(const Message& message) const;

  const int fd_;
  const int family_;
  const SipKey key_;
  std::vector<std::string> addresses_;
};

}  // namespace eisbach::watch
