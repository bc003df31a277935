#include "device/machine.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace eisbach {
namespace {

namespace fs = std::filesystem;

// The first line of a file; empty when it cannot be read.
std::string LineOf(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return std::string(absl::StripAsciiWhitespace(line));
}

std::vector<fs::path> EntriesOf(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

struct FoundAdapter {
  NetworkAdapter adapter;
  fs::path device;  // its PCI device, links resolved
};

fs::path Resolved(const fs::path& link) {
  std::error_code error;
  const fs::path path = fs::canonical(link, error);
  return error ? fs::path() : path;
}

// "400 Gb/sec (4X NDR)": bits.
double GigabytesOfRate(const std::string& rate) {
  double gigabits = 0;
  const std::string first = rate.substr(0, rate.find(' '));
  return absl::SimpleAtod(first, &gigabits) ? gigabits / 8 : 0;
}

std::vector<FoundAdapter> FindInfiniBand(const std::string& sys) {
  std::vector<FoundAdapter> found;
  for (const fs::path& entry : EntriesOf(fs::path(sys) / "class/infiniband")) {
    double gigabytes = 0;
    for (const fs::path& port : EntriesOf(entry / "ports")) {
      // "4: ACTIVE"
      if (!absl::StrContains(LineOf(port / "state"), "ACTIVE")) continue;
      gigabytes += GigabytesOfRate(LineOf(port / "rate"));
    }
    found.push_back({{.name = entry.filename(), .gigabytes = gigabytes},
                     Resolved(entry / "device")});
  }
  return found;
}

std::vector<FoundAdapter> FindEthernet(const std::string& sys) {
  std::vector<FoundAdapter> found;
  for (const fs::path& entry : EntriesOf(fs::path(sys) / "class/net")) {
    const fs::path device = Resolved(entry / "device");
    if (device.empty() || LineOf(entry / "operstate") != "up") continue;
    double megabits = 0;
    if (!absl::SimpleAtod(LineOf(entry / "speed"), &megabits)) megabits = 0;
    found.push_back({{.name = entry.filename(),
                      .gigabytes = std::max(megabits, 0.0) / 8000},
                     device});
  }
  return found;
}

// How many PCIe bridges two devices have in common: names of folders such as
// 0000:1a:01.0 on the way from the root complex.
int SharedBridges(const fs::path& a, const fs::path& b) {
  int bridges = 0;
  auto x = a.begin(), y = b.begin();
  for (; x != a.end() && y != b.end() && *x == *y; ++x, ++y) {
    const std::string name = *x;
    bridges += std::count(name.begin(), name.end(), ':') == 2;
  }
  return bridges;
}

// Those of `all` for which `rank` is largest, when that is above 0.
template <typename F>
std::vector<FoundAdapter> Best(const std::vector<FoundAdapter>& all, F&& rank) {
  int most = 0;
  for (const FoundAdapter& one : all) most = std::max(most, rank(one));
  std::vector<FoundAdapter> best;
  for (const FoundAdapter& one : all) {
    if (most > 0 && rank(one) == most) best.push_back(one);
  }
  return best;
}

}  // namespace

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, "model name")) continue;
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.size() == 2) {
      return std::string(absl::StripAsciiWhitespace(parts[1]));
    }
  }
  return "";
}

std::string PciAddress(absl::string_view spelled) {
  std::string address = absl::AsciiStrToLower(spelled);
  while (address.find(':') > 4 && absl::StartsWith(address, "0")) {
    address.erase(0, 1);
  }
  return address;
}

int NumaNodeOf(const std::string& sys, absl::string_view pci) {
  int node = -1;
  const std::string line = LineOf(
      absl::StrCat(sys, "/bus/pci/devices/", PciAddress(pci), "/numa_node"));
  return absl::SimpleAtoi(line, &node) ? node : -1;
}

CoreSet CoresOfNode(const std::string& sys, int node) {
  return ParseCores(
      LineOf(absl::StrCat(sys, "/devices/system/node/node", node, "/cpulist")));
}

CoreSet ParseCores(absl::string_view list) {
  CoreSet cores;
  for (absl::string_view range : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    const std::vector<absl::string_view> ends = absl::StrSplit(range, '-');
    size_t first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last)) {
      continue;
    }
    for (; first <= last && first < cores.size(); ++first) cores.set(first);
  }
  return cores;
}

std::string CoresText(const CoreSet& cores) {
  std::vector<std::string> ranges;
  for (size_t first = 0; first < cores.size(); ++first) {
    if (!cores[first]) continue;
    size_t last = first;
    while (last + 1 < cores.size() && cores[last + 1]) ++last;
    ranges.push_back(last == first ? absl::StrCat(first)
                                   : absl::StrCat(first, "-", last));
    first = last;
  }
  return absl::StrJoin(ranges, ",");
}

std::vector<NetworkAdapter> AdaptersNear(const std::string& sys,
                                         absl::string_view pci) {
  std::vector<FoundAdapter> all = FindInfiniBand(sys);
  if (all.empty()) all = FindEthernet(sys);
  if (!pci.empty()) {
    const fs::path mine =
        Resolved(absl::StrCat(sys, "/bus/pci/devices/", PciAddress(pci)));
    const int node = NumaNodeOf(sys, pci);
    std::vector<FoundAdapter> near = Best(all, [&](const FoundAdapter& one) {
      return SharedBridges(mine, one.device);
    });
    if (near.empty() && node >= 0) {
      near = Best(all, [&](const FoundAdapter& one) {
        return LineOf(one.device / "numa_node") == absl::StrCat(node) ? 1 : 0;
      });
    }
    if (!near.empty()) all = std::move(near);
  }
  std::vector<NetworkAdapter> adapters;
  for (FoundAdapter& one : all) adapters.push_back(std::move(one.adapter));
  return adapters;
}

bool BindToNode(const std::string& sys, int node) {
  if (node < 0) return false;
  const CoreSet mine = UsableCores();
  const CoreSet near = mine & CoresOfNode(sys, node);
  return near.any() && near != mine && UseCores(near);
}

}  // namespace eisbach
