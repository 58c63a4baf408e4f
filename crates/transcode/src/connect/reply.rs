//! What is made of an answer, or of an error, for its caller.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::Call;
use super::envelope::{self, Writing};
use super::error;
use super::get::Query;
use super::message::{self, Outbound};
use super::metadata;
use super::protocol::{self, Codec};
use super::stream::Frames;
use crate::coding::{self, Coding};
use crate::policy::{BoxStream, Policy};
use crate::rest::{Body, ToJson, insert_static};
use crate::spec::MethodSpec;
use crate::trailers::Trailers;

/// Headers of an answer, about: with those of the layers around, so that the map need not grow.
const HEADERS: usize = 16;

/// What an answer is made with, whatever it says.
pub(super) struct Reply {
    spec: &'static MethodSpec,
    /// None where the request says no codec that the RPC has.
    pub(super) codec: Option<Codec>,
    /// What the caller takes messages of a stream compressed with.
    coding: Option<Coding>,
    /// Smallest message that is compressed; none where nothing is.
    min_compressed: Option<usize>,
    is_get: bool,
}

impl Reply {
    /// An answer to a request.
    pub(super) fn to(call: &Call) -> Self {
        let (spec, headers) = (call.spec, &call.parts.headers);
        let is_get = call.parts.method == Method::GET;
        let codec = if is_get {
            Query::parse(call.parts.uri.query().unwrap_or_default()).codec()
        } else {
            Codec::of_body(headers, spec)
        };
        let min_compressed = call.transcoder.settings().min_compressed();
        let takes = min_compressed.is_some() && protocol::is_stream(spec);
        let coding = takes.then(|| Coding::accepted(headers, &protocol::ACCEPT_ENCODING));
        Self {
            spec,
            codec,
            coding: coding.flatten(),
            min_compressed,
            is_get,
        }
    }

    /// The codec of an answer: what has none is refused.
    fn codec(&self) -> Codec {
        self.codec.unwrap_or(Codec::Json)
    }

    /// The answer to a unary call.
    pub(super) fn unary<Res: Outbound>(
        &self,
        write_json: ToJson<Res>,
        answer: tonic::Response<Res>,
    ) -> Result<Response<Body>, Status> {
        let (metadata, message, extensions) = answer.into_parts();
        let bytes = message::encode(self.codec(), write_json, &message, 0)?;
        let mut response = error::whole(bytes);
        let headers = response.headers_mut();
        self.head(&metadata, headers);
        if let Some(Trailers(trailers)) = extensions.get() {
            metadata::trailers(trailers, headers);
        }
        if self.is_get {
            insert_static(headers, header::CACHE_CONTROL, self.spec.cache_control);
        }
        Ok(response)
    }

    /// The answer to a call whose request is a stream: one message, and the end.
    pub(super) fn one<Res: Outbound>(
        &self,
        write_json: ToJson<Res>,
        answer: tonic::Response<Res>,
    ) -> Result<Response<Body>, Status> {
        let (metadata, message, extensions) = answer.into_parts();
        let mut body = self.writing().message(write_json, &message)?;
        let trailers = extensions.get::<Trailers>().map(|trailers| &trailers.0);
        body.extend(envelope::end(&error::end(None, trailers)));
        Ok(self.streamed(Body::new(http_body_util::Full::from(body)), &metadata))
    }

    /// The answer that is a stream.
    pub(super) fn stream<P, Res, S>(
        &self,
        write_json: ToJson<Res>,
        policy: &P,
        answered: Result<(tonic::Response<S>, P::Admission), Status>,
    ) -> Response<Body>
    where
        P: Policy,
        Res: Outbound,
        S: futures_core::Stream<Item = Result<Res, Status>> + Send + 'static,
    {
        let (answer, admission) = match answered {
            Ok(answered) => answered,
            Err(status) => return self.failure(&status),
        };
        let (metadata, messages, mut extensions) = answer.into_parts();
        let messages: BoxStream<Res> = Box::pin(messages);
        let frames = Frames {
            writing: self.writing(),
            write_json,
            messages: Some(policy.stream(self.spec, admission.clone(), messages)),
            trailers: extensions.remove(),
        };
        let mut response = self.streamed(Body::new(frames), &metadata);
        policy.annotate(self.spec, &admission, response.headers_mut());
        response
    }

    /// The answer to a call that failed, before any message where the answer is a stream.
    pub(super) fn failure(&self, status: &Status) -> Response<Body> {
        if self.codec.is_none() {
            // Told to those only who are let in: others are told what is wrong with them.
            if status.metadata().contains_key(protocol::ACCEPT_POST) {
                return error::refusal(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            return error::response(status, None);
        }
        if !protocol::is_stream(self.spec) {
            return error::response(status, None);
        }
        let body = envelope::end(&error::end(Some(status), None));
        let body = Body::new(http_body_util::Full::from(body));
        self.streamed(body, &MetadataMap::new())
    }

    fn writing(&self) -> Writing {
        Writing {
            codec: self.codec(),
            coding: self.coding,
            min_compressed: self.min_compressed.unwrap_or_default(),
        }
    }

    /// What every answer but a unary error begins with.
    fn head(&self, metadata: &MetadataMap, headers: &mut HeaderMap) {
        headers.reserve(HEADERS);
        let media = self.codec().content_type(self.spec);
        headers.insert(header::CONTENT_TYPE, media);
        metadata::answer(metadata, headers);
    }

    /// An answer of envelopes.
    fn streamed(&self, body: Body, metadata: &MetadataMap) -> Response<Body> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        self.head(metadata, headers);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // nginx would keep what it reads until it has a buffer full.
        let name = header::HeaderName::from_static("x-accel-buffering");
        headers.insert(name, HeaderValue::from_static("no"));
        if let Some(coding) = self.coding {
            let name = HeaderValue::from_static(coding.name());
            headers.insert(protocol::CONTENT_ENCODING, name);
        }
        if self.min_compressed.is_some() {
            let names = HeaderValue::from_static(coding::NAMES);
            headers.insert(protocol::ACCEPT_ENCODING, names);
        }
        response
    }
}
