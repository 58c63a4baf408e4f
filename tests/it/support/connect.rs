//! Connect without generated code: any RPC by its spec, messages as bytes.

use bytes::BufMut as _;
use http::{Method, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tonic::Code;
use transcode::{MethodSpec, connect};

use super::service::{Service, authorized};

/// A call by Connect: the message of the answer, or the first where it is a stream; or the code it failed with.
pub(crate) async fn call_connect(
    service: &Service,
    spec: &MethodSpec,
    token: &str,
    message: &[u8],
) -> Result<Vec<u8>, Code> {
    send_connect(
        service,
        spec,
        authorized(Method::POST, spec.path, token),
        message,
    )
    .await
}

/// As [`call_connect`], for a request with headers of its own.
pub(crate) async fn send_connect(
    service: &Service,
    spec: &MethodSpec,
    request: http::request::Builder,
    message: &[u8],
) -> Result<Vec<u8>, Code> {
    let request = request.header("connect-protocol-version", "1");
    if !spec.client_streaming && !spec.server_streaming {
        let request = request.header(header::CONTENT_TYPE, "application/proto");
        let answer = service.send_raw(request, message).await;
        return if answer.status() == 200 {
            Ok(answer.into_body())
        } else {
            let code = code(&serde_json::from_slice(answer.body()).expect("JSON"));
            let status = transcode::status::http_status(code);
            assert_eq!(answer.status(), status, "{}", spec.path);
            Err(code)
        };
    }
    let request = request.header(header::CONTENT_TYPE, "application/connect+proto");
    let answer = service.open(request, envelope(message)).await;
    assert_eq!(answer.status(), 200);
    let (mut body, mut read) = (answer.into_body(), Vec::new());
    // There need not be an end.
    loop {
        if let Some(bytes) = read.get(1..5) {
            let length = u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize;
            if let Some(message) = read.get(5..5 + length) {
                return if read[0] == 0 {
                    Ok(message.to_vec())
                } else {
                    let end: Value = serde_json::from_slice(message).expect("JSON");
                    Err(code(&end["error"]))
                };
            }
        }
        let frame = body.frame().await.expect("more").expect("no error");
        read.extend_from_slice(&frame.into_data().expect("data"));
    }
}

/// A message in its envelope.
pub(crate) fn envelope(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.put_u32(u32::try_from(message.len()).expect("a short message"));
    frame.extend_from_slice(message);
    frame
}

/// The code of an error.
fn code(error: &Value) -> Code {
    let name = error["code"].as_str().expect("a code");
    let mut codes = (1..=16).map(Code::from_i32);
    let code = codes.find(|code| connect::code_name(*code) == name);
    code.expect("a code of the protocol")
}
