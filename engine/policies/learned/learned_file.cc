#include "engine/policies/learned/learned_file.h"

#include "engine/core/error.h"
#include "engine/io/json.h"

namespace longshadow {

void check_learned_file(const nlohmann::json& file, std::string_view format, std::string_view what,
                        const PolicyModel& model, const std::string& source) {
  const std::string command = "`longshadow learn " + std::string(what) + "`";
  const auto found = json_at<std::string>(file, "format", source);
  const auto version = json_at<std::uint64_t>(file, "format_version", source);
  if (found != format || version != 1) {
    throw Error(source + ": expected a file of " + command + ", format version 1, found format \"" +
                found + "\", version " + std::to_string(version));
  }
  const auto digest = json_at<std::string>(json_object_at(file, "model", source), "weights_sha256",
                                           source + ": model");
  if (digest != model.weights_sha256()) {
    throw Error(source + ": expected " + std::string(what) +
                " learnt for this model's weights (SHA-256 " +
                model.weights_sha256().substr(0, 16) + "...), found those of another (" +
                digest.substr(0, 16) + "...); learn again with " + command);
  }
  const auto n_layers = json_at<std::uint64_t>(file, "layers", source);
  const auto n_kv_heads = json_at<std::uint64_t>(file, "kv_heads", source);
  if (n_layers != model.n_layers || n_kv_heads != model.n_kv_heads) {
    throw Error(source + ": expected " + std::to_string(model.n_layers) + " layers of " +
                std::to_string(model.n_kv_heads) + " KV heads, found " + std::to_string(n_layers) +
                " of " + std::to_string(n_kv_heads));
  }
}

void check_length(const nlohmann::json& list, std::size_t length, const std::string& where) {
  if (list.is_array() && list.size() == length) return;
  throw Error(where + ": expected a list of " + std::to_string(length) + ", found " +
              (list.is_array() ? "one of " + std::to_string(list.size()) : "something else"));
}

}  // namespace longshadow
