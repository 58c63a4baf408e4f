//! What a handler says after its messages, beside the status of its call.
//!
//! An answer of tonic has metadata, which comes before the messages, and nothing that comes after them but the status. A
//! handler that has something to say at the end puts [`Trailers`] into the extensions of its answer: Connect sends them,
//! and so does gRPC where [`SendTrailers`] stands in front of tonic's routes. An error has them in its own metadata.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;

use crate::rest::{Body, BoxFuture};

/// What comes after the messages of an answer; in its extensions.
#[derive(Clone, Debug, Default)]
pub struct Trailers(pub MetadataMap);

/// Sends the [`Trailers`] of answers over gRPC: a `tower::Service` around a service of tonic's, or its routes.
#[derive(Clone, Debug)]
pub struct SendTrailers<S>(pub S);

impl<S: NamedService> NamedService for SendTrailers<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for SendTrailers<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Future<Output = Result<Response<Body>, S::Error>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            let Some(Trailers(trailers)) = response.extensions_mut().remove() else {
                return Ok(response);
            };
            Ok(response.map(|body| {
                Body::new(Ending {
                    body,
                    trailers: Some(trailers),
                })
            }))
        })
    }
}

/// A body with more in its trailers.
struct Ending {
    body: Body,
    trailers: Option<MetadataMap>,
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &mut frame
            && let Some(last) = frame.trailers_mut()
            && let Some(trailers) = self.trailers.take()
        {
            for (name, value) in AsRef::<http::HeaderMap>::as_ref(&trailers) {
                // The status is the protocol's.
                if !name.as_str().starts_with("grpc-") {
                    last.append(name, value.clone());
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
