#pragma once

#include "engine/io/aligned_text.h"

namespace longshadow {

/// Unicode Normalization Form C (UAX #15) of well-formed text, each character still aligned with
/// what it was composed from. Unicode 13 data (utf8proc 2.6); composition of characters assigned by
/// then is stable in every later version.
AlignedText normalize_nfc(const AlignedText& text);

}  // namespace longshadow
