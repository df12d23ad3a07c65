#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

namespace longshadow {

/// Throws FormatError unless publish() could create `path` now: its folder exists and can be
/// written, and nothing has that name. For a command to call before hours of work.
void check_output(const std::filesystem::path& path);

/// The name beside `path` that this process writes under before it has that name.
std::filesystem::path temporary_path(const std::filesystem::path& path);

/// Called with the temporary name of what was written; throws where it is not as it should be.
using Verify = std::function<void(const std::filesystem::path&)>;

/// Makes `bytes` appear as `path`, whole or not at all, even if the machine stops on the way:
/// written under a temporary name in the same folder (`.NAME.tmp.HOST.PID`), synced, handed to
/// `verify`, and renamed. A file that already has the name is left as it is. Throws FormatError, or
/// what `verify` throws; the temporary is removed either way.
void publish(const std::filesystem::path& path, std::span<const std::byte> bytes,
             const Verify& verify = {});

/// The same for results that several processes may reach: where the name is taken, by a file of the
/// same bytes, all is well. Throws FormatError where it has others.
void publish_same(const std::filesystem::path& path, std::span<const std::byte> bytes,
                  const Verify& verify = {});

/// Whether `path` is what publish() of another process may be writing to become `name`.
bool is_temporary_of(const std::filesystem::path& path, const std::string& name);

/// Removes what died while it published into `folder`: temporaries of dead processes of this host,
/// and of others those that nobody has written for a day. With `name`, of that file alone.
void sweep_temporaries(const std::filesystem::path& folder, const std::string& name = "");

}  // namespace longshadow
