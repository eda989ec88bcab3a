// The official Java SDK against the gateway; its lines are those of checks.py. Run as one source file.

import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.core.JsonValue;
import com.anthropic.errors.AnthropicException;
import com.anthropic.errors.AnthropicServiceException;
import com.anthropic.errors.OverloadedException;
import com.anthropic.errors.UnauthorizedException;
import com.anthropic.helpers.MessageAccumulator;
import com.anthropic.models.messages.ContentBlockParam;
import com.anthropic.models.messages.Message;
import com.anthropic.models.messages.MessageCountTokensParams;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.Tool;
import com.anthropic.models.messages.ToolResultBlockParam;
import com.anthropic.models.models.ModelInfo;
import com.anthropic.models.models.ModelListParams;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

class Checks {
    static final String SONNET = "anthropic/claude-sonnet-4.6";
    static final String SAID = "You said: say hi";

    static AnthropicClient client(String key) {
        return AnthropicOkHttpClient.builder()
                .baseUrl(System.getenv("GATEWAY_URL"))
                .apiKey(System.getenv(key))
                .maxRetries(0)
                .timeout(Duration.ofSeconds(20))
                .build();
    }

    static final AnthropicClient OURS = client("GATEWAY_KEY");

    static MessageCreateParams.Builder asking(String prompt) {
        return MessageCreateParams.builder().model(SONNET).maxTokens(64).addUserMessage(prompt);
    }

    static MessageCreateParams hello(String knobs) {
        return asking("say hi").putAdditionalHeader("x-sandbox", knobs).build();
    }

    static String textOf(Message message) {
        return message.content().stream()
                .flatMap(block -> block.text().stream())
                .map(block -> block.text())
                .collect(Collectors.joining());
    }

    static void message() {
        var message = OURS.messages().create(hello("ttfb=0"));
        same(textOf(message) + " " + message.model().asString(), SAID + " " + SONNET);
    }

    static String streamed(String knobs) {
        var whole = MessageAccumulator.create();
        try (var stream = OURS.messages().createStreaming(hello(knobs))) {
            stream.stream().forEach(whole::accumulate);
        }
        return textOf(whole.message());
    }

    static void toolCall() {
        var schema = Tool.InputSchema.builder()
                .properties(JsonValue.from(Map.of("city", Map.of("type", "string"))))
                .build();
        var asked = asking("use the tool get_weather with {\"city\": \"Oslo\"}")
                .addTool(Tool.builder().name("get_weather").inputSchema(schema).build());
        var call = OURS.messages().create(asked.build());
        var used = call.content().get(call.content().size() - 1).asToolUse();
        same(used.name() + " " + used._input().convert(Map.class), "get_weather {city=Oslo}");
        var result = ToolResultBlockParam.builder().toolUseId(used.id()).content("21 degrees").build();
        var answer = OURS.messages()
                .create(asked.addMessage(call)
                        .addUserMessageOfContentBlockParams(List.of(ContentBlockParam.ofToolResult(result)))
                        .build());
        same(textOf(answer), "The tool answered: 21 degrees");
    }

    static void countTokens() {
        var counted = OURS.messages()
                .countTokens(MessageCountTokensParams.builder().model(SONNET).addUserMessage("say hi").build());
        same(counted.inputTokens() > 0, true);
    }

    static void models() {
        var ids = OURS.models().list(ModelListParams.builder().limit(1).build()).autoPager().stream()
                .map(ModelInfo::id)
                .toList();
        var named = List.of(SONNET, "anthropic/claude-opus-5.5", "anthropic/claude-haiku-4.5");
        // What the configuration's wildcard stands for follows.
        same(ids.subList(0, Math.min(ids.size(), named.size())), named);
    }

    static void modelsByTheirType() {
        // Throws where a required field is missing or of another type.
        OURS.models().list().data().forEach(ModelInfo::validate);
    }

    static void refused(Class<? extends AnthropicServiceException> kind, String text, Runnable attempt) {
        var error = raised(attempt);
        if (!kind.isInstance(error)) throw new Wrong(error + " is no " + kind.getSimpleName());
        same(kind.cast(error).requestId().isPresent(), true);
        if (!error.getMessage().contains(text)) throw new Wrong(error.getMessage() + " does not say " + text);
    }

    static AnthropicException raised(Runnable attempt) {
        try {
            attempt.run();
        } catch (AnthropicException error) {
            return error;
        }
        throw new Wrong("no error");
    }

    static void broken() {
        for (var knobs : List.of("cut=900", "overloaded_at=4", "stall=4")) raised(() -> streamed(knobs));
    }

    static class Wrong extends RuntimeException {
        Wrong(String why) {
            super(why);
        }
    }

    static void same(Object found, Object wanted) {
        if (!found.equals(wanted)) throw new Wrong(found + " instead of " + wanted);
    }

    static void check(String what, Runnable body) {
        try {
            body.run();
            System.out.println("ok " + what);
        } catch (Exception error) {
            System.out.println("FAIL " + what + ": " + error.toString().replaceAll("\\s+", " "));
        }
    }

    public static void main(String[] arguments) {
        check("a message", Checks::message);
        check("a stream", () -> same(streamed("ttfb=0"), SAID));
        check("a tool call and its result", Checks::toolCall);
        check("count_tokens", Checks::countTokens);
        check("the model list, page by page", Checks::models);
        check("each listed model is whole by the SDK's type", Checks::modelsByTheirType);
        check("a wrong key is UnauthorizedException", () -> refused(UnauthorizedException.class, "gateway key",
                () -> client("GATEWAY_WRONG_KEY").messages().create(hello("ttfb=0"))));
        check("the upstream's 529 is OverloadedException", () -> refused(OverloadedException.class, "529",
                () -> OURS.messages().create(hello("status=529"))));
        check("a broken stream is an error", Checks::broken);
        System.out.println("end");
        System.exit(0);
    }
}
