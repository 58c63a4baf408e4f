//! What the messages of a request are read from, and how.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream as _;
use http::{Method, header};
use tonic::metadata::MetadataValue;
use tonic::{Status, Streaming};

use super::envelope::{Envelopes, Reading};
use super::get::Query;
use super::message::{self, Inbound, ReadJson};
use super::protocol::{self, Codec};
use super::{Call, Options};
use crate::body;
use crate::coding;
use crate::policy::{Policy, Resource, checked_messages};
use crate::rest::Body;
use crate::spec::MethodSpec;

/// A request that can be read.
pub(super) struct Opening {
    reading: Reading,
    body: Body,
    /// The message as it is packed, where it is in the query.
    query: Option<Bytes>,
}

impl Opening {
    /// Looks at what a request says about itself, and takes its body. `deadline` is what is wrong with its deadline.
    pub(super) fn of(
        call: &mut Call,
        codec: Option<Codec>,
        deadline: Result<(), &'static str>,
    ) -> Result<Self, Status> {
        let (spec, parts) = (call.spec, &call.parts);
        let settings = call.transcoder.settings();
        let bad = |message: &str| Status::invalid_argument(message);
        let Options { require_version } = settings.connect.clone().unwrap_or_default();
        let is_get = parts.method == Method::GET;
        let codec = codec.ok_or_else(|| unsupported(spec))?;
        deadline.map_err(bad)?;
        let (coding, query) = if is_get {
            let query = Query::parse(parts.uri.query().unwrap_or_default());
            match query.version {
                Some("v1") => {}
                None if !require_version => {}
                _ => return Err(bad("The query must say connect=v1")),
            }
            let message = query.message().map_err(bad)?;
            (body::named(query.compression, settings), Some(message))
        } else {
            if let Some(wrong) = protocol::wrong_version(&parts.headers, require_version) {
                return Err(bad(wrong));
            }
            let header = if protocol::is_stream(spec) {
                protocol::CONTENT_ENCODING
            } else {
                header::CONTENT_ENCODING
            };
            (body::coding(&parts.headers, &header, settings), None)
        };
        let coding = coding.map_err(|why| {
            let mut status = message::unreadable(why);
            if settings.min_compressed().is_some() {
                let taken = MetadataValue::from_static(coding::NAMES);
                status.metadata_mut().insert("accept-encoding", taken);
            }
            status
        })?;
        Ok(Self {
            reading: Reading {
                spec,
                codec,
                coding,
                max: body::limit(spec, settings),
            },
            body: mem::take(&mut call.body),
            query,
        })
    }

    /// The message of a request that has one, checked.
    pub(super) async fn message<P: Policy, Req: Inbound>(
        self,
        policy: &P,
        admission: &P::Admission,
        read_json: ReadJson<Req>,
        resource: Resource<Req>,
    ) -> Result<Req, Status> {
        let Reading { spec, codec, .. } = self.reading;
        let message: Req = if protocol::is_stream(spec) {
            self.only(read_json).await?
        } else {
            message::decode(codec, read_json, &self.bytes().await?, spec, None)?
        };
        if let Some(resource) = resource(&message) {
            policy.concerns(admission, resource);
        }
        message::validate(spec, &message)?;
        Ok(message)
    }

    /// The messages of a request that is a stream, each checked when it is asked for.
    pub(super) fn messages<P: Policy, Req: Inbound>(
        self,
        policy: &Arc<P>,
        admission: &P::Admission,
        read_json: ReadJson<Req>,
        resource: Resource<Req>,
    ) -> Streaming<Req> {
        let spec = self.reading.spec;
        let messages = Envelopes::new(self.body, self.reading, read_json);
        checked_messages(policy, spec, admission, resource, messages)
    }

    /// The bytes of the message of a unary call.
    async fn bytes(self) -> Result<Bytes, Status> {
        let Reading { coding, max, .. } = self.reading;
        let read = match self.query {
            None => body::read(self.body, coding, max).await,
            Some(_) if !body::is_empty(self.body).await => {
                let message = "A call by GET has its message in the query, and no body";
                return Err(Status::invalid_argument(message));
            }
            Some(packed) if packed.len() > max => Err(body::Unreadable::TooLarge(max)),
            Some(packed) => match coding {
                Some(coding) => body::unpack(&packed, coding, max),
                None => Ok(packed),
            },
        };
        read.map_err(message::unreadable)
    }

    /// The message of a stream that has one and no more.
    async fn only<Req: Inbound>(self, read_json: ReadJson<Req>) -> Result<Req, Status> {
        let wrong = |message: &str| Status::unimplemented(message);
        let mut messages = Envelopes::new(self.body, self.reading, read_json);
        let mut next = async || {
            let next = poll_fn(|context| Pin::new(&mut messages).poll_next(context)).await;
            next.transpose()
        };
        let only = next()
            .await?
            .ok_or_else(|| wrong("The request has no message"))?;
        if next().await?.is_some() {
            return Err(wrong("The request has more than one message"));
        }
        Ok(only)
    }
}

/// The status of a request of another type than those of its RPC.
fn unsupported(spec: &MethodSpec) -> Status {
    let (types, message) = protocol::accepted(spec);
    let mut status = Status::invalid_argument(message);
    let types = MetadataValue::from_static(types);
    status.metadata_mut().insert(protocol::ACCEPT_POST, types);
    status
}
