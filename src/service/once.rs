//! Calls that are made once, however often they come: their answers, in the store.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use prost::Message;
use tonic::{Code, Request, Status};
use transcode::idempotency::{Answer, Answers, Kept, KeyedCall};
use transcode::rest::BoxFuture;

use super::error::status;
use crate::domain::receipt::{CallId, Receipt};
use crate::domain::{Environment, Product};
use crate::store::answers::{PgAnswers, StoredAnswer};

/// The answers in the store, for some time.
#[derive(Clone, Debug)]
pub struct KeptAnswers<E> {
    store: PgAnswers,
    environment: E,
    ttl: Duration,
}

impl<E: Environment> KeptAnswers<E> {
    /// Answers that are kept for `ttl`.
    pub const fn new(store: PgAnswers, environment: E, ttl: Duration) -> Self {
        Self {
            store,
            environment,
            ttl,
        }
    }

    async fn look(&self, call: &CallId) -> Result<Option<Kept>, Status> {
        let since = self.environment.now() - self.ttl;
        let stored = self.store.find(&call.id, since).await;
        Ok(stored.map_err(|error| status(&error))?.map(|stored| {
            if stored.request == call.request {
                Kept::Answer(Answer {
                    code: Code::from_i32(stored.code.into()),
                    message: stored.message,
                    body: stored.body,
                })
            } else {
                Kept::OtherRequest
            }
        }))
    }
}

impl<E: Environment> Answers for KeptAnswers<E> {
    fn find<'a>(&'a self, call: &'a KeyedCall) -> BoxFuture<'a, Result<Option<Kept>, Status>> {
        Box::pin(async move { self.look(&id(call)).await })
    }

    fn keep<'a>(
        &'a self,
        call: &'a KeyedCall,
        answer: Answer,
    ) -> BoxFuture<'a, Result<Option<Kept>, Status>> {
        Box::pin(async move {
            let call = id(call);
            let stored = StoredAnswer {
                request: call.request.to_vec(),
                code: answer.code as i16,
                message: answer.message,
                body: answer.body,
            };
            let kept = self.store.keep(&call, &stored, self.environment.now());
            if kept.await.map_err(|error| status(&error))? {
                return Ok(None);
            }
            self.look(&call).await
        })
    }
}

/// The receipt of a request that brought a key; `answer` makes what its handler answers with.
pub(super) fn receipt<T, A: Message>(
    request: &Request<T>,
    answer: impl Fn(&Product) -> A + Send + Sync + 'static,
) -> Option<Receipt> {
    let call = request.extensions().get::<KeyedCall>()?;
    let kept = {
        let call = call.clone();
        move || call.set_kept()
    };
    let encode = move |product: &Product| answer(product).encode_to_vec();
    Some(Receipt::new(id(call), encode, kept))
}

fn id(call: &KeyedCall) -> CallId {
    let operation = call.spec().path;
    CallId {
        id: digest(&[call.caller(), operation, call.key()].map(str::as_bytes)),
        operation,
        request: digest(&[call.request()]),
    }
}

/// The hash of some parts, each with its length, so that no others have the same.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parts_have_another_hash() {
        let digest = |parts: [&str; 3]| digest(&parts.map(str::as_bytes));
        assert_eq!(digest(["a", "b", "c"]), digest(["a", "b", "c"]));
        assert_ne!(digest(["ab", "c", ""]), digest(["a", "bc", ""]));
        assert_ne!(digest(["", "a", "b"]), digest(["a", "", "b"]));
    }
}
