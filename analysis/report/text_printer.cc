#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "analysis/report/report.h"

namespace longshadow {

namespace {

/// Puts texts side by side. One that is longer than its column pushes the others on, with a space
/// between.
class LineOfText {
 public:
  void add(const std::string& text, Align align, std::size_t width) {
    if (align == Align::left && last_ == Align::right) line_ += "  ";
    last_ = align;
    const std::string gap(text.size() < width ? width - text.size() : 1, ' ');
    line_ += align == Align::left ? text + gap : gap + text;
  }
  /// The line without the spaces at its end.
  std::string text() const { return line_.substr(0, line_.find_last_not_of(' ') + 1); }

 private:
  std::string line_;
  Align last_ = Align::left;
};

std::string heads_of(const View& view) {
  LineOfText line;
  for (std::size_t i = 0; i < view.shown.size(); i += view.shown[i].span) {
    const Shown& shown = view.shown[i];
    std::size_t width = 0;
    for (std::size_t k = i; k < i + shown.span; ++k) width += view.shown[k].width;
    if (shown.span > 1) {
      line.add("  " + shown.head, Align::left, width);
    } else {
      line.add(shown.head, shown.align, width);
    }
  }
  return line.text();
}

void print_view(std::ostream& out, const Table& table, const View& view) {
  if (!view.before.empty()) out << "\n" << view.before;
  out << "\n";
  if (!view.title.empty()) out << view.title << "\n";
  out << heads_of(view) << "\n";
  for (const std::vector<std::string>& texts : spelled(table, view)) {
    LineOfText line;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string indent(i == 0 ? view.indent : 0, ' ');
      line.add(indent + texts[i], view.shown[i].align, view.shown[i].width);
    }
    out << line.text() << "\n";
  }
  out << view.after;
}

}  // namespace

void print_text(std::ostream& out, const Report& report) {
  for (const Section& section : report.sections) {
    out << section.preface << section.introduction;
    for (const Table& table : section.tables) {
      for (const View& view : table.views) print_view(out, table, view);
    }
  }
}

}  // namespace longshadow
