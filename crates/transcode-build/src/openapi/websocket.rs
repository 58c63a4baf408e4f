//! Streams over WebSocket: what a handshake is answered, and how the connection is used after that.

use serde_json::{Map, Value, json};

use crate::ir::{Api, Binding, Body, Field, Method, Shape};

/// How a call over a WebSocket ends.
const END: &str = "An empty text message says that the caller has no more requests, and leaves it the answers; a closing \
                   frame gives the call up. The service closes with 1000 when the answer has come to its end. A failure \
                   is a last text message, `{\"error\": …}` of `{code, reason, message, details, errorDetails}`, where \
                   `code` is the gRPC code, and closes with 4000 and that code; or, as RFC 6455 has it, with 1002 for \
                   frames that are none, 1003 for text in place of bytes or the other way round, 1007 for what can't be \
                   read, 1008 for messages where none may come, 1009 for one that is too large, 1011 for a fault of the \
                   service.";

/// How a page in a browser says who it is.
const TOKEN: &str = "Where the Authorization header can't be set, the token may come as one more subprotocol, \
                     `base64url.bearer.authorization.transcode.` with the token in base64url without padding after it.";

/// The answer to a handshake.
pub(super) fn answer(api: &Api, method: &Method, binding: &Binding) -> Value {
    let (requests, answers) = (
        requests(api, method, binding),
        answers(api, method, binding),
    );
    let token = if method.options.public { "" } else { TOKEN };
    let description = format!(
        "A WebSocket, for a handshake of RFC 6455: a GET of this path, with its query.\n\n{requests} {answers}\n\n{END}\n\n{token}"
    );
    let mut protocols = vec!["transcode.json"];
    if has_binary_answer(api, method, binding) || api.answers_bytes(&method.output, binding) {
        protocols.push("transcode.protobuf");
    }
    json!({
        "description": description.trim_end(),
        "headers": {
            "Sec-WebSocket-Accept": {
                "description": "Shows that the handshake was understood.",
                "schema": {"type": "string"},
            },
            "Sec-WebSocket-Protocol": {
                "description": "The first of the caller's subprotocols that there is, where it names any.",
                "schema": {"type": "string", "enum": protocols},
            },
        },
    })
}

/// What a handshake of another version is told.
pub(super) fn version() -> Map<String, Value> {
    let text =
        |description: &str| json!({"description": description, "schema": {"type": "string"}});
    Map::from_iter([
        (
            "Sec-WebSocket-Version".to_owned(),
            text("The version that is taken."),
        ),
        ("Upgrade".to_owned(), text("`websocket`.")),
    ])
}

fn requests(api: &Api, method: &Method, binding: &Binding) -> String {
    let most = method.options.max_request_bytes;
    let in_all = method.client_streaming && api.takes_bytes(&method.input, binding);
    let most = most.map_or_else(String::new, |most| {
        if in_all {
            format!(" There are at most {most} bytes in all.")
        } else {
            format!(" It has at most {most} bytes.")
        }
    });
    let what = match (&binding.body, method.client_streaming) {
        (Body::None, _) => return "The caller sends no messages.".to_owned(),
        (_, true) => "Each message of the caller is one of the request",
        (_, false) => {
            "The first message of the caller is the body of the request, and its only one"
        }
    };
    let form = if api.takes_bytes(&method.input, binding) {
        "binary, its bytes as they are"
    } else if has_binary_request(api, method, binding) {
        "a text in JSON, or binary in protobuf's binary form"
    } else {
        "a text in JSON"
    };
    format!("{what}: {form}.{most}")
}

fn answers(api: &Api, method: &Method, binding: &Binding) -> String {
    let what = if method.streaming {
        "Each message of the answer is"
    } else {
        "The answer is one message,"
    };
    let form = if api.answers_bytes(&method.output, binding) {
        "binary, its bytes as they are"
    } else if has_binary_answer(api, method, binding) {
        "a text in JSON, or binary in protobuf's binary form, where the subprotocol `transcode.protobuf`, or Accept, asks for \
         it"
    } else {
        "a text in JSON"
    };
    let envelope = if method.streaming {
        ""
    } else {
        ", without an envelope"
    };
    format!("{what} {form}{envelope}.")
}

fn has_binary_request(api: &Api, method: &Method, binding: &Binding) -> bool {
    match &binding.body {
        Body::None => false,
        Body::Whole => true,
        Body::Field(name) => {
            let field = api.messages[&method.input].field(name);
            field.is_some_and(Field::is_one_message)
        }
    }
}

fn has_binary_answer(api: &Api, method: &Method, binding: &Binding) -> bool {
    let Some(name) = &binding.response_body else {
        return true;
    };
    let field = api.messages[&method.output].field(name);
    field.is_some_and(|field| field.is_one_message() && !matches!(field.shape, Shape::Oneof { .. }))
}
