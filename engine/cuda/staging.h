#pragma once

#include <array>
#include <cstddef>

struct CUstream_st;
struct CUevent_st;

namespace longshadow {

/// Page-locked memory of the host's through which a stream's copies pass. A device copies from and
/// to such memory by itself, while the host goes on; with any other the driver would do the same,
/// but wait, and at half the rate.
class Staging {
 public:
  explicit Staging(CUstream_st* stream);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// The host's bytes may change as soon as the call returns.
  void copy_to_device(const void* host, void* device, std::size_t bytes);
  /// Waits until the bytes are there.
  void copy_to_host(const void* device, void* host, std::size_t bytes);

 private:
  struct Part {
    std::byte* memory = nullptr;
    CUevent_st* done = nullptr;  ///< after the copies that use it
    std::size_t used = 0;
  };

  /// `bytes` of the part in turn, or of the next one where they do not fit.
  std::byte* take(std::size_t bytes);
  /// Gives the turn to the next part, once the copies are done that it was used for.
  Part& next_part();

  CUstream_st* stream_;
  std::array<Part, 4> parts_;
  std::size_t turn_ = 0;
};

}  // namespace longshadow
