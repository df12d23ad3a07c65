#pragma once

#include <filesystem>
#include <string>

namespace longshadow {

/// Whether the text is ORG/NAME, as models are called there.
bool is_hub_name(const std::string& text);

/// The snapshot of a model in Hugging Face's cache: what "hub:ORG/NAME" or "hub:ORG/NAME@REVISION"
/// stands for, given without "hub:". A revision is a branch or tag as it was when the cache fetched
/// it, or a commit; without one it is main, or the only one there is. The cache lies where
/// huggingface_hub has it: $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub,
/// $XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub. Nothing is fetched. Throws
/// UsageError for what is no model's name, and Error saying where it looked and what to do.
std::filesystem::path find_in_hub_cache(const std::string& model);

}  // namespace longshadow
