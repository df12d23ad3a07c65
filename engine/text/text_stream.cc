#include "engine/text/text_stream.h"

#include "engine/text/utf8.h"

namespace longshadow {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

}  // namespace

std::string TextStream::add(std::string_view piece) {
  held_ += piece;
  std::string shown;
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Utf8Beginning beginning = utf8_beginning(rest);
    if (beginning.needs_more) break;
    shown += beginning.is_character ? rest.substr(0, beginning.length) : kReplacement;
    rest.remove_prefix(beginning.length);
  }
  held_.erase(0, held_.size() - rest.size());
  return shown;
}

std::string TextStream::finish() {
  std::string shown(held_.empty() ? "" : kReplacement);
  held_.clear();
  return shown;
}

}  // namespace longshadow
