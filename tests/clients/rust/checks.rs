//! A Rust client, async-anthropic, against the gateway; its lines are those of checks.py.

use async_anthropic::errors::AnthropicError;
use async_anthropic::types::{
    ContentBlockDelta, CreateMessagesRequest, CreateMessagesRequestBuilder, Message, MessageBuilder, MessageRole,
    MessagesStreamEvent, ToolResultBuilder,
};
use async_anthropic::Client;
use serde_json::json;
use std::{env, future::Future, time::Duration};
use tokio_stream::StreamExt;

const SONNET: &str = "anthropic/claude-sonnet-4.6";
const SAID: &str = "You said: say hi";

type Found = Result<(), String>;

fn client(key: &str) -> Client {
    Client::builder()
        .base_url(env::var("GATEWAY_URL").unwrap())
        .api_key(env::var(key).unwrap())
        .version("2023-06-01")
        .build()
        .unwrap()
}

fn request(prompt: &str) -> CreateMessagesRequestBuilder {
    let mut asked = CreateMessagesRequestBuilder::default();
    asked.model(SONNET).max_tokens(64).messages(vec![Message::from(prompt)]);
    asked
}

async fn text(asked: CreateMessagesRequest) -> Result<String, String> {
    let answer = client("GATEWAY_KEY").messages().create(asked).await.map_err(shown)?;
    same(answer.model.clone().unwrap_or_default(), SONNET)?;
    Ok(answer.messages().first().and_then(Message::text).unwrap_or_default())
}

async fn message() -> Found {
    same(text(request("say hi").build().unwrap()).await?, SAID)
}

/// Read a stream up to its end or its first error.
async fn streamed(key: &str, prompt: &str) -> Result<String, AnthropicError> {
    let mut stream = client(key)
        .messages()
        .create_stream(request(prompt).build().unwrap())
        .await;
    let (mut text, mut whole) = (String::new(), false);
    while let Some(event) = stream.next().await {
        match event? {
            MessagesStreamEvent::ContentBlockDelta {
                delta: ContentBlockDelta::TextDelta { text: piece },
                ..
            } => text += &piece,
            MessagesStreamEvent::MessageStop => whole = true,
            _ => {}
        }
    }
    Ok(if whole { text } else { format!("no end: {text}") })
}

async fn stream() -> Found {
    same(streamed("GATEWAY_KEY", "say hi").await.map_err(shown)?, SAID)
}

async fn tool_call() -> Found {
    let weather =
        json!({"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}});
    let mut asked = request(r#"use the tool get_weather with {"city": "Oslo"}"#);
    asked.tools([weather.as_object().unwrap().to_owned()]);
    let first = asked.build().unwrap();
    let mut messages = first.messages.clone();
    let call = client("GATEWAY_KEY")
        .messages()
        .create(first)
        .await
        .map_err(shown)?
        .messages()
        .pop()
        .ok_or("no answer")?;
    let used = call.tool_uses().pop().ok_or("no tool call")?;
    same(format!("{} {}", used.name, used.input["city"]), "get_weather \"Oslo\"")?;
    let result = ToolResultBuilder::default()
        .tool_use_id(used.id)
        .content("21 degrees")
        .build()
        .unwrap();
    messages.push(call);
    messages.push(
        MessageBuilder::default()
            .role(MessageRole::User)
            .content(result)
            .build()
            .unwrap(),
    );
    same(
        text(asked.messages(messages).build().unwrap()).await?,
        "The tool answered: 21 degrees",
    )
}

async fn models() -> Found {
    let listed = client("GATEWAY_KEY").models().list().await.map_err(shown)?;
    // What the configuration names comes first; what its wildcard stands for follows.
    let ids: Vec<_> = listed.data.into_iter().map(|model| model.id).take(3).collect();
    same(
        ids.join(" "),
        "anthropic/claude-sonnet-4.6 anthropic/claude-opus-5.5 anthropic/claude-haiku-4.5",
    )
}

async fn wrong_key() -> Found {
    let asked = request("say hi").build().unwrap();
    match client("GATEWAY_WRONG_KEY").messages().create(asked).await {
        Err(AnthropicError::Unauthorized) => {}
        other => return Err(format!("{other:?}")),
    }
    match streamed("GATEWAY_WRONG_KEY", "say hi").await {
        Err(AnthropicError::StreamError(error)) if error.message.contains("401") => Ok(()),
        other => Err(format!("streamed: {other:?}")),
    }
}

async fn bad_request() -> Found {
    match client("GATEWAY_KEY")
        .messages()
        .create(request("say hi").max_tokens(-1).build().unwrap())
        .await
    {
        Err(AnthropicError::BadRequest(text)) if text.contains("max_tokens") => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn shown(error: AnthropicError) -> String {
    error.to_string()
}

fn same(found: String, wanted: &str) -> Found {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{found:?} instead of {wanted:?}"))
    }
}

async fn check(what: &str, found: impl Future<Output = Found>) {
    match tokio::time::timeout(Duration::from_secs(20), found).await {
        Ok(Ok(())) => println!("ok {what}"),
        Ok(Err(why)) => println!("FAIL {what}: {}", why.replace('\n', " ")),
        Err(_) => println!("FAIL {what}: no end after 20 s"),
    }
}

#[tokio::main]
async fn main() {
    check("a message", message()).await;
    check("a stream", stream()).await;
    check("a tool call and its result", tool_call()).await;
    check("the model list", models()).await;
    check("a wrong key is AnthropicError::Unauthorized", wrong_key()).await;
    check(
        "a wrong body is AnthropicError::BadRequest and names the field",
        bad_request(),
    )
    .await;
    println!("end");
}
