// A chat template and, behind a NUL, a file of messages, rendered as a prompt.
#include "engine/chat/chat_template.h"

#include "engine/chat/conversation.h"
#include "engine/core/error.h"
#include "engine/io/json.h"
#include "tests/fuzz/target.h"

namespace {

constexpr std::string_view kConversation =
    R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": [{"type": "text", "text": " Because <b>."}]}])";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  fuzz::answers<Error>([&] {
    const auto [source, file] = fuzz::halves_of(fuzz::text_of(data, size));
    const std::string_view messages = file.empty() ? kConversation : file;
    const Conversation conversation = parse_conversation(bytes_of(messages), "messages");
    const ChatTemplate chat_template(source, "chat_template");
    ChatContext context;
    context.special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    render_conversation(chat_template, conversation, context);
  });
  return 0;
}
