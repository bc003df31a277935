#include "watch/side_channel.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace eisbach::watch {
namespace {

// What is read in a row without a message that counts.
constexpr int kTries = 64;

struct Header {
  uint64_t tag;  // of all that follows
  uint64_t nonce;
  char kind;
  char unused[7];
};

struct HostAddress {
  std::string text;
  int family;
  bool loopback;
};

// Of the interfaces that are up; those of a link alone need a name beside them
// and are left out.
std::vector<HostAddress> AddressesOf(absl::string_view interface) {
  std::vector<HostAddress> found;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return found;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    if (!interface.empty() && interface != one->ifa_name) continue;
    const int family = one->ifa_addr->sa_family;
    const void* bytes = nullptr;
    if (family == AF_INET) {
      bytes = &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr;
    } else if (family == AF_INET6) {
      const in6_addr& ip =
          reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr;
      if (IN6_IS_ADDR_LINKLOCAL(&ip)) continue;
      bytes = &ip;
    } else {
      continue;
    }
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(family, bytes, text, sizeof(text));
    found.push_back({text, family, (one->ifa_flags & IFF_LOOPBACK) != 0});
  }
  freeifaddrs(all);
  if (std::any_of(found.begin(), found.end(),
                  [](const HostAddress& a) { return !a.loopback; })) {
    std::erase_if(found, [](const HostAddress& a) { return a.loopback; });
  }
  return found;
}

// `family` is the socket's: of AF_INET6 it reaches both.
bool Resolve(const std::string& ip, int port, int family,
             sockaddr_storage* storage, socklen_t* bytes) {
  std::memset(storage, 0, sizeof(*storage));
  if (family == AF_INET) {
    auto* to = reinterpret_cast<sockaddr_in*>(storage);
    to->sin_family = AF_INET;
    to->sin_port = htons(static_cast<uint16_t>(port));
    *bytes = sizeof(*to);
    return inet_pton(AF_INET, ip.c_str(), &to->sin_addr) == 1;
  }
  auto* to = reinterpret_cast<sockaddr_in6*>(storage);
  to->sin6_family = AF_INET6;
  to->sin6_port = htons(static_cast<uint16_t>(port));
  *bytes = sizeof(*to);
  const std::string mapped =
      ip.find(':') == std::string::npos ? absl::StrCat("::ffff:", ip) : ip;
  return inet_pton(AF_INET6, mapped.c_str(), &to->sin6_addr) == 1;
}

int PortOf(int fd) {
  sockaddr_storage bound;
  socklen_t bytes = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bytes) != 0) {
    return 0;
  }
  return ntohs(bound.ss_family == AF_INET
                   ? reinterpret_cast<sockaddr_in*>(&bound)->sin_port
                   : reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SideChannel>> SideChannel::Open(
    absl::string_view interface, const SipKey& key) {
  std::vector<HostAddress> addresses = AddressesOf(interface);
  if (addresses.empty()) {
    return absl::UnavailableError(
        absl::StrCat("the watch for hangs finds no address of this host",
                     interface.empty() ? "" : absl::StrCat(" on ", interface),
                     " (fault.hang_seconds=0 does without)"));
  }
  // A named interface is listened on by its first address alone.
  int family = interface.empty() ? AF_INET6 : addresses[0].family;
  constexpr int kType = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  int fd = socket(family, kType, 0);
  if (fd < 0 && interface.empty()) {  // a system without IPv6
    family = AF_INET;
    fd = socket(family, kType, 0);
  }
  if (fd >= 0 && family == AF_INET6 && interface.empty()) {
    const int no = 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  sockaddr_storage own;
  socklen_t bytes = 0;
  const std::string ip = !interface.empty()   ? addresses[0].text
                         : family == AF_INET6 ? "::"
                                              : "0.0.0.0";
  if (fd < 0 || !Resolve(ip, 0, family, &own, &bytes) ||
      bind(fd, reinterpret_cast<sockaddr*>(&own), bytes) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return absl::UnavailableError(absl::StrCat(
        "the watch for hangs cannot listen on ", ip, ": ", std::strerror(error),
        " (fault.hang_seconds=0 does without)"));
  }
  if (!interface.empty()) addresses.resize(1);
  std::unique_ptr<SideChannel> channel(new SideChannel(fd, family, key));
  const int port = PortOf(fd);
  for (const HostAddress& one : addresses) {
    if (family == AF_INET && one.family == AF_INET6) continue;
    channel->addresses_.push_back(absl::StrCat(one.text, " ", port));
  }
  return channel;
}

SideChannel::~SideChannel() { close(fd_); }

std::string SideChannel::Sealed(const Message& message) const {
  Header header = {
      .tag = 0, .nonce = message.nonce, .kind = message.kind, .unused = {}};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += message.body;
  header.tag =
      SipHash(key_, absl::string_view(bytes).substr(sizeof(header.tag)));
  std::memcpy(bytes.data(), &header.tag, sizeof(header.tag));
  return bytes;
}

void SideChannel::Send(const std::string& address, const Message& message) {
  const std::vector<std::string> parts = absl::StrSplit(address, ' ');
  int port = 0;
  Received to;
  if (parts.size() == 2 && absl::SimpleAtoi(parts[1], &port) &&
      Resolve(parts[0], port, family_, &to.from, &to.from_bytes)) {
    Reply(to, message);
  }
}

void SideChannel::Reply(const Received& to, const Message& message) {
  if (message.body.size() > kMostBytes) return;
  const std::string bytes = Sealed(message);
  sendto(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&to.from), to.from_bytes);
}

std::optional<SideChannel::Received> SideChannel::Receive() {
  std::string bytes(sizeof(Header) + kMostBytes, '\0');
  for (int tries = 0; tries < kTries; ++tries) {
    Received received;
    received.from_bytes = sizeof(received.from);
    const ssize_t n = recvfrom(fd_, bytes.data(), bytes.size(), 0,
                               reinterpret_cast<sockaddr*>(&received.from),
                               &received.from_bytes);
    // What the network says of an earlier message (ECONNREFUSED) is no end.
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return std::nullopt;
    }
    if (n < static_cast<ssize_t>(sizeof(Header))) continue;
    Header header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    const absl::string_view told(bytes.data(), n);
    if (SipHash(key_, told.substr(sizeof(header.tag))) != header.tag) continue;
    received.message = {.kind = header.kind,
                        .nonce = header.nonce,
                        .body = std::string(told.substr(sizeof(header)))};
    return received;
  }
  return std::nullopt;
}

}  // namespace eisbach::watch
