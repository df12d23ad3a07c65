#include "probes/documents/foreign_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "engine/text/unicode.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kBeginning = 4096;

struct Format {
  std::string_view magic;
  std::size_t at;
  const char* what;
  const char* remedy;
};

constexpr const char* kNoText = "there is no text in it to measure";

/// Files that begin with more than one of these have the first.
constexpr Format kFormats[] = {
    {"\x1f\x8b"sv, 0, "a gzip file", "unpack it: gunzip -c FILE > TEXT"},
    {"BZh"sv, 0, "a bzip2 file", "unpack it: bunzip2 -c FILE > TEXT"},
    {"\xfd"
     "7zXZ\0"sv,
     0, "an xz file", "unpack it: xz -dc FILE > TEXT"},
    {"\x28\xb5\x2f\xfd"sv, 0, "a zstd file", "unpack it: zstd -dc FILE > TEXT"},
    {"\x04\x22\x4d\x18"sv, 0, "an lz4 file", "unpack it: lz4 -dc FILE > TEXT"},
    {"\x1f\x9d"sv, 0, "a compress (.Z) file", "unpack it: gunzip -c FILE > TEXT"},
    {"7z\xbc\xaf\x27\x1c"sv, 0, "a 7z archive", "unpack it: 7z x FILE, then one of its texts"},
    {"Rar!\x1a\x07"sv, 0, "a rar archive", "unpack it: unrar x FILE, then one of its texts"},
    {"ustar"sv, 257, "a tar archive", "unpack it: tar -xf FILE, then one of its texts"},
    {"mimetypeapplication/vnd.oasis.opendocument"sv, 30, "an OpenDocument file",
     "convert it: pandoc -t plain FILE -o TEXT"},
    {"mimetypeapplication/epub"sv, 30, "an EPUB book", "convert it: pandoc -t plain FILE -o TEXT"},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, 0, "an old Microsoft Office file",
     "convert it: catdoc FILE > TEXT"},
    {"\x89PNG"sv, 0, "a PNG image", kNoText},
    {"\xff\xd8\xff"sv, 0, "a JPEG image", kNoText},
    {"GIF8"sv, 0, "a GIF image", kNoText},
    {"II*\0"sv, 0, "a TIFF image", kNoText},
    {"MM\0*"sv, 0, "a TIFF image", kNoText},
    {"WEBP"sv, 8, "a WebP image", kNoText},
    {"WAVE"sv, 8, "a sound file", kNoText},
    {"ID3"sv, 0, "a sound file", kNoText},
    {"ftyp"sv, 4, "a video or image file", kNoText},
    {"\x89HDF\r\n\x1a\n"sv, 0, "an HDF5 file, such as a run",
     "`longshadow analyze` reads runs; a document is text"},
    {"GGUF"sv, 0, "a GGUF model", "a model is given as `model`; a document is text"},
    {"SQLite format 3\0"sv, 0, "an SQLite database", "export its text"},
    {"PAR1"sv, 0, "a Parquet table", "export its text"},
    {"ARROW1"sv, 0, "an Arrow table", "export its text"},
    {"\x7f"
     "ELF"sv,
     0, "a program", kNoText},
};

bool has_at(std::string_view bytes, std::size_t at, std::string_view magic) {
  return bytes.size() >= at && bytes.substr(at).starts_with(magic);
}

/// A zip archive that is a Microsoft Office document names its parts by folders.
ForeignText describe_zip(std::string_view beginning) {
  if (beginning.find("word/") != beginning.npos) {
    return {"a Word document (.docx)", "convert it: pandoc -t plain FILE -o TEXT"};
  }
  if (beginning.find("[Content_Types].xml") != beginning.npos) {
    return {"a Microsoft Office document", "save it as text"};
  }
  return {"a zip archive", "unpack it: unzip FILE, then one of its texts"};
}

struct Encoding {
  const char* what;
  const char* name;  ///< iconv's
  std::size_t unit;  ///< bytes
  bool little_endian;
};

constexpr Encoding kEncodings[] = {
    {"UTF-32 (little-endian) text", "UTF-32LE", 4, true},
    {"UTF-32 (big-endian) text", "UTF-32BE", 4, false},
    {"UTF-16 (little-endian) text", "UTF-16LE", 2, true},
    {"UTF-16 (big-endian) text", "UTF-16BE", 2, false},
};

ForeignText converted(const std::string& what, const std::string& encoding) {
  return {what, "convert it: iconv -f " + encoding + " -t UTF-8 FILE > TEXT"};
}

/// With a byte-order mark, which iconv takes off where it is told the family and not the order.
std::optional<ForeignText> by_mark(std::string_view beginning) {
  if (beginning.starts_with("\xff\xfe\0\0"sv)) return converted(kEncodings[0].what, "UTF-32");
  if (beginning.starts_with("\0\0\xfe\xff"sv)) return converted(kEncodings[1].what, "UTF-32");
  if (beginning.starts_with("\xff\xfe"sv)) return converted(kEncodings[2].what, "UTF-16");
  if (beginning.starts_with("\xfe\xff"sv)) return converted(kEncodings[3].what, "UTF-16");
  return std::nullopt;
}

char32_t unit_at(std::string_view bytes, std::size_t at, const Encoding& encoding) {
  char32_t value = 0;
  for (std::size_t k = 0; k < encoding.unit; ++k) {
    const std::size_t byte = encoding.little_endian ? encoding.unit - 1 - k : k;
    value = value << 8 | static_cast<unsigned char>(bytes[at + byte]);
  }
  return value;
}

/// How many of the characters that the bytes are in this encoding are white space or ASCII signs,
/// which every text has; empty where some are no characters.
std::optional<std::size_t> plain_characters(std::string_view bytes, const Encoding& encoding) {
  std::size_t plain = 0;
  for (std::size_t at = 0; at + encoding.unit <= bytes.size(); at += encoding.unit) {
    char32_t value = unit_at(bytes, at, encoding);
    if (encoding.unit == 2 && value >= 0xd800 && value < 0xe000) {
      const std::size_t second = at + 2;
      if (second + 2 > bytes.size()) break;
      const char32_t low = unit_at(bytes, second, encoding);
      if (value >= 0xdc00 || low < 0xdc00 || low >= 0xe000) return std::nullopt;
      value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
      at = second;
    }
    if (!is_text_character(value)) return std::nullopt;
    // Also the full stops and commas that Chinese and Japanese write.
    if (value < 0x7f || (value >= 0x3000 && value < 0x3003) || value == 0xff0c) ++plain;
  }
  return plain;
}

std::optional<ForeignText> by_units(std::string_view beginning) {
  const Encoding* best = nullptr;
  std::size_t most = 0;
  for (const Encoding& encoding : kEncodings) {
    const auto plain = plain_characters(beginning, encoding);
    // Of what is no text in this encoding, but is in another, one character in 500 looks plain.
    if (plain && *plain * encoding.unit * 100 > beginning.size() && *plain > most) {
      best = &encoding;
      most = *plain;
    }
  }
  if (best == nullptr) return std::nullopt;
  return converted(best->what, best->name);
}

bool is_control(unsigned char byte) {
  return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f') ||
         byte == 0x7f;
}

/// Of text in one byte a character, or in two in the East.
ForeignText by_bytes(std::string_view around) {
  std::size_t n_high = 0;
  bool is_windows = false;  // Latin-1 has control characters there
  bool has_undefined = false;
  for (const char c : around) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) ++n_high;
    if (byte >= 0x80 && byte < 0xa0) is_windows = true;
    if (byte == 0x81 || byte == 0x8d || byte == 0x8f || byte == 0x90 || byte == 0x9d) {
      has_undefined = true;
    }
  }
  if (has_undefined || n_high * 4 > around.size()) {
    return converted("text in an older encoding (of which `file -i FILE` may know more)",
                     "ENCODING");
  }
  if (is_windows) return converted("Windows-1252 text, or the like", "WINDOWS-1252");
  return converted("Latin-1 (ISO 8859-1) text, or the like", "LATIN1");
}

/// Whether there are more characters of several bytes in well-formed UTF-8 than bytes that are not.
bool is_mostly_utf8(std::string_view around) {
  std::size_t good = 0;
  std::size_t bad = 0;
  for (std::size_t at = 0; at < around.size();) {
    const auto code_point = code_point_at(around, at);
    if (!code_point) ++bad;
    if (code_point && code_point->length > 1) ++good;
    at += code_point ? code_point->length : 1;
  }
  return good > bad;
}

}  // namespace

bool is_pdf(std::string_view beginning) {
  return beginning.starts_with("%PDF-") && beginning.size() > 8 && beginning[6] == '.';
}

ForeignText guess_foreign_text(std::string_view beginning, std::string_view around) {
  beginning = beginning.substr(0, kBeginning);
  if (is_pdf(beginning)) return {"a PDF file", "convert it: pdftotext FILE TEXT"};
  for (const Format& format : kFormats) {
    if (has_at(beginning, format.at, format.magic)) return {format.what, format.remedy};
  }
  if (beginning.starts_with("PK\x03\x04"sv)) return describe_zip(beginning);
  if (const auto marked = by_mark(beginning)) return *marked;
  if (const auto units = by_units(beginning)) return *units;
  const auto controls = std::count_if(around.begin(), around.end(), is_control);
  if (static_cast<std::size_t>(controls) * 50 > around.size()) {
    return {"binary data", "a document is text"};
  }
  if (around.find('\0') != around.npos) {
    return {"a text with NUL bytes", "take them out: tr -d '\\000' < FILE > TEXT"};
  }
  if (is_mostly_utf8(around)) {
    return {"UTF-8 text with other bytes in it",
            "take them out: iconv -c -f UTF-8 -t UTF-8 FILE > TEXT"};
  }
  return by_bytes(around);
}

}  // namespace longshadow
