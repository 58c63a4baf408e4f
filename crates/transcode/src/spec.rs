//! What generated code says about an RPC and about the ways to call it over HTTP.

use tonic::Code;

/// Everything the contract says about one RPC. The layers in front of a handler read it; none of them knows URLs.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a contract says, each by itself; nothing here is a state"
)]
#[derive(Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// Full name of the service, such as `catalog.v1.CatalogService`.
    pub service: &'static str,
    /// Name of the RPC, such as `GetProduct`.
    pub name: &'static str,
    /// Path of the RPC in gRPC, such as `/catalog.v1.CatalogService/GetProduct`.
    pub path: &'static str,
    /// Whether the request is a stream of messages.
    pub client_streaming: bool,
    /// Whether the answer is a stream of messages.
    pub server_streaming: bool,
    /// Scopes a caller must hold, all of them.
    pub scopes: &'static [&'static str],
    /// Callable without credentials.
    pub public: bool,
    /// Which budget a call draws from.
    pub rate_class: RateClass,
    /// Whether calls are written to the audit log.
    pub audit: bool,
    /// What calling twice does.
    pub idempotency: Idempotency,
    /// Whether calls take an Idempotency-Key.
    pub idempotency_key: bool,
    /// Most bytes of the body of a REST request, or of a line of it or a message over WebSocket; none where the
    /// [settings](crate::rest::Settings::max_body_bytes) say it.
    pub max_request_bytes: Option<usize>,
    /// REST status of a success.
    pub success_status: u16,
    /// Cache-Control of a successful REST answer.
    pub cache_control: &'static str,
    /// Version in the envelope of REST answers; none when they are not wrapped.
    pub envelope: Option<&'static str>,
    /// Names of the errors.
    pub reasons: &'static ReasonTable,
}

impl MethodSpec {
    /// Whether its request, its answer or both are streams.
    pub const fn is_streaming(&self) -> bool {
        self.client_streaming || self.server_streaming
    }
}

/// Budgets that calls draw from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateClass {
    /// The one of calls that name none.
    Default,
    /// Reads.
    Read,
    /// Writes.
    Write,
}

/// What calling an RPC twice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// Not said: perhaps it does something twice.
    Unknown,
    /// It changes nothing at all.
    NoSideEffects,
    /// The same as calling it once.
    Idempotent,
}

/// The name of an error for each gRPC code, made from the contract's error enum.
#[derive(Debug, PartialEq, Eq)]
pub struct ReasonTable {
    /// `google.rpc.ErrorInfo.domain`.
    pub domain: &'static str,
    /// Names, by the number of the code.
    pub names: [&'static str; 17],
}

impl ReasonTable {
    /// The canonical names, for a contract without an error enum.
    pub const CANONICAL: Self = Self {
        domain: "",
        names: [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ],
    };

    /// The name of a code.
    pub fn name(&self, code: Code) -> &'static str {
        // Code's discriminants are the numbers 0 to 16.
        self.names[code as usize]
    }
}

/// One HTTP mapping of an RPC.
#[derive(Debug, PartialEq, Eq)]
pub struct Binding {
    /// HTTP method.
    pub method: &'static str,
    /// The template as the contract has it.
    pub template: &'static str,
    /// Its segments.
    pub segments: &'static [Segment],
    /// Its verb: `undelete` in `/v1/{id}:undelete`.
    pub verb: Option<&'static str>,
    /// Its variables.
    pub variables: &'static [Variable],
    /// Where the body goes.
    pub body: Body,
    /// The RPC.
    pub spec: &'static MethodSpec,
}

/// A segment of a path template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// A word.
    Literal(&'static str),
    /// `*`: one segment.
    Single,
    /// `**`: any number of segments.
    Multi,
}

/// A variable of a path template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Path of the field in proto names, such as `product.id`.
    pub field: &'static str,
    /// The first template segment it covers.
    pub start: usize,
    /// The one after the last.
    pub end: usize,
}

/// Where the body of a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// It takes none.
    None,
    /// Into the request message.
    Whole,
    /// Into one field.
    Field {
        /// Its name in JSON.
        json_name: &'static str,
        /// Its name in the proto.
        proto_name: &'static str,
    },
}
