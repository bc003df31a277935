// Runs a target on the files of a folder without libFuzzer, so that every
// compiler builds it and every test run sees the seeds: each as it is, cut off
// after each byte, and with a bit of each byte flipped.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/fuzzing.h"

namespace {

// Of one input; what is longer is run as it is alone.
constexpr size_t kMostChanged = 2048;

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()),
                         input.size());
}

}  // namespace

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  if (argc != 2 || !fs::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(argv[1])) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  size_t runs = 0;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::string input{std::istreambuf_iterator<char>(file), {}};
    std::fprintf(stderr, "%s\n", path.filename().c_str());
    Run(input);
    ++runs;
    if (input.size() > kMostChanged) continue;
    for (size_t at = 0; at < input.size(); ++at) {
      Run(input.substr(0, at));
      std::string changed = input;
      changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
      Run(changed);
      runs += 2;
    }
  }
  std::printf("%zu seeds, %zu inputs\n", paths.size(), runs);
  return paths.empty() ? 1 : 0;
}
