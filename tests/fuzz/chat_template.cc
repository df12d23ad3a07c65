// A chat template, rendered on a conversation.
#include "engine/chat/chat_template.h"

#include <array>

#include "engine/core/error.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  fuzz::answers<Error>([&] {
    const ChatTemplate chat_template(fuzz::text_of(data, size), "chat_template");
    const std::array<ChatMessage, 3> messages{
        {{"system", "Be brief."}, {"user", "Why?"}, {"assistant", " Because <b>."}}};
    chat_template.render(messages, {"<s>", "</s>", true});
  });
  return 0;
}
