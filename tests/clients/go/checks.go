// The official Go SDK against the gateway; its lines are those of checks.py.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

const (
	sonnet = "anthropic/claude-sonnet-4.6"
	said   = "You said: say hi"
)

func client(key string) anthropic.Client {
	return anthropic.NewClient(option.WithBaseURL(os.Getenv("GATEWAY_URL")), option.WithAPIKey(key), option.WithMaxRetries(0))
}

func ours() anthropic.Client { return client(os.Getenv("GATEWAY_KEY")) }

func sandbox(knobs string) option.RequestOption { return option.WithHeader("x-sandbox", knobs) }

func params(prompt string) anthropic.MessageNewParams {
	said := anthropic.NewUserMessage(anthropic.NewTextBlock(prompt))
	return anthropic.MessageNewParams{Model: sonnet, MaxTokens: 64, Messages: []anthropic.MessageParam{said}}
}

func message(ctx context.Context) error {
	using := ours()
	message, err := using.Messages.New(ctx, params("say hi"))
	if err != nil {
		return err
	}
	return same(message.Content[0].Text+" "+message.Model, said+" "+sonnet)
}

// streamed reads a stream to its end, its events put together.
func streamed(ctx context.Context, knobs string) (string, error) {
	using := ours()
	stream := using.Messages.NewStreaming(ctx, params("say hi"), sandbox(knobs))
	var whole anthropic.Message
	for stream.Next() {
		if err := whole.Accumulate(stream.Current()); err != nil {
			return "", err
		}
	}
	if stream.Err() != nil || len(whole.Content) == 0 {
		return "", stream.Err()
	}
	return whole.Content[0].Text, nil
}

func stream(ctx context.Context) error {
	text, err := streamed(ctx, "ttfb=0")
	if err != nil {
		return err
	}
	return same(text, said)
}

func toolCall(ctx context.Context) error {
	using := ours()
	asked := params(`use the tool get_weather with {"city": "Oslo"}`)
	schema := anthropic.ToolInputSchemaParam{Properties: map[string]any{"city": map[string]string{"type": "string"}}}
	asked.Tools = []anthropic.ToolUnionParam{anthropic.ToolUnionParamOfTool(schema, "get_weather")}
	call, err := using.Messages.New(ctx, asked)
	if err != nil {
		return err
	}
	used := call.Content[len(call.Content)-1]
	var input struct{ City string }
	if err := json.Unmarshal(used.Input, &input); err != nil {
		return err
	}
	if err := same(used.Name+" "+input.City, "get_weather Oslo"); err != nil {
		return err
	}
	result := anthropic.NewUserMessage(anthropic.NewToolResultBlock(used.ID, "21 degrees", false))
	asked.Messages = append(asked.Messages, call.ToParam(), result)
	answer, err := using.Messages.New(ctx, asked)
	if err != nil {
		return err
	}
	return same(answer.Content[0].Text, "The tool answered: 21 degrees")
}

func models(ctx context.Context) error {
	using := ours()
	var ids []string
	pages := using.Models.ListAutoPaging(ctx, anthropic.ModelListParams{Limit: anthropic.Int(1)})
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	if pages.Err() != nil {
		return pages.Err()
	}
	named := []string{sonnet, "anthropic/claude-opus-5.5", "anthropic/claude-haiku-4.5"}
	// What the configuration's wildcard stands for follows.
	return same(strings.Join(ids[:min(len(ids), len(named))], " "), strings.Join(named, " "))
}

func countTokens(ctx context.Context) error {
	using := ours()
	counted, err := using.Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{Model: sonnet, Messages: params("say hi").Messages})
	if err == nil && counted.InputTokens == 0 {
		return errors.New("no tokens")
	}
	return err
}

// refused wants the SDK's own error, with a status and a text.
func refused(err error, status int, text string) error {
	var refusal *anthropic.Error
	if !errors.As(err, &refusal) {
		return fmt.Errorf("no *anthropic.Error: %v", err)
	}
	if !strings.Contains(refusal.Error(), text) || refusal.RequestID == "" {
		return fmt.Errorf("not %q, or no request id: %w", text, err)
	}
	return same(fmt.Sprint(refusal.StatusCode), fmt.Sprint(status))
}

func wrongKey(ctx context.Context) error {
	using := client(os.Getenv("GATEWAY_WRONG_KEY"))
	_, err := using.Messages.New(ctx, params("say hi"))
	return refused(err, 401, "gateway key")
}

func overloaded(ctx context.Context) error {
	using := ours()
	_, err := using.Messages.New(ctx, params("say hi"), sandbox("status=529"))
	return refused(err, 529, "overloaded_error")
}

func broken(ctx context.Context) error {
	for _, knobs := range []string{"cut=900", "overloaded_at=4", "stall=4"} {
		if text, err := streamed(ctx, knobs); err == nil {
			return fmt.Errorf("%s: a clean end of %q", knobs, text)
		}
	}
	return nil
}

func same(found, wanted string) error {
	if found != wanted {
		return fmt.Errorf("%q instead of %q", found, wanted)
	}
	return nil
}

func main() {
	for _, each := range []struct {
		what  string
		check func(context.Context) error
	}{
		{"a message", message},
		{"a stream", stream},
		{"a tool call and its result", toolCall},
		{"count_tokens", countTokens},
		{"the model list, page by page", models},
		{"a wrong key is *anthropic.Error", wrongKey},
		{"the upstream's 529 is *anthropic.Error", overloaded},
		{"a broken stream is an error", broken},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := each.check(ctx); err != nil {
			fmt.Printf("FAIL %s: %s\n", each.what, strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Printf("ok %s\n", each.what)
		}
		cancel()
	}
	fmt.Println("end")
}
