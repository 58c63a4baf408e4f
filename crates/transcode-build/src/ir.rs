//! The intermediate representation: a contract checked and reduced to what generators need.
//!
//! Everything made of a contract, code and documents alike, is made of this and of nothing else.

mod api;

use std::collections::BTreeMap;

use crate::options::{
    Decimal, EnumValueOptions, FieldRules, FileOptions, MethodOptions, ServiceOptions,
};
use crate::template::Template;

/// A contract.
#[derive(Debug)]
pub struct Api {
    /// What the description says of the API as a whole, from the first file that says it.
    pub info: FileOptions,
    /// Services, in the order of the files.
    pub services: Vec<Service>,
    /// Messages by full name.
    pub messages: BTreeMap<String, Message>,
    /// Enums by full name.
    pub enums: BTreeMap<String, Enum>,
    /// Whether JSON leaves out what is its default and has no presence.
    pub omit_defaults: bool,
    /// Whether its description leaves WebSockets out.
    pub omit_websockets: bool,
}

/// The method of a rule for whichever method a request has.
pub const ANY_METHOD: &str = "*";

/// The message that is an HTTP body as it is.
pub const HTTP_BODY: &str = "google.api.HttpBody";

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Its package.
    pub package: String,
    /// Its name in the package.
    pub name: String,
    /// Comments.
    pub docs: String,
    /// Options.
    pub options: ServiceOptions,
    /// Its RPCs.
    pub methods: Vec<Method>,
}

impl Service {
    /// Name with the package.
    pub fn full_name(&self) -> String {
        qualified(&self.package, &self.name)
    }
}

/// A name in its package.
pub fn qualified(package: &str, name: &str) -> String {
    if package.is_empty() {
        name.to_owned()
    } else {
        format!("{package}.{name}")
    }
}

/// An RPC.
#[derive(Debug)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Comments.
    pub docs: String,
    /// Whether it should no longer be used.
    pub deprecated: bool,
    /// Full name of the request, or of a message of it where it is a stream.
    pub input: String,
    /// Full name of the answer, or of a message of it where it is a stream.
    pub output: String,
    /// Whether the request is a stream.
    pub client_streaming: bool,
    /// Whether the answer is a stream.
    pub streaming: bool,
    /// The field of the answer that is its entity tag; empty without one.
    pub etag: Vec<String>,
    /// Options.
    pub options: MethodOptions,
    /// `google.protobuf.MethodOptions.IdempotencyLevel`.
    pub idempotency: i32,
    /// Its HTTP mappings.
    pub bindings: Vec<Binding>,
    /// How the Location header is made of the answer: literal pieces and fields by turns.
    pub location: Vec<LocationPart>,
    /// What its Link header is made of.
    pub links: Links,
}

impl Method {
    /// Whether its request, its answer or both are streams.
    pub const fn is_streaming(&self) -> bool {
        self.client_streaming || self.streaming
    }
}

/// What a Link header is made of: for each kind of page the field of the request, and the path of that of the answer
/// which says how far it goes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Links {
    /// By numbers.
    pub pages: Option<(String, Vec<String>)>,
    /// By tokens.
    pub tokens: Option<(String, Vec<String>)>,
}

impl Links {
    /// Whether there are any in the answer to a request like this.
    pub fn are_in(&self, binding: &Binding) -> bool {
        binding.method == "GET" && (self.pages.is_some() || self.tokens.is_some())
    }
}

/// A piece of a Location template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationPart {
    /// Text.
    Literal(String),
    /// A string field of the answer.
    Field(Vec<String>),
}

/// An HTTP mapping.
#[derive(Debug)]
pub struct Binding {
    /// HTTP method.
    pub method: String,
    /// Path.
    pub template: Template,
    /// Where the body goes.
    pub body: Body,
    /// The field of the answer that is the body.
    pub response_body: Option<String>,
}

/// Where a body goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// It takes none.
    None,
    /// Into the request.
    Whole,
    /// Into a field of the request.
    Field(String),
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Its package.
    pub package: String,
    /// Names of the messages around it and its own, such as `["Outer", "Inner"]`.
    pub path: Vec<String>,
    /// Comments.
    pub docs: String,
    /// Fields in the order of the file.
    pub fields: Vec<Field>,
    /// Oneofs that a person wrote.
    pub oneofs: Vec<Oneof>,
    /// How it travels, when it is an event.
    pub event: Option<Event>,
    /// What it is in JSON and in Rust, where it is a well-known type that an RPC takes or answers with. Such a message
    /// has no fields here.
    pub well_known: Option<Type>,
}

/// What makes a message an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Topic.
    pub topic: String,
    /// Version of the schema.
    pub version: String,
    /// Which way it goes.
    pub direction: Direction,
    /// Topic for what could not be handled.
    pub dead_letter_topic: Option<String>,
}

/// Which way an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the service.
    Published,
    /// To the service.
    Subscribed,
}

impl Message {
    /// Its own name, without those of the messages around it.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The type of the event it is: its name without `Event` at the end.
    pub fn event_type(&self) -> &str {
        let name = self.name();
        name.strip_suffix("Event")
            .filter(|stem| !stem.is_empty())
            .unwrap_or(name)
    }

    /// A field by its name in the proto.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A oneof.
#[derive(Debug)]
pub struct Oneof {
    /// Its name.
    pub name: String,
    /// Whether a member must be set.
    pub required: bool,
}

/// A field.
#[derive(Debug)]
pub struct Field {
    /// Its name in the proto.
    pub name: String,
    /// Its name in JSON.
    pub json_name: String,
    /// Comments.
    pub docs: String,
    /// Whether it should no longer be used.
    pub deprecated: bool,
    /// How it holds its values.
    pub shape: Shape,
    /// What a value is; for a map, its values.
    pub ty: Type,
    /// Rules.
    pub rules: FieldRules,
    /// What a violation of the pattern says.
    pub message: String,
    /// Whether its strings hold no U+0000.
    pub no_null_characters: bool,
    /// Example, as JSON or a bare word.
    pub example: String,
    /// `google.api.FieldBehavior`.
    pub behavior: Vec<i32>,
    /// Whether its values are secrets, by `debug_redact`.
    pub secret: bool,
}

impl Field {
    /// Whether it has a behaviour.
    pub fn is(&self, behavior: i32) -> bool {
        self.behavior.contains(&behavior)
    }

    /// Whether it is one `google.api.HttpBody`.
    pub fn is_http_body(&self) -> bool {
        matches!(&self.ty, Type::Message(name) if name == HTTP_BODY)
            && !matches!(self.shape, Shape::Repeated | Shape::Map(_))
    }

    /// Whether it is a file in a form, or any number of them.
    pub fn is_file(&self) -> bool {
        matches!(&self.ty, Type::Message(name) if name == HTTP_BODY)
            && !matches!(self.shape, Shape::Map(_))
    }

    /// Whether it must be given.
    pub fn required(&self) -> bool {
        self.rules.required == Some(true) || self.is(crate::options::BEHAVIOR_REQUIRED)
    }
}

/// How a field holds its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// One, that is its default when it is not set.
    Implicit,
    /// One or none.
    Optional,
    /// One or none, in a box, since its message contains itself.
    Boxed,
    /// Any number.
    Repeated,
    /// By key.
    Map(Scalar),
    /// One of a oneof, by the oneof's place in the message; boxed when the message contains itself.
    Oneof {
        /// Place in [`Message::oneofs`].
        index: usize,
        /// In a box.
        boxed: bool,
    },
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A scalar.
    Scalar(Scalar),
    /// A decimal in a string.
    Decimal(Decimal),
    /// An enum, by full name.
    Enum(String),
    /// A message of the contract, by full name.
    Message(String),
    /// A well-known type.
    WellKnown(WellKnown),
    /// A wrapper of a scalar.
    Wrapper(Scalar),
}

/// Scalars that differ in JSON or in Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// double
    Double,
    /// float
    Float,
    /// int32, sint32, sfixed32
    Int32,
    /// int64, sint64, sfixed64
    Int64,
    /// uint32, fixed32
    UInt32,
    /// uint64, fixed64
    UInt64,
    /// bool
    Bool,
    /// string
    String,
    /// bytes
    Bytes,
}

/// Well-known types with a JSON form of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WellKnown {
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// `google.protobuf.Duration`
    Duration,
    /// `google.protobuf.FieldMask`
    FieldMask,
    /// `google.protobuf.Struct`
    Struct,
    /// `google.protobuf.Value`
    Value,
    /// `google.protobuf.ListValue`
    ListValue,
    /// `google.protobuf.NullValue`
    NullValue,
    /// `google.protobuf.Empty`
    Empty,
    /// `google.protobuf.Any`
    Any,
}

impl Field {
    /// Whether its value is a message by itself, and so may be all of a body in the binary form.
    pub fn is_one_message(&self) -> bool {
        let one = !matches!(self.shape, Shape::Repeated | Shape::Map(_));
        one && match self.ty {
            Type::Message(_) | Type::Wrapper(_) => true,
            // It is an enum.
            Type::WellKnown(kind) => kind != WellKnown::NullValue,
            Type::Scalar(_) | Type::Decimal(_) | Type::Enum(_) => false,
        }
    }
}

impl Type {
    /// Whether a path or a query can hold it.
    pub fn is_text(&self) -> bool {
        match self {
            Self::Scalar(_) | Self::Decimal(_) | Self::Enum(_) | Self::Wrapper(_) => true,
            Self::Message(_) => false,
            Self::WellKnown(kind) => {
                matches!(
                    kind,
                    WellKnown::Timestamp | WellKnown::Duration | WellKnown::FieldMask
                )
            }
        }
    }
}

/// An enum.
#[derive(Debug)]
pub struct Enum {
    /// Its package.
    pub package: String,
    /// Names of the messages around it and its own.
    pub path: Vec<String>,
    /// Comments.
    pub docs: String,
    /// Values in the order of the file.
    pub values: Vec<EnumValue>,
}

impl Enum {
    /// Whether its values name errors.
    pub fn names_errors(&self) -> bool {
        self.values
            .iter()
            .any(|value| !value.options.grpc_codes.is_empty())
    }

    /// Whether the contract gives its values names in JSON, by which alone it is then read.
    pub fn has_json_names(&self) -> bool {
        self.values
            .iter()
            .any(|value| !value.options.json_name.is_empty())
    }

    /// The values a caller may send: all but the zero value that stands for nothing said.
    pub fn callable(&self) -> impl Iterator<Item = &EnumValue> {
        self.values
            .iter()
            .filter(|value| !(value.number == 0 && value.name.ends_with("_UNSPECIFIED")))
    }
}

/// A value of an enum.
#[derive(Debug)]
pub struct EnumValue {
    /// Its name in the proto.
    pub name: String,
    /// Its name in JSON.
    pub json_name: String,
    /// Its number.
    pub number: i32,
    /// Comments.
    pub docs: String,
    /// Options.
    pub options: EnumValueOptions,
}
