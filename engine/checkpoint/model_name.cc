#include "engine/checkpoint/model_name.h"

#include <string_view>
#include <system_error>

namespace longshadow {
namespace {

namespace fs = std::filesystem;

/// Absolute, and without a slash at the end.
fs::path whole(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

/// Empty where the path is no snapshot's.
std::string name_in_cache(const fs::path& snapshot) {
  constexpr std::string_view kModels = "models--";
  const fs::path snapshots = snapshot.parent_path();
  std::string repository = snapshots.parent_path().filename().string();
  if (snapshots.filename() != "snapshots" || !repository.starts_with(kModels)) return "";
  repository.erase(0, kModels.size());
  const std::size_t slash = repository.find("--");
  return slash == repository.npos ? repository : repository.replace(slash, 2, "/");
}

}  // namespace

std::string model_name(const fs::path& folder) {
  const fs::path path = whole(folder);
  std::string name = name_in_cache(path);
  std::error_code error;
  if (name.empty()) name = name_in_cache(fs::canonical(path, error));
  return name.empty() ? path.filename().string() : name;
}

}  // namespace longshadow
