#pragma once

#include "engine/io/aligned_text.h"

namespace longshadow {

/// Unicode Normalization Form C (UAX #15) of well-formed text, each character still aligned with
/// what it was composed from. Data of utf8proc, Unicode 15 in version 2.8. The `tokenizers` package
/// 0.23 has Unicode 9: it may order marks assigned since then differently.
/// Of a `beginning`, what is normalised ends before the characters that more text could change.
AlignedText normalize_nfc(const AlignedText& text, Extent extent = Extent::whole);

}  // namespace longshadow
