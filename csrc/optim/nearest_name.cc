#include "optim/nearest_name.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"

namespace eisbach::optim {
namespace {

bool Fits(char pattern, char name) {
  return pattern == name || pattern == '?' ||
         (name == '*' && absl::ascii_isdigit(pattern));
}

// Wagner and Fischer 1974, where * takes any number of letters for nothing.
int Changes(absl::string_view pattern, absl::string_view name) {
  std::vector<int> before(name.size() + 1), row(name.size() + 1);
  for (size_t j = 0; j <= name.size(); ++j) before[j] = static_cast<int>(j);
  for (char p : pattern) {
    const bool any = p == '*';
    row[0] = before[0] + (any ? 0 : 1);
    for (size_t j = 1; j <= name.size(); ++j) {
      const int cost = any ? 0 : 1;
      const int changed = before[j - 1] + (Fits(p, name[j - 1]) ? 0 : 1);
      row[j] = std::min({before[j] + cost, row[j - 1] + cost, changed});
    }
    std::swap(before, row);
  }
  return before.back();
}

}  // namespace

const std::string& NearestName(absl::string_view pattern,
                               absl::Span<const std::string> names) {
  return *std::min_element(names.begin(), names.end(),
                           [&](const std::string& a, const std::string& b) {
                             return Changes(pattern, a) < Changes(pattern, b);
                           });
}

}  // namespace eisbach::optim
