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

absl::StatusOr<bool> AreSeparate(Documents documents,
                                 absl::Span<const TokenFile> files) {
  if (documents != Documents::kAuto) return documents != Documents::kJoined;
  const TokenFile* masked = nullptr;
  const TokenFile* plain = nullptr;
  for (const TokenFile& file : files) {
    (file.masked() ? masked : plain) = &file;
  }
  if (masked != nullptr && plain != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        masked->prefix(), " has a mask of what is trained, ", plain->prefix(),
        " has none, so that the documents of one would be separate and those "
        "of the other joined: say data.documents=separate, or joined"));
  }
  return masked != nullptr;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Corpus>> Corpus::Open(CorpusOptions options) {
  if (options.context < 1 || options.context >= int64_t{1} << 31) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.context=", options.context,
                     options.context < 1 ? " must be at least 1"
                                         : " must be less than 2^31"));
  }
  std::vector<TokenFile> files;
  for (const SourceOptions& source : options.sources) {
    EISBACH_ASSIGN_OR_RETURN(TokenFile file, TokenFile::Open(source.prefix));
    files.push_back(std::move(file));
  }
  EISBACH_RETURN_IF_ERROR(CheckApart(options.sources));
  EISBACH_ASSIGN_OR_RETURN(const bool separate,
                           AreSeparate(options.documents, files));
  const SampleOrder order = options.order;
  const uint64_t seed = options.seed;
  std::unique_ptr<Corpus> corpus(
      new Corpus(std::move(options), separate, std::move(files)));
  std::vector<SourceSize> sizes;
  for (size_t i = 0; i < corpus->files_.size(); ++i) {
    EISBACH_ASSIGN_OR_RETURN(const int64_t samples,
                             corpus->MakeRows(static_cast<int>(i)));
    sizes.push_back({samples, corpus->options_.sources[i].weight});
  }
  EISBACH_ASSIGN_OR_RETURN(corpus->sampler_, Sampler::Make(sizes, seed, order));
  return corpus;
}

Corpus::Corpus(CorpusOptions options, bool separate,
               std::vector<TokenFile> files)
    : options_(std::move(options)),
      separate_(separate),
      files_(std::move(files)),
      orders_(files_.size()) {}

absl::StatusOr<int64_t> Corpus::MakeRows(int source) {
  const TokenFile& file = files_[source];
  if (options_.documents == Documents::kPairs) {
    EISBACH_ASSIGN_OR_RETURN(PairRows pairs,
                             PairRows::Make(file, options_.context));
    pairs_.push_back(std::move(pairs));
    return pairs_.back().rows();
  }
  if (separate_) {
    EISBACH_ASSIGN_OR_RETURN(RowPacking packing,
                             RowPacking::Make(file, options_.context));
    packings_.push_back(std::move(packing));
    return packings_.back().rows();
  }
  if (file.tokens() >= options_.context + 1) {
    return (file.tokens() - 1) / options_.context;
  }
  std::string why = absl::StrCat(
      file.prefix(), " holds ", file.tokens(),
      " tokens, fewer than one sample of model.context=", options_.context,
      " and the token after it");
  if (file.tokens() >= 2) {
    absl::StrAppend(&why,
                    "; nearest that works: model.context=", file.tokens() - 1);
  }
  return absl::InvalidArgumentError(why);
}

int64_t Corpus::tokens() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += file.tokens();
  return total;
}

int64_t Corpus::trained() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += file.trained();
  return total;
}

int64_t Corpus::SplitDocuments() const {
  int64_t total = 0;
  for (const RowPacking& packing : packings_) {
    total += packing.split_documents();
  }
  return total;
}

int64_t Corpus::LeftOutPairs() const {
  int64_t total = 0;
  for (const PairRows& pairs : pairs_) {
    total += pairs.too_long() + pairs.untrained();
  }
  return total;
}

int64_t Corpus::EpochSamples() const {
  int64_t total = 0;
  for (size_t i = 0; i < files_.size(); ++i) {
    total += SourceSamples(static_cast<int>(i));
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
                  files_[source], sampler_->DocumentKey(source, epoch))});
  return cached.front().order;
}

absl::Status Corpus::ReadJoined(const SamplePlace& place,
                                const SampleSpans& out) const {
  std::vector<int32_t> tokens(options_.context + 1);
  std::vector<uint8_t> mask(options_.context + 1);
  EISBACH_RETURN_IF_ERROR(Order(place.source, place.epoch)
                              ->Read(place.index * options_.context,
                                     options_.vocab, absl::MakeSpan(tokens),
                                     absl::MakeSpan(mask)));
  for (int64_t t = 0; t < options_.context; ++t) {
    out.tokens[t] = tokens[t];
    out.targets[t] = mask[t + 1] != 0 ? tokens[t + 1] : -1;
  }
  return absl::OkStatus();
}

absl::Status Corpus::SetReference(PairReference reference) {
  bool fits = reference.size() == pairs_.size();
  for (size_t i = 0; fits && i < pairs_.size(); ++i) {
    fits = reference[i].size() ==
           static_cast<size_t>(pairs_[i].rows() * kPairNumbers);
  }
  if (!fits) {
    return absl::InvalidArgumentError(
        "the reference was measured on other pairs than those of data.train");
  }
  reference_ = std::move(reference);
  return absl::OkStatus();
}

absl::Status Corpus::ReadPair(int source, int64_t row,
                              const SampleSpans& out) const {
  EISBACH_RETURN_IF_ERROR(pairs_[source].Read(row, options_.vocab, out.tokens,
                                              out.targets, out.starts));
  return files_[source].CheckWhole();
}

absl::Status Corpus::ReadRow(const SamplePlace& place,
                             const SampleSpans& out) const {
  if (!pairs_.empty()) {
    if (!out.reference.empty()) {
      std::copy_n(reference_[place.source].begin() + place.index * kPairNumbers,
                  kPairNumbers, out.reference.begin());
    }
    return pairs_[place.source].Read(place.index, options_.vocab, out.tokens,
                                     out.targets, out.starts);
  }
  if (!separate_) return ReadJoined(place, out);
  return packings_[place.source].Read(place.index, options_.vocab, out.tokens,
                                      out.targets, out.starts);
}

absl::Status Corpus::Read(int64_t sample, const SampleSpans& out) const {
  EISBACH_CHECK(sample >= 0);
  const size_t context = static_cast<size_t>(options_.context);
  EISBACH_CHECK(out.tokens.size() == context && out.targets.size() == context);
  EISBACH_CHECK(out.starts.size() == (separate_ ? context : 0));
  EISBACH_CHECK(out.reference.size() ==
                (reference_.empty() ? 0u : size_t{kPairNumbers}));
  const SamplePlace place = (*sampler_)(sample);
  EISBACH_RETURN_IF_ERROR(ReadRow(place, out));
  return files_[place.source].CheckWhole();
}

absl::Status Corpus::CheckVocab() const {
  for (const TokenFile& file : files_) {
    EISBACH_RETURN_IF_ERROR(file.CheckVocab(options_.vocab));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::data
