//! Calls that are made once, however often they come: those of an RPC with `idempotency_key` that bring the header
//! [`KEY`].
//!
//! The first answer is kept, and given again to every further call of the same caller with the same key. A service keeps
//! it where its data is, in [`Answers`]; a handler that can writes it together with its change, so that no crash comes in
//! between: the [`KeyedCall`] in the extensions of its request says what belongs to the answer. What no handler has kept
//! is kept after it. Of calls with one key that are under way at a time each may reach the handler; whose answer is kept
//! first has the only one.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};

use crate::Violation;
use crate::policy::Policy;
use crate::rest::BoxFuture;
use crate::spec::MethodSpec;
use crate::status::{UNEXPECTED, invalid, status};

/// The header, or the metadata, with the key of a call.
pub const KEY: &str = "idempotency-key";

/// The header, or the metadata, of an answer that was kept.
pub const REPLAYED: &str = "idempotency-replayed";

/// Most characters of a key.
const LONGEST: usize = 255;

/// A call with a key. Clones are the same call.
#[derive(Clone, Debug)]
pub struct KeyedCall(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: &'static MethodSpec,
    caller: String,
    key: String,
    request: Vec<u8>,
    kept: AtomicBool,
}

impl KeyedCall {
    /// The RPC.
    pub fn spec(&self) -> &'static MethodSpec {
        self.0.spec
    }

    /// Who calls, as the policy says. Another caller's keys are other keys.
    pub fn caller(&self) -> &str {
        &self.0.caller
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The request message as bytes, the same for the same message by whatever protocol it came.
    pub fn request(&self) -> &[u8] {
        &self.0.request
    }

    /// Says that the answer is kept already, by who has made the change.
    pub fn set_kept(&self) {
        self.0.kept.store(true, Ordering::Release);
    }

    fn is_kept(&self) -> bool {
        self.0.kept.load(Ordering::Acquire)
    }
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The code of an error, or OK.
    pub code: Code,
    /// The message of an error.
    pub message: String,
    /// The details of an error, or the response message.
    pub body: Vec<u8>,
}

impl Answer {
    /// A success.
    pub fn success(response: &impl Message) -> Self {
        Self {
            code: Code::Ok,
            message: String::new(),
            body: response.encode_to_vec(),
        }
    }

    /// An error.
    pub fn error(status: &Status) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            body: status.details().to_vec(),
        }
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The answer.
    Answer(Answer),
    /// It was used with another request.
    OtherRequest,
}

/// Where answers are kept.
pub trait Answers: Send + Sync {
    /// What is known of the key of a call.
    fn find<'a>(&'a self, call: &'a KeyedCall) -> BoxFuture<'a, Result<Option<Kept>, Status>>;

    /// Keeps an answer, unless something is known of the key: then says what.
    fn keep<'a>(
        &'a self,
        call: &'a KeyedCall,
        answer: Answer,
    ) -> BoxFuture<'a, Result<Option<Kept>, Status>>;
}

/// The text of a header, if it may be a key.
fn parse(metadata: &MetadataMap) -> Option<&str> {
    let mut given = metadata.get_all(KEY).iter();
    let key = given.next()?.to_str().ok()?;
    let fits = (1..=LONGEST).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    (fits && given.next().is_none()).then_some(key)
}

/// Whether an error would be the same if the call was made again; what may pass is not kept.
fn is_final(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Calls a handler; once only, where the RPC takes keys and the request brings one.
pub(crate) async fn call<P, Req, Res, F>(
    policy: &P,
    spec: &'static MethodSpec,
    request: Request<Req>,
    handler: impl FnOnce(Request<Req>) -> F + Send,
) -> Result<Response<Res>, Status>
where
    P: Policy,
    Req: Message,
    Res: Message + Default,
    F: Future<Output = Result<Response<Res>, Status>> + Send,
{
    if !spec.idempotency_key || !request.metadata().contains_key(KEY) {
        return handler(request).await;
    }
    // Apart: it is large, and most calls have no key.
    Box::pin(once(policy, spec, request, handler)).await
}

async fn once<P, Req, Res, F>(
    policy: &P,
    spec: &'static MethodSpec,
    mut request: Request<Req>,
    handler: impl FnOnce(Request<Req>) -> F + Send,
) -> Result<Response<Res>, Status>
where
    P: Policy,
    Req: Message,
    Res: Message + Default,
    F: Future<Output = Result<Response<Res>, Status>> + Send,
{
    let key = parse(request.metadata()).ok_or_else(|| {
        let allowed = format!("Must be 1 to {LONGEST} visible ASCII characters, once");
        let violation = Violation {
            field: "Idempotency-Key".to_owned(),
            description: allowed,
        };
        invalid(spec.reasons, [violation])
    })?;
    let Some((answers, caller)) = policy.answers(spec, request.extensions()) else {
        return handler(request).await;
    };
    let call = KeyedCall(Arc::new(Inner {
        spec,
        caller,
        key: key.to_owned(),
        request: request.get_ref().encode_to_vec(),
        kept: AtomicBool::new(false),
    }));
    if let Some(kept) = answers.find(&call).await? {
        return replay(spec, kept);
    }
    request.extensions_mut().insert(call.clone());
    let result = handler(request).await;
    let kept = match &result {
        Ok(_) if call.is_kept() => None,
        Ok(answer) => {
            let answer = Answer::success(answer.get_ref());
            answers.keep(&call, answer).await?
        }
        Err(status) if is_final(status.code()) => {
            answers.keep(&call, Answer::error(status)).await?
        }
        // Perhaps because another call with the key has come first.
        Err(status) if status.code() == Code::Aborted => answers.find(&call).await?,
        Err(_) => None,
    };
    match kept {
        Some(kept) => replay(spec, kept),
        None => result,
    }
}

/// Gives an answer again.
fn replay<Res: Message + Default>(spec: &MethodSpec, kept: Kept) -> Result<Response<Res>, Status> {
    let replayed = MetadataValue::from_static("true");
    match kept {
        Kept::OtherRequest => Err(status(
            spec.reasons,
            Code::AlreadyExists,
            "This Idempotency-Key was used with another request",
        )),
        Kept::Answer(Answer {
            code: Code::Ok,
            body,
            ..
        }) => {
            let message = Res::decode(&*body)
                .map_err(|_| status(spec.reasons, Code::Internal, UNEXPECTED))?;
            let mut response = Response::new(message);
            response.metadata_mut().insert(REPLAYED, replayed);
            Ok(response)
        }
        Kept::Answer(Answer {
            code,
            message,
            body,
        }) => {
            let mut error = Status::with_details(code, message, body.into());
            error.metadata_mut().insert(REPLAYED, replayed);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let longest = "k".repeat(255);
        let with = |values: &[&str]| {
            let mut metadata = MetadataMap::new();
            for value in values {
                metadata.append(KEY, value.parse().unwrap());
            }
            parse(&metadata).map(str::to_owned)
        };
        for key in ["k", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", &longest] {
            assert_eq!(with(&[key]).as_deref(), Some(key));
        }
        let longer = "k".repeat(256);
        for values in [&[][..], &[""], &["a b"], &["a\tb"], &[&longer], &["a", "a"]] {
            assert_eq!(with(values), None, "{values:?}");
        }
    }
}
