#include "data/corpus.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"

namespace eisbach::data {
namespace {

constexpr size_t kCachedOrders = 2;

// A file under two names (./, links) would have the weight of both.
absl::Status CheckApart(absl::Span<const SourceOptions> sources) {
  for (size_t b = 1; b < sources.size(); ++b) {
    for (size_t a = 0; a < b; ++a) {
      std::error_code error;  // a file that is gone is another's to tell
      if (!std::filesystem::equivalent(absl::StrCat(sources[a].prefix, ".bin"),
                                       absl::StrCat(sources[b].prefix, ".bin"),
                                       error)) {
        continue;
      }
      return absl::InvalidArgumentError(absl::StrCat(
          "the sources ", sources[a].prefix, " and ", sources[b].prefix,
          " are one file; name it once, with the weight ",
          sources[a].weight + sources[b].weight, " (data.train)"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Corpus>> Corpus::Open(CorpusOptions options) {
  std::vector<TokenFile> files;
  std::vector<SourceSize> sizes;
  std::vector<std::string> names;
  for (const SourceOptions& source : options.sources) {
    EISBACH_ASSIGN_OR_RETURN(TokenFile file, TokenFile::Open(source.prefix));
    sizes.push_back({file.tokens(), source.weight});
    names.push_back(source.prefix);
    files.push_back(std::move(file));
  }
  EISBACH_RETURN_IF_ERROR(CheckApart(options.sources));
  EISBACH_ASSIGN_OR_RETURN(Sampler sampler,
                           Sampler::Make(sizes, names, options.context,
                                         options.seed, options.order));
  return std::unique_ptr<Corpus>(
      new Corpus(std::move(options), std::move(files), std::move(sampler)));
}

Corpus::Corpus(CorpusOptions options, std::vector<TokenFile> files,
               Sampler sampler)
    : options_(std::move(options)),
      files_(std::move(files)),
      sampler_(std::move(sampler)),
      orders_(files_.size()) {}

int64_t Corpus::tokens() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += file.tokens();
  return total;
}

int64_t Corpus::EpochSamples() const {
  int64_t total = 0;
  for (size_t i = 0; i < files_.size(); ++i) {
    total += sampler_.EpochSamples(static_cast<int>(i));
  }
  return total;
}

std::shared_ptr<const DocumentOrder> Corpus::Order(int source,
                                                   int64_t epoch) const {
  std::lock_guard lock(mutex_);
  std::deque<CachedOrder>& cached = orders_[source];
  const auto found =
      std::find_if(cached.begin(), cached.end(),
                   [epoch](const CachedOrder& c) { return c.epoch == epoch; });
  if (found != cached.end()) return found->order;
  if (cached.size() == kCachedOrders) cached.pop_back();
  cached.push_front(
      {epoch, std::make_shared<DocumentOrder>(
                  files_[source], sampler_.DocumentKey(source, epoch))});
  return cached.front().order;
}

absl::Status Corpus::Read(int64_t sample, absl::Span<int32_t> tokens) const {
  EISBACH_CHECK(sample >= 0);
  EISBACH_CHECK(static_cast<int64_t>(tokens.size()) == options_.context + 1);
  const SamplePlace place = sampler_(sample);
  EISBACH_RETURN_IF_ERROR(Order(place.source, place.epoch)
                              ->Read(place.begin, options_.vocab, tokens));
  return files_[place.source].CheckWhole();
}

absl::Status Corpus::CheckVocab() const {
  for (const TokenFile& file : files_) {
    EISBACH_RETURN_IF_ERROR(file.CheckVocab(options_.vocab));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::data
