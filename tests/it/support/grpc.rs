//! gRPC and gRPC-Web without generated code: any RPC by its path, messages as bytes.

use bytes::{Buf, BufMut, Bytes};
use http::{Method, header};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};

use super::service::{Service, authorized};

/// Messages as they are on the wire.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A call by gRPC to a port of the service: the message of the answer, or the first where it is a stream.
pub(crate) async fn call(
    url: &str,
    path: &'static str,
    token: &str,
    message: Vec<u8>,
) -> Result<Bytes, Status> {
    let first = open(url, path, token, message).await?.message().await?;
    first.ok_or_else(|| Status::unknown("an answer without a message"))
}

/// As [`call`], with credentials of another kind.
pub(crate) async fn call_as(
    url: &str,
    path: &'static str,
    credentials: &[(&'static str, &str)],
    message: Vec<u8>,
) -> Result<Bytes, Status> {
    let answer = open_as(url, path, credentials, message).await;
    let first = answer?.message().await?;
    first.ok_or_else(|| Status::unknown("an answer without a message"))
}

/// A call by gRPC to a port of the service: the messages of the answer.
pub(crate) async fn open(
    url: &str,
    path: &'static str,
    token: &str,
    message: Vec<u8>,
) -> Result<Streaming<Bytes>, Status> {
    let bearer = format!("Bearer {token}");
    let credentials = [("authorization", &*bearer)];
    let none = usize::from(token.is_empty());
    open_as(url, path, &credentials[none..], message).await
}

async fn open_as(
    url: &str,
    path: &'static str,
    credentials: &[(&'static str, &str)],
    message: Vec<u8>,
) -> Result<Streaming<Bytes>, Status> {
    let channel = Endpoint::from_shared(url.to_owned())
        .expect("a URL")
        .connect()
        .await
        .expect("a connection");
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.expect("ready");
    let mut request = Request::new(Bytes::from(message));
    for (name, value) in credentials {
        let value = value.parse().expect("a header");
        request.metadata_mut().insert(*name, value);
    }
    let path = http::uri::PathAndQuery::from_static(path);
    let answer = grpc.server_streaming(request, path, Raw).await?;
    Ok(answer.into_inner())
}

/// A unary call by gRPC-Web: the message of the answer, or the code it failed with.
pub(crate) async fn call_web(
    service: &Service,
    path: &str,
    token: &str,
    message: &[u8],
) -> Result<Vec<u8>, Code> {
    send_web(service, authorized(Method::POST, path, token), message).await
}

/// As [`call_web`], for a request with headers of its own.
pub(crate) async fn send_web(
    service: &Service,
    request: http::request::Builder,
    message: &[u8],
) -> Result<Vec<u8>, Code> {
    let response = service.send_raw(web(request), web_frame(message)).await;
    assert_eq!(response.status(), 200);
    // A call that fails at once has its status in the headers, any other in the last frame.
    if let Some(code) = response.headers().get("grpc-status") {
        return Err(Code::from_bytes(code.as_bytes()));
    }
    let (mut answer, mut frames) = (Vec::new(), response.into_body());
    while !frames.is_empty() {
        let length = u32::from_be_bytes(frames[1..5].try_into().expect("four bytes")) as usize;
        let rest = frames.split_off(5 + length);
        let frame = &frames[5..];
        if frames[0] & 0x80 == 0 {
            answer = frame.to_vec();
        } else {
            match trailer_code(frame) {
                Code::Ok => {}
                code => return Err(code),
            }
        }
        frames = rest;
    }
    Ok(answer)
}

/// A request by gRPC-Web.
pub(crate) fn web(request: http::request::Builder) -> http::request::Builder {
    request
        .header(header::CONTENT_TYPE, "application/grpc-web+proto")
        .header("x-grpc-web", "1")
}

/// A message in its frame.
pub(crate) fn web_frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.put_u32(u32::try_from(message.len()).expect("a short message"));
    frame.extend_from_slice(message);
    frame
}

/// The status in the last frame.
pub(crate) fn trailer_code(trailers: &[u8]) -> Code {
    let trailers = String::from_utf8_lossy(trailers);
    let code = trailers
        .lines()
        .find_map(|line| line.strip_prefix("grpc-status:"))
        .expect("a status");
    Code::from_bytes(code.trim().as_bytes())
}
