#include "probes/models/hub_cache.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "engine/core/error.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;

/// Empty where the variable is not set. A "~" at its beginning is the home folder.
fs::path folder_in(const char* variable) {
  const char* value = std::getenv(variable);
  const std::string text = value == nullptr ? "" : value;
  const char* home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/"))) return home + text.substr(1);
  return text;
}

fs::path hub_cache() {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const fs::path cache = folder_in(variable); !cache.empty()) return cache;
  }
  if (const fs::path home = folder_in("HF_HOME"); !home.empty()) return home / "hub";
  fs::path caches = folder_in("XDG_CACHE_HOME");
  if (caches.empty()) caches = folder_in("HOME") / ".cache";
  return caches / "huggingface" / "hub";
}

bool is_word(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !text.empty() && text.find_first_not_of(kAllowed) == text.npos &&
         text.find_first_not_of('.') != text.npos;
}

/// Words with slashes between them: nothing that leaves a folder.
bool is_path_of_words(std::string_view text) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    if (!is_word(text.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

bool is_hub_name(const std::string& text) {
  return is_path_of_words(text) && text.find("--") == text.npos &&
         std::ranges::count(text, '/') == 1;
}

namespace {

/// A model's name and the revision asked for, which may be empty.
struct HubModel {
  std::string name;
  std::string revision;
};

HubModel parse(const std::string& text) {
  const std::size_t at = std::min(text.find('@'), text.size());
  HubModel model{text.substr(0, at), at < text.size() ? text.substr(at + 1) : ""};
  const bool named = is_hub_name(model.name) || is_hub_name("org/" + model.name);
  if (!named || (at < text.size() && !is_path_of_words(model.revision))) {
    throw UsageError("`model` \"hub:" + text +
                     "\": expected hub:ORG/NAME or hub:ORG/NAME@REVISION");
  }
  return model;
}

/// models--ORG--NAME
std::string folder_of(const std::string& name) {
  const std::size_t slash = name.find('/');
  return "models--" +
         (slash == name.npos ? name : name.substr(0, slash) + "--" + name.substr(slash + 1));
}

/// The commit that a branch or tag stood for; empty where the cache does not know it.
std::string commit_of(const fs::path& repository, const std::string& reference) {
  std::ifstream file(repository / "refs" / reference);
  std::string commit;
  file >> commit;
  return is_word(commit) ? commit : "";
}

std::vector<std::string> snapshots_in(const fs::path& repository) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(repository / "snapshots", error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

}  // namespace

fs::path find_in_hub_cache(const std::string& text) {
  const HubModel model = parse(text);
  const fs::path repository = hub_cache() / folder_of(model.name);
  const std::vector<std::string> snapshots = snapshots_in(repository);
  const std::string fetch =
      "hf download " + model.name + (model.revision.empty() ? "" : " --revision " + model.revision);
  if (snapshots.empty()) {
    throw Error("hub:" + text + ": no snapshot in " + repository.string() + "; fetch it with '" +
                fetch + "', or set HF_HOME or HF_HUB_CACHE to the cache " + "that has it");
  }
  std::string commit = commit_of(repository, model.revision.empty() ? "main" : model.revision);
  if (commit.empty()) commit = model.revision;
  if (commit.empty() && snapshots.size() == 1) commit = snapshots.front();
  if (commit.empty()) {
    throw Error("hub:" + text + ": " + repository.string() +
                " has no main and several snapshots; name one, as in hub:" + model.name + "@" +
                snapshots.front() + ": " + listed(snapshots));
  }
  if (!std::ranges::binary_search(snapshots, commit)) {
    throw Error("hub:" + text + ": no snapshot " + commit + " in " + repository.string() +
                "; fetch it with '" + fetch + "', or name one that is there: " + listed(snapshots));
  }
  return repository / "snapshots" / commit;
}

}  // namespace longshadow
