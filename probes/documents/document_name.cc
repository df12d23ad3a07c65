#include "probes/documents/document_name.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "engine/core/error.h"
#include "engine/text/utf8.h"
#include "probes/documents/document_source.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFolders = 64;

/// "63" of /dev/fd/63, which a shell's <(...) gives; empty for a file's path.
std::string descriptor_of(const std::string& path) {
  if (path == kStandardInput || path == "/dev/stdin") return "0";
  for (const std::string folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (path.starts_with(folder)) return path.substr(folder.size());
  }
  return "";
}

/// The name with some of the folders that the file lies in.
std::string name_of(const std::string& path, std::size_t n_folders) {
  // Every byte of a name becomes four at most ("\x0a"), and file systems end names at 255.
  constexpr std::size_t kLongestPart = 4 * 255;
  if (const std::string descriptor = descriptor_of(path); !descriptor.empty()) {
    return descriptor == "0" ? "stdin" : printable("fd" + descriptor, kLongestPart);
  }
  fs::path rest = fs::absolute(path).lexically_normal();
  std::string name = printable(rest.filename().string(), kLongestPart);
  for (std::size_t i = 0; i < n_folders; ++i) {
    rest = rest.parent_path();
    if (!rest.has_filename()) break;
    name.insert(0, printable(rest.filename().string(), kLongestPart) + "+");
  }
  return name;
}

void check_given_once(std::span<const std::string> paths) {
  std::map<std::pair<dev_t, ino_t>, std::string> seen;
  for (const std::string& path : paths) {
    struct stat status {};
    const bool is_there = path == kStandardInput ? ::fstat(STDIN_FILENO, &status) == 0
                                                 : ::stat(path.c_str(), &status) == 0;
    if (!is_there) continue;  // who reads it will say so
    const auto [entry, is_new] = seen.try_emplace({status.st_dev, status.st_ino}, path);
    if (!is_new) {
      throw UsageError(
          "`document`: expected every document once, found " + entry->second +
          (path == entry->second ? " twice" : " and " + path + ", which are one file"));
    }
  }
}

}  // namespace

std::vector<std::string> document_names(std::span<const std::string> paths) {
  check_given_once(paths);
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < paths.size(); ++i) groups[name_of(paths[i], 0)].push_back(i);
  std::vector<std::string> names(paths.size());
  std::set<std::string> taken;
  for (const auto& group : groups) {
    const std::vector<std::size_t>& members = group.second;
    for (std::size_t n_folders = members.size() == 1 ? 0 : 1;; ++n_folders) {
      std::set<std::string> apart;
      for (const std::size_t i : members) apart.insert(names[i] = name_of(paths[i], n_folders));
      const bool is_free = std::none_of(apart.begin(), apart.end(), [&](const std::string& one) {
        return taken.contains(one) || (one != group.first && groups.contains(one));
      });
      if (apart.size() == members.size() && is_free) {
        taken.merge(apart);
        break;
      }
      if (n_folders == kMostFolders) {
        throw UsageError("`document`: expected documents whose paths give different names, found " +
                         paths[members.front()] + " and others of the name " + group.first);
      }
    }
  }
  return names;
}

}  // namespace longshadow
