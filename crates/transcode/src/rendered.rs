//! An answer that is given many times: its JSON and its binary form are made once.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use serde::Serialize;
use tonic::{Request, Response};

/// Bytes of a gRPC message before it: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A message of the contract with its forms, for handlers that answer with the same one again and again.
#[derive(Debug)]
pub struct Rendered<M> {
    message: Arc<M>,
    /// None for a message that has no JSON form.
    json: OnceLock<Option<Bytes>>,
    /// None for a message that is too long for gRPC.
    frame: OnceLock<Option<Bytes>>,
}

/// In the extensions of a request: the answer may be [`Json`] in place of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptsJson;

/// In the extensions of an answer: the JSON of the message, and the message, which is not the answer itself.
#[derive(Clone, Debug)]
pub(crate) struct Json(pub Bytes, Arc<dyn Any + Send + Sync>);

/// In the extensions of a request: the answer may be [`ReadyFrame`] in place of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptsFrame;

/// In the extensions of an answer: the message as gRPC sends it, which is not the answer itself.
#[derive(Clone, Debug)]
pub(crate) struct ReadyFrame(pub Bytes);

/// The message of an answer, wherever it is.
pub(crate) fn message<M: 'static>(answer: &Response<M>) -> &M {
    let json = answer.extensions().get::<Json>();
    json.and_then(|json| json.1.downcast_ref())
        .unwrap_or_else(|| answer.get_ref())
}

impl<M: Message + Serialize + Clone + Default + Send + Sync + 'static> Rendered<M> {
    /// A message whose forms are made when they are first asked for.
    pub fn new(message: M) -> Self {
        Self {
            message: Arc::new(message),
            json: OnceLock::new(),
            frame: OnceLock::new(),
        }
    }

    /// The message.
    pub fn message(&self) -> &M {
        &self.message
    }

    /// The message as the answer to `request`: as JSON to a REST call and as bytes to a gRPC call that came by
    /// [`grpc::Admission`](crate::grpc::Admission), so that it is neither copied nor written again, and as a message to
    /// all others.
    pub fn answer<T>(&self, request: &Request<T>) -> Response<M> {
        let accepted = request.extensions();
        if accepted.get::<AcceptsJson>().is_some()
            && let Some(json) = self.json()
        {
            let mut response = Response::new(M::default());
            response
                .extensions_mut()
                .insert(Json(json, self.message.clone()));
            return response;
        }
        if accepted.get::<AcceptsFrame>().is_some()
            && let Some(frame) = self.frame()
        {
            let mut response = Response::new(M::default());
            response.extensions_mut().insert(ReadyFrame(frame));
            return response;
        }
        Response::new(M::clone(&self.message))
    }

    fn json(&self) -> Option<Bytes> {
        let make = || serde_json::to_vec(&*self.message).ok().map(Bytes::from);
        self.json.get_or_init(make).clone()
    }

    fn frame(&self) -> Option<Bytes> {
        let make = || {
            let length = self.message.encoded_len();
            let mut frame = BytesMut::with_capacity(PREFIX + length);
            // Not compressed.
            frame.put_u8(0);
            frame.put_u32(u32::try_from(length).ok()?);
            self.message.encode(&mut frame).ok()?;
            Some(frame.freeze())
        };
        self.frame.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_the_form_that_it_takes() {
        let rendered = Rendered::new("x".to_owned());
        let mut request = Request::new(());
        let answer = rendered.answer(&request);
        assert_eq!(answer.get_ref(), "x");
        assert!(answer.extensions().is_empty());
        request.extensions_mut().insert(AcceptsFrame);
        let answer = rendered.answer(&request);
        let frame = answer.extensions().get::<ReadyFrame>();
        // A string is google.protobuf.StringValue: its first field.
        let expected: &[u8] = &[0, 0, 0, 0, 3, 0x0a, 1, b'x'];
        assert_eq!(frame.map(|frame| &frame.0[..]), Some(expected));
        let mut request = Request::new(());
        request.extensions_mut().insert(AcceptsJson);
        let answer = rendered.answer(&request);
        let json = answer.extensions().get::<Json>().map(|json| &json.0[..]);
        assert_eq!(json, Some(&br#""x""#[..]));
        assert_eq!(message(&answer), "x", "for what else is made of it");
    }
}
