//! The service of the suite: it answers what each request says it should, and tells what it saw of the request.

use std::time::Duration;

use http::Extensions;
use prost::Message;
use prost_types::Any;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{KeyAndValueRef, MetadataKey, MetadataMap};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::pb;
use transcode::Trailers;
use transcode::connect::GetRequest;
use transcode::policy::BoxStream;
use transcode_tests::pb::connectrpc::conformance::v1 as suite;
use transcode_tests::pb::connectrpc::conformance::v1::conformance_service_server::ConformanceService;

use suite::conformance_payload::{ConnectGetInfo, RequestInfo};
use suite::unary_response_definition::Response as Answer;
use suite::{
    BidiStreamRequest, BidiStreamResponse, ClientStreamRequest, ClientStreamResponse,
    ConformancePayload, Header, IdempotentUnaryRequest, IdempotentUnaryResponse,
    ServerStreamRequest, ServerStreamResponse, StreamResponseDefinition, UnaryRequest,
    UnaryResponse, UnaryResponseDefinition, UnimplementedRequest, UnimplementedResponse,
};

pub(crate) struct Service;

/// A message with its type.
fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/connectrpc.conformance.v1.{name}"),
        value: message.encode_to_vec(),
    }
}

/// What is seen of a request beside its messages.
fn info(metadata: &MetadataMap, extensions: &Extensions) -> RequestInfo {
    let mut headers: Vec<Header> = Vec::new();
    for entry in metadata.iter() {
        let (name, value) = match entry {
            KeyAndValueRef::Ascii(name, value) => {
                (name.as_str(), value.to_str().unwrap_or_default().to_owned())
            }
            KeyAndValueRef::Binary(name, value) => {
                let base64 = String::from_utf8_lossy(value.as_encoded_bytes());
                (name.as_str(), base64.into_owned())
            }
        };
        match headers.iter_mut().find(|header| header.name == name) {
            Some(header) => header.value.push(value),
            None => headers.push(Header {
                name: name.to_owned(),
                value: vec![value],
            }),
        }
    }
    let timeout = super::policy::timeout(metadata);
    let get = extensions.get::<GetRequest>();
    RequestInfo {
        request_headers: headers,
        timeout_ms: timeout.and_then(|timeout| i64::try_from(timeout.as_millis()).ok()),
        requests: Vec::new(),
        connect_get_info: get.map(|GetRequest(uri)| ConnectGetInfo {
            query_params: parameters(uri.query().unwrap_or_default()),
        }),
    }
}

/// The parameters of a query, as they are.
fn parameters(query: &str) -> Vec<Header> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let parameter = |(name, value): (&str, &str)| Header {
        name: name.to_owned(),
        value: vec![value.to_owned()],
    };
    pairs.map(parameter).collect()
}

/// Adds headers of the suite to metadata.
fn add(headers: &[Header], metadata: &mut MetadataMap) {
    for Header { name, value } in headers {
        for value in value {
            let (Ok(name), Ok(value)) = (
                MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes()),
                value.parse(),
            ) else {
                continue;
            };
            metadata.append(name, value);
        }
    }
}

fn metadata(headers: &[Header]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    add(headers, &mut metadata);
    metadata
}

/// An error of the suite, with what was seen of the request where nothing else tells it.
fn status(error: &suite::Error, info: Option<RequestInfo>) -> Status {
    let mut details = error.details.clone();
    details.extend(info.map(|info| any("ConformancePayload.RequestInfo", &info)));
    let message = error.message.clone().unwrap_or_default();
    let origin = pb::Status {
        code: error.code,
        message: message.clone(),
        details,
    };
    Status::with_details(
        Code::from(error.code),
        message,
        origin.encode_to_vec().into(),
    )
}

async fn wait(milliseconds: u32) {
    sleep(Duration::from_millis(milliseconds.into())).await;
}

/// What an RPC that answers with one message does.
async fn answer<Res>(
    definition: Option<UnaryResponseDefinition>,
    info: RequestInfo,
    response: impl FnOnce(ConformancePayload) -> Res,
) -> Result<Response<Res>, Status> {
    let definition = definition.unwrap_or_default();
    wait(definition.response_delay_ms).await;
    let data = match definition.response {
        Some(Answer::Error(error)) => {
            let mut status = status(&error, Some(info));
            add(&definition.response_headers, status.metadata_mut());
            add(&definition.response_trailers, status.metadata_mut());
            return Err(status);
        }
        Some(Answer::ResponseData(data)) => data,
        None => Vec::new(),
    };
    let payload = ConformancePayload {
        data,
        request_info: Some(info),
    };
    let mut answer = Response::new(response(payload));
    add(&definition.response_headers, answer.metadata_mut());
    let trailers = Trailers(metadata(&definition.response_trailers));
    answer.extensions_mut().insert(trailers);
    Ok(answer)
}

/// Answers with messages that a task sends, which ends with the call.
fn stream<Res: Send + 'static>(
    definition: &StreamResponseDefinition,
    receiver: mpsc::Receiver<Result<Res, Status>>,
) -> Response<BoxStream<Res>> {
    let messages: BoxStream<Res> = Box::pin(ReceiverStream::new(receiver));
    let mut answer = Response::new(messages);
    add(&definition.response_headers, answer.metadata_mut());
    let trailers = Trailers(metadata(&definition.response_trailers));
    answer.extensions_mut().insert(trailers);
    answer
}

/// The messages of an answer from the one of a number on, and the error after them. The first has what was seen of the
/// request.
async fn send<Res>(
    definition: StreamResponseDefinition,
    from: usize,
    mut info: Option<RequestInfo>,
    response: fn(ConformancePayload) -> Res,
    sender: &mpsc::Sender<Result<Res, Status>>,
) {
    for data in definition.response_data.into_iter().skip(from) {
        wait(definition.response_delay_ms).await;
        let payload = ConformancePayload {
            data,
            request_info: info.take(),
        };
        if sender.send(Ok(response(payload))).await.is_err() {
            return;
        }
    }
    if let Some(error) = definition.error {
        // The caller may be gone.
        let _ = sender.send(Err(status(&error, info))).await;
    }
}

#[tonic::async_trait]
impl ConformanceService for Service {
    async fn unary(
        &self,
        request: Request<UnaryRequest>,
    ) -> Result<Response<UnaryResponse>, Status> {
        let mut info = info(request.metadata(), request.extensions());
        let message = request.into_inner();
        info.requests.push(any("UnaryRequest", &message));
        answer(message.response_definition, info, |payload| UnaryResponse {
            payload: Some(payload),
        })
        .await
    }

    async fn idempotent_unary(
        &self,
        request: Request<IdempotentUnaryRequest>,
    ) -> Result<Response<IdempotentUnaryResponse>, Status> {
        let mut info = info(request.metadata(), request.extensions());
        let message = request.into_inner();
        info.requests.push(any("IdempotentUnaryRequest", &message));
        answer(message.response_definition, info, |payload| {
            IdempotentUnaryResponse {
                payload: Some(payload),
            }
        })
        .await
    }

    async fn unimplemented(
        &self,
        _: Request<UnimplementedRequest>,
    ) -> Result<Response<UnimplementedResponse>, Status> {
        Err(Status::unimplemented("Nobody does"))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<ClientStreamRequest>>,
    ) -> Result<Response<ClientStreamResponse>, Status> {
        let mut info = info(request.metadata(), request.extensions());
        let mut messages = request.into_inner();
        let mut definition = None;
        while let Some(message) = messages.next().await {
            let message = message?;
            info.requests.push(any("ClientStreamRequest", &message));
            if info.requests.len() == 1 {
                definition = message.response_definition;
            }
        }
        answer(definition, info, |payload| ClientStreamResponse {
            payload: Some(payload),
        })
        .await
    }

    type ServerStreamStream = BoxStream<ServerStreamResponse>;

    async fn server_stream(
        &self,
        request: Request<ServerStreamRequest>,
    ) -> Result<Response<Self::ServerStreamStream>, Status> {
        let mut info = info(request.metadata(), request.extensions());
        let message = request.into_inner();
        info.requests.push(any("ServerStreamRequest", &message));
        let definition = message.response_definition.unwrap_or_default();
        let (sender, receiver) = mpsc::channel(1);
        let answer = stream(&definition, receiver);
        tokio::spawn(async move {
            let response = |payload| ServerStreamResponse {
                payload: Some(payload),
            };
            send(definition, 0, Some(info), response, &sender).await;
        });
        Ok(answer)
    }

    type BidiStreamStream = BoxStream<BidiStreamResponse>;

    async fn bidi_stream(
        &self,
        request: Request<Streaming<BidiStreamRequest>>,
    ) -> Result<Response<Self::BidiStreamStream>, Status> {
        let mut info = info(request.metadata(), request.extensions());
        let mut messages = request.into_inner();
        let Some(first) = messages.next().await.transpose()? else {
            let (_, receiver) = mpsc::channel(1);
            return Ok(stream(&StreamResponseDefinition::default(), receiver));
        };
        info.requests.push(any("BidiStreamRequest", &first));
        let is_full_duplex = first.full_duplex;
        let definition = first.response_definition.unwrap_or_default();
        if !is_full_duplex {
            while let Some(message) = messages.next().await.transpose()? {
                info.requests.push(any("BidiStreamRequest", &message));
            }
        }
        let (sender, receiver) = mpsc::channel(1);
        let answer = stream(&definition, receiver);
        let response = |payload| BidiStreamResponse {
            payload: Some(payload),
        };
        tokio::spawn(async move {
            let mut sent = 0;
            let mut info = Some(info);
            while is_full_duplex && sent < definition.response_data.len() {
                if sent > 0 {
                    match messages.next().await.transpose() {
                        Ok(Some(message)) => {
                            let requests = vec![any("BidiStreamRequest", &message)];
                            info = Some(RequestInfo {
                                requests,
                                ..RequestInfo::default()
                            });
                        }
                        Ok(None) => break,
                        Err(status) => {
                            let _ = sender.send(Err(status)).await;
                            return;
                        }
                    }
                }
                wait(definition.response_delay_ms).await;
                let payload = ConformancePayload {
                    data: definition.response_data[sent].clone(),
                    request_info: info.take(),
                };
                if sender.send(Ok(response(payload))).await.is_err() {
                    return;
                }
                sent += 1;
            }
            send(definition, sent, info, response, &sender).await;
        });
        Ok(answer)
    }
}
