#include "analysis/inspect/report_data.h"

#include <nlohmann/json.hpp>

#include "analysis/inspect/script_json.h"

namespace longshadow {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Table& table, const View& view) {
  Json heads = Json::array();
  Json ends = Json::array();
  for (std::size_t i = 0; i < view.shown.size(); ++i) {
    ends.push_back(view.shown[i].align == Align::right);
  }
  for (std::size_t i = 0; i < view.shown.size(); i += view.shown[i].span) {
    heads.push_back({{"text", view.shown[i].head}, {"span", view.shown[i].span}});
  }
  return {{"before", view.before}, {"title", view.title},           {"heads", heads},
          {"ends", ends},          {"lines", spelled(table, view)}, {"after", view.after}};
}

Json json_of(const Section& section) {
  Json views = Json::array();
  for (const Table& table : section.tables) {
    for (const View& view : table.views) views.push_back(json_of(table, view));
  }
  return {
      {"key", section.key},         {"is_in_list", section.is_in_list},     {"name", section.name},
      {"preface", section.preface}, {"introduction", section.introduction}, {"views", views}};
}

}  // namespace

std::string report_json(const Report& report) {
  Json sections = Json::array();
  for (const Section& section : report.sections) sections.push_back(json_of(section));
  return for_script(sections);
}

}  // namespace longshadow
