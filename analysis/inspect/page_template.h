#pragma once

#include <string_view>

namespace longshadow {

/// The page without data: page/page.html with the style sheet and the scripts beside it put in, by
/// embed_page.cmake. The data go where kPageDataMark stands.
extern const std::string_view kPageTemplate;
inline constexpr std::string_view kPageDataMark = "<!-- data -->";

}  // namespace longshadow
