# cmake -D OUTPUT=F.cc -P embed_page.cmake -- page.html style.css SCRIPT...
#
# Writes the page with its style sheet and scripts put in, as a C++ string. The page's policy names
# both by their SHA-256, so that a browser runs nothing else, whatever a document holds.

# sha256_base64(TEXT RESULT): 32 bytes are 42 digits of 6 bits, one of 4 and a padding.
function(sha256_base64 text result)
  set(digits ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  string(SHA256 hex "${text}")
  string(APPEND hex 00)
  set(coded "")
  foreach(begin RANGE 0 60 6)
    string(SUBSTRING ${hex} ${begin} 6 group)
    foreach(shift 18 12 6 0)
      math(EXPR digit "(0x${group} >> ${shift}) & 63")
      string(SUBSTRING ${digits} ${digit} 1 digit)
      string(APPEND coded ${digit})
    endforeach()
  endforeach()
  string(SUBSTRING ${coded} 0 43 coded)
  set(${result} "${coded}=" PARENT_SCOPE)
endfunction()

set(sources "")
set(after_dashes FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(after_dashes)
    list(APPEND sources "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(after_dashes TRUE)
  endif()
endforeach()
list(POP_FRONT sources page_file style_file)

file(READ ${page_file} page)
file(READ ${style_file} style)
set(script "(() => {\n'use strict';\n")
foreach(source IN LISTS sources)
  file(READ ${source} text)
  string(APPEND script "\n${text}")
endforeach()
string(APPEND script "})();\n")

sha256_base64("${style}" style_hash)
sha256_base64("${script}" script_hash)
string(REPLACE "@STYLE_HASH@" "${style_hash}" page "${page}")
string(REPLACE "@SCRIPT_HASH@" "${script_hash}" page "${page}")
string(REPLACE "@STYLE@" "${style}" page "${page}")
string(REPLACE "@SCRIPT@" "${script}" page "${page}")

file(WRITE ${OUTPUT} "#include \"analysis/inspect/page_template.h\"\n\n"
  "namespace longshadow {\n\nconst std::string_view kPageTemplate = R\"page(${page})page\";\n\n"
  "}  // namespace longshadow\n")
