#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

namespace longshadow {

/// Throws FormatError unless publish() could create `path` now: its folder exists and can be
/// written, and nothing has that name. For a command to call before hours of work.
void check_output(const std::filesystem::path& path);

/// Makes `bytes` appear as `path`, whole or not at all, even if the machine stops on the way:
/// written under a temporary name in the same folder (`.NAME.tmp.HOST.PID`), handed to `verify`,
/// synced, and renamed. A file that already has the name is left as it is. Throws FormatError, or
/// what `verify` throws; the temporary is removed either way.
void publish(const std::filesystem::path& path, std::span<const std::byte> bytes,
             const std::function<void(const std::filesystem::path&)>& verify = {});

}  // namespace longshadow
