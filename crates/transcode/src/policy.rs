//! What stands in front of every handler, whichever protocol a call came by.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use http::{Extensions, HeaderMap};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::Violations;
use crate::idempotency::{self, Answers};
use crate::inbound;
use crate::spec::MethodSpec;
use crate::status;
use crate::validate::Validate;

/// The messages of an answer that is a stream. An error is the last of them.
pub type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Decides who may call and watches over the call: authentication, limits, deadlines, metrics.
///
/// gRPC runs no interceptor for a handler that is called directly, as REST and Connect call them: so all protocols
/// come through here, and what it decides by is the RPC's [`MethodSpec`].
pub trait Policy: Send + Sync + 'static {
    /// What a call that was let in brings along.
    type Admission: Clone + Send + Sync + 'static;

    /// Lets a call in before its body is read, or refuses it. What it puts into the extensions reaches the handler.
    ///
    /// In gRPC that takes a [`grpc::Admission`](crate::grpc::Admission) around tonic's service; without it the message has
    /// been decoded by then.
    fn admit(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        extensions: &mut Extensions,
    ) -> impl Future<Output = Result<Self::Admission, Status>> + Send;

    /// Hears what a call that was let in is about: the resource that its request names, as it is in the path of a REST call.
    /// It need not exist, nor be well-formed. Of a request that is a stream it is what its first message names, or the path.
    /// Most policies need not know.
    fn concerns(&self, _admission: &Self::Admission, _resource: &str) {}

    /// Runs a call that was let in: from reading its body to the handler's answer. Where that is a stream, its messages
    /// come after it: they are watched over by [`stream`](Self::stream). Where the request is a stream, the handler reads
    /// it in here, for as long as the caller sends. Over WebSocket this is in a task of its own, as the handshake
    /// was answered by then.
    fn run<T: Send>(
        &self,
        spec: &'static MethodSpec,
        admission: Self::Admission,
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> impl Future<Output = Result<T, Status>> + Send;

    /// Where the answers to calls with an Idempotency-Key are kept, and who calls. Without it a key says nothing.
    fn answers(
        &self,
        spec: &'static MethodSpec,
        extensions: &Extensions,
    ) -> Option<(&dyn Answers, String)>;

    /// Adds headers to the answer of a call that was let in, be it a success or an error. Over gRPC they are its
    /// metadata. What is refused by [`admit`](Self::admit) brings its own, as the metadata of its status.
    fn annotate(
        &self,
        spec: &'static MethodSpec,
        admission: &Self::Admission,
        headers: &mut HeaderMap,
    );

    /// Watches over the messages of an answer that is a stream. It may live for hours, so that a deadline for answers
    /// says nothing about it; what ends it, beside its own end and a caller who goes away, is decided here.
    fn stream<T: Send + 'static>(
        &self,
        spec: &'static MethodSpec,
        admission: Self::Admission,
        messages: BoxStream<T>,
    ) -> BoxStream<T>;
}

/// Takes from a request the name of what it is about; generated.
pub type Resource<Req> = fn(&Req) -> Option<&str>;

/// A gRPC call that was let in before its message was decoded.
#[derive(Clone)]
struct Admitted<A> {
    spec: &'static MethodSpec,
    admission: A,
}

/// Lets a gRPC request in before tonic decodes its message, or refuses it, and says which of `methods` it is for; a
/// request for none of them passes, for tonic to answer. [`grpc::Admission`](crate::grpc::Admission) does it for every
/// request.
pub async fn admit<P: Policy, B: Send>(
    policy: &P,
    methods: &[&'static MethodSpec],
    request: &mut http::Request<B>,
) -> Result<Option<&'static MethodSpec>, Status> {
    let path = request.uri().path();
    let Some(spec) = methods.iter().copied().find(|spec| spec.path == path) else {
        return Ok(None);
    };
    let metadata = MetadataMap::from_headers(std::mem::take(request.headers_mut()));
    let mut extensions = std::mem::take(request.extensions_mut());
    let admitted = policy.admit(spec, &metadata, &mut extensions).await;
    *request.headers_mut() = metadata.into_headers();
    *request.extensions_mut() = extensions;
    let admission = admitted?;
    request
        .extensions_mut()
        .insert(Admitted { spec, admission });
    Ok(Some(spec))
}

/// A unary call that came by gRPC: admission, unless [`admit`] has seen to it, then validation and the handler.
pub async fn unary<P, Req, Res, F>(
    policy: &P,
    spec: &'static MethodSpec,
    resource: Resource<Req>,
    mut request: Request<Req>,
    handler: impl FnOnce(Request<Req>) -> F + Send,
) -> Result<Response<Res>, Status>
where
    P: Policy,
    Req: Validate + Message,
    Res: Message + Default,
    F: Future<Output = Result<Response<Res>, Status>> + Send,
{
    let admission = admission(policy, spec, &mut request).await?;
    if let Some(resource) = resource(request.get_ref()) {
        policy.concerns(&admission, resource);
    }
    let call = async {
        validate(spec, request.get_ref())?;
        idempotency::call(policy, spec, request, handler).await
    };
    // By reference: what is handed from layer to layer is copied into each of them.
    let call = pin!(call);
    let result = policy.run(spec, admission.clone(), call).await;
    annotated(policy, spec, &admission, result)
}

/// As [`unary`], for an RPC that answers with a stream.
pub async fn server_streaming<P, Req, Res, S, F>(
    policy: &P,
    spec: &'static MethodSpec,
    resource: Resource<Req>,
    mut request: Request<Req>,
    handler: impl FnOnce(Request<Req>) -> F + Send,
) -> Result<Response<BoxStream<Res>>, Status>
where
    P: Policy,
    Req: Validate + Send,
    Res: Send + 'static,
    S: Stream<Item = Result<Res, Status>> + Send + 'static,
    F: Future<Output = Result<Response<S>, Status>> + Send,
{
    let admission = admission(policy, spec, &mut request).await?;
    if let Some(resource) = resource(request.get_ref()) {
        policy.concerns(&admission, resource);
    }
    let call = async {
        validate(spec, request.get_ref())?;
        handler(request).await
    };
    // By reference: what is handed from layer to layer is copied into each of them.
    let call = pin!(call);
    let result = policy.run(spec, admission.clone(), call).await;
    let answer = annotated(policy, spec, &admission, result)?;
    Ok(answer.map(|messages| policy.stream(spec, admission, Box::pin(messages))))
}

/// As [`unary`], for an RPC whose request is a stream: what is checked is each message, when the handler asks for it.
pub async fn client_streaming<P, Req, Res, F>(
    policy: &Arc<P>,
    spec: &'static MethodSpec,
    resource: Resource<Req>,
    mut request: Request<Streaming<Req>>,
    handler: impl FnOnce(Request<Streaming<Req>>) -> F + Send,
) -> Result<Response<Res>, Status>
where
    P: Policy,
    Req: Validate + Send + 'static,
    Res: Send,
    F: Future<Output = Result<Response<Res>, Status>> + Send,
{
    let admission = admission(&**policy, spec, &mut request).await?;
    let request = checked(policy, spec, &admission, resource, request);
    let call = async { handler(request).await };
    let call = pin!(call);
    let result = policy.run(spec, admission.clone(), call).await;
    annotated(&**policy, spec, &admission, result)
}

/// As [`client_streaming`], for an RPC that answers with a stream too.
pub async fn bidi_streaming<P, Req, Res, S, F>(
    policy: &Arc<P>,
    spec: &'static MethodSpec,
    resource: Resource<Req>,
    mut request: Request<Streaming<Req>>,
    handler: impl FnOnce(Request<Streaming<Req>>) -> F + Send,
) -> Result<Response<BoxStream<Res>>, Status>
where
    P: Policy,
    Req: Validate + Send + 'static,
    Res: Send + 'static,
    S: Stream<Item = Result<Res, Status>> + Send + 'static,
    F: Future<Output = Result<Response<S>, Status>> + Send,
{
    let admission = admission(&**policy, spec, &mut request).await?;
    let request = checked(policy, spec, &admission, resource, request);
    let call = async { handler(request).await };
    let call = pin!(call);
    let result = policy.run(spec, admission.clone(), call).await;
    let answer = annotated(&**policy, spec, &admission, result)?;
    Ok(answer.map(|messages| policy.stream(spec, admission, Box::pin(messages))))
}

/// A request whose messages are checked as they are asked for.
fn checked<P: Policy, Req: Validate + Send + 'static>(
    policy: &Arc<P>,
    spec: &'static MethodSpec,
    admission: &P::Admission,
    resource: Resource<Req>,
    request: Request<Streaming<Req>>,
) -> Request<Streaming<Req>> {
    request.map(|messages| checked_messages(policy, spec, admission, resource, messages))
}

/// Messages that are checked as they are asked for, as the request of a handler.
pub(crate) fn checked_messages<P: Policy, Req: Validate + Send + 'static>(
    policy: &Arc<P>,
    spec: &'static MethodSpec,
    admission: &P::Admission,
    resource: Resource<Req>,
    messages: impl Stream<Item = Result<Req, Status>> + Send + Unpin + 'static,
) -> Streaming<Req> {
    inbound::streaming(Checked {
        policy: policy.clone(),
        admission: admission.clone(),
        spec,
        resource,
        messages: Some(messages),
        number: 0,
    })
}

/// The messages of a request that is a stream.
struct Checked<P: Policy, Req, S> {
    policy: Arc<P>,
    admission: P::Admission,
    spec: &'static MethodSpec,
    resource: Resource<Req>,
    /// None after the last.
    messages: Option<S>,
    /// How many there were.
    number: usize,
}

impl<P: Policy, Req, S> Unpin for Checked<P, Req, S> {}

impl<P: Policy, Req: Validate, S> Checked<P, Req, S> {
    fn check(&mut self, message: Req) -> Result<Req, Status> {
        self.number += 1;
        if self.number == 1
            && let Some(resource) = (self.resource)(&message)
        {
            self.policy.concerns(&self.admission, resource);
        }
        let mut violations = Violations::new();
        message.validate(&mut violations);
        let place = format_args!("message {}", self.number);
        status::check_at(self.spec.reasons, violations, &place)?;
        Ok(message)
    }
}

impl<P, Req, S> Stream for Checked<P, Req, S>
where
    P: Policy,
    Req: Validate,
    S: Stream<Item = Result<Req, Status>> + Unpin,
{
    type Item = Result<Req, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        let next = ready!(Pin::new(messages).poll_next(context));
        let next = next.map(|message| message.and_then(|message| self.check(message)));
        if !matches!(next, Some(Ok(_))) {
            self.messages = None;
        }
        Poll::Ready(next)
    }
}

/// An answer with what the policy adds to it.
fn annotated<P: Policy, T>(
    policy: &P,
    spec: &'static MethodSpec,
    admission: &P::Admission,
    mut result: Result<Response<T>, Status>,
) -> Result<Response<T>, Status> {
    let metadata = match &mut result {
        Ok(answer) => answer.metadata_mut(),
        Err(status) => status.metadata_mut(),
    };
    let mut headers = std::mem::take(metadata).into_headers();
    policy.annotate(spec, admission, &mut headers);
    *metadata = MetadataMap::from_headers(headers);
    result
}

/// Lets a gRPC call in, unless [`admit`] has done so.
async fn admission<P: Policy, Req: Send>(
    policy: &P,
    spec: &'static MethodSpec,
    request: &mut Request<Req>,
) -> Result<P::Admission, Status> {
    let mut extensions = std::mem::take(request.extensions_mut());
    let admitted = match extensions.remove::<Admitted<P::Admission>>() {
        Some(earlier) if earlier.spec == spec => Ok(earlier.admission),
        _ => {
            let metadata = request.metadata();
            policy.admit(spec, metadata, &mut extensions).await
        }
    };
    *request.extensions_mut() = extensions;
    admitted
}

/// Checks a request against the contract.
fn validate<Req: Validate>(spec: &'static MethodSpec, request: &Req) -> Result<(), Status> {
    let mut violations = Violations::new();
    request.validate(&mut violations);
    status::check(spec.reasons, violations)
}
