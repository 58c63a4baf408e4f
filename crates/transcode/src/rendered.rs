//! An answer that is given many times: its JSON is made once.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use tonic::{Request, Response};

/// A message of the contract with its JSON, for handlers that answer with the same one again and again.
#[derive(Debug)]
pub struct Rendered<M> {
    message: Arc<M>,
    /// None for a message that has no JSON form.
    json: OnceLock<Option<Bytes>>,
}

/// In the extensions of a request: the answer may be [`Json`] in place of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptsJson;

/// In the extensions of an answer: the JSON of the message, and the message, which is not the answer itself.
#[derive(Clone, Debug)]
pub(crate) struct Json(pub Bytes, Arc<dyn Any + Send + Sync>);

/// The message of an answer, wherever it is.
pub(crate) fn message<M: 'static>(answer: &Response<M>) -> &M {
    let json = answer.extensions().get::<Json>();
    json.and_then(|json| json.1.downcast_ref())
        .unwrap_or_else(|| answer.get_ref())
}

impl<M: Serialize + Clone + Default + Send + Sync + 'static> Rendered<M> {
    /// A message whose JSON is made when it is first asked for.
    pub fn new(message: M) -> Self {
        let json = OnceLock::new();
        Self {
            message: Arc::new(message),
            json,
        }
    }

    /// The message.
    pub fn message(&self) -> &M {
        &self.message
    }

    /// The message as the answer to `request`: as JSON to a REST call, so that it is neither copied nor written again,
    /// and as a message to all others.
    pub fn answer<T>(&self, request: &Request<T>) -> Response<M> {
        if request.extensions().get::<AcceptsJson>().is_some()
            && let Some(json) = self.json()
        {
            let mut response = Response::new(M::default());
            response
                .extensions_mut()
                .insert(Json(json, self.message.clone()));
            return response;
        }
        Response::new(M::clone(&self.message))
    }

    fn json(&self) -> Option<Bytes> {
        let make = || serde_json::to_vec(&*self.message).ok().map(Bytes::from);
        self.json.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_takes_json_gets_json() {
        let rendered = Rendered::new("x".to_owned());
        let mut request = Request::new(());
        let answer = rendered.answer(&request);
        assert_eq!(answer.get_ref(), "x");
        assert!(answer.extensions().get::<Json>().is_none());
        request.extensions_mut().insert(AcceptsJson);
        let answer = rendered.answer(&request);
        let json = answer.extensions().get::<Json>().map(|json| &json.0[..]);
        assert_eq!(json, Some(&br#""x""#[..]));
        assert_eq!(message(&answer), "x", "for what else is made of it");
    }
}
