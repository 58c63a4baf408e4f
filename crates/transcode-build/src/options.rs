//! The options a contract carries, as typed values.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

/// `google.api.HttpRule`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pub pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    pub body: String,
    #[prost(message, repeated, tag = "11")]
    pub additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    pub response_body: String,
}

/// Method and path of an [`HttpRule`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(CustomHttpPattern),
}

/// `google.api.CustomHttpPattern`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct CustomHttpPattern {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(string, tag = "2")]
    pub path: String,
}

/// `transcode.v1.MethodOptions`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct MethodOptions {
    #[prost(string, repeated, tag = "1")]
    pub scopes: Vec<String>,
    #[prost(bool, tag = "2")]
    pub public: bool,
    #[prost(int32, tag = "3")]
    pub success_status: i32,
    #[prost(string, tag = "4")]
    pub location: String,
    #[prost(int32, tag = "5")]
    pub rate_class: i32,
    #[prost(bool, tag = "6")]
    pub audit: bool,
    #[prost(string, tag = "7")]
    pub cache_control: String,
    #[prost(string, repeated, tag = "8")]
    pub reasons: Vec<String>,
    #[prost(bool, tag = "9")]
    pub idempotency_key: bool,
    #[prost(string, tag = "10")]
    pub sse_id: String,
    #[prost(string, tag = "11")]
    pub last_event_id: String,
    #[prost(message, optional, tag = "12")]
    pub links: Option<Links>,
    #[prost(string, tag = "13")]
    pub etag: String,
    #[prost(string, tag = "14")]
    pub if_match: String,
    #[prost(int64, optional, tag = "15")]
    pub max_request_bytes: Option<i64>,
}

/// `transcode.v1.Links`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Links {
    #[prost(string, tag = "1")]
    pub page: String,
    #[prost(string, tag = "2")]
    pub page_count: String,
    #[prost(string, tag = "3")]
    pub page_token: String,
    #[prost(string, tag = "4")]
    pub next_page_token: String,
}

/// `transcode.v1.ServiceOptions`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct ServiceOptions {
    #[prost(bool, tag = "1")]
    pub envelope: bool,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(string, tag = "3")]
    pub tag: String,
}

/// `transcode.v1.EventOptions`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct EventOptions {
    #[prost(string, tag = "1")]
    pub topic: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(int32, tag = "3")]
    pub direction: i32,
    #[prost(string, tag = "4")]
    pub dead_letter_topic: String,
}

/// `transcode.v1.FieldOptions`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct FieldOptions {
    #[prost(message, optional, tag = "1")]
    pub decimal: Option<Decimal>,
    #[prost(string, tag = "2")]
    pub example: String,
    #[prost(string, tag = "3")]
    pub message: String,
    #[prost(bool, tag = "4")]
    pub no_null_characters: bool,
}

/// `transcode.v1.Decimal`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct Decimal {
    #[prost(int32, tag = "1")]
    pub integer_digits: i32,
    #[prost(int32, tag = "2")]
    pub fraction_digits: i32,
}

/// `transcode.v1.EnumValueOptions`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct EnumValueOptions {
    #[prost(string, tag = "1")]
    pub json_name: String,
    #[prost(int32, repeated, tag = "2")]
    pub grpc_codes: Vec<i32>,
}

/// `transcode.v1.FileOptions`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct FileOptions {
    #[prost(string, tag = "1")]
    pub title: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(string, tag = "3")]
    pub description: String,
    #[prost(string, repeated, tag = "4")]
    pub servers: Vec<String>,
    #[prost(string, tag = "5")]
    pub license: String,
    #[prost(string, tag = "6")]
    pub contact_name: String,
    #[prost(string, tag = "7")]
    pub contact_url: String,
    #[prost(string, tag = "8")]
    pub events_description: String,
}

/// `buf.validate.OneofRules`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct OneofRules {
    #[prost(bool, optional, tag = "1")]
    pub required: Option<bool>,
}

/// `buf.validate.FieldRules`.
#[derive(Clone, PartialEq, Message)]
pub struct FieldRules {
    #[prost(bool, optional, tag = "25")]
    pub required: Option<bool>,
    #[prost(int32, optional, tag = "27")]
    pub ignore: Option<i32>,
    #[prost(oneof = "TypeRules", tags = "1, 2, 3, 4, 5, 6, 14, 15, 16, 18, 19")]
    pub rules: Option<TypeRules>,
}

/// `buf.validate.Ignore.IGNORE_IF_ZERO_VALUE`.
pub const IGNORE_IF_ZERO_VALUE: i32 = 1;
/// `buf.validate.Ignore.IGNORE_ALWAYS`.
pub const IGNORE_ALWAYS: i32 = 3;

/// Rules by the type of a field.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum TypeRules {
    #[prost(message, tag = "1")]
    Float(FloatRules),
    #[prost(message, tag = "2")]
    Double(DoubleRules),
    #[prost(message, tag = "3")]
    Int32(Int32Rules),
    #[prost(message, tag = "4")]
    Int64(Int64Rules),
    #[prost(message, tag = "5")]
    UInt32(UInt32Rules),
    #[prost(message, tag = "6")]
    UInt64(UInt64Rules),
    #[prost(message, tag = "14")]
    String(StringRules),
    #[prost(message, tag = "15")]
    Bytes(BytesRules),
    #[prost(message, tag = "16")]
    Enum(EnumRules),
    #[prost(message, tag = "18")]
    Repeated(Box<RepeatedRules>),
    #[prost(message, tag = "19")]
    Map(Box<MapRules>),
}

macro_rules! number_rules {
    ($($name:ident, $kind:ident, $type:ty;)*) => {
        $(
            #[doc = concat!("`buf.validate.", stringify!($name), "`.")]
            #[derive(Clone, PartialEq, Message)]
            pub struct $name {
                #[prost($kind, optional, tag = "2")]
                pub lt: Option<$type>,
                #[prost($kind, optional, tag = "3")]
                pub lte: Option<$type>,
                #[prost($kind, optional, tag = "4")]
                pub gt: Option<$type>,
                #[prost($kind, optional, tag = "5")]
                pub gte: Option<$type>,
            }

            impl From<&$name> for Bounds {
                fn from(rules: &$name) -> Self {
                    let text = |bound: Option<$type>| bound.map(|bound| bound.to_string());
                    Self { lt: text(rules.lt), lte: text(rules.lte), gt: text(rules.gt), gte: text(rules.gte) }
                }
            }
        )*
    };
}

number_rules! {
    FloatRules, float, f32;
    DoubleRules, double, f64;
    Int32Rules, int32, i32;
    Int64Rules, int64, i64;
    UInt32Rules, uint32, u32;
    UInt64Rules, uint64, u64;
}

/// The bounds of a number of any type, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    pub lt: Option<String>,
    pub lte: Option<String>,
    pub gt: Option<String>,
    pub gte: Option<String>,
}

impl TypeRules {
    /// The bounds, when these are rules of a number.
    pub fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Float(rules) => Some(rules.into()),
            Self::Double(rules) => Some(rules.into()),
            Self::Int32(rules) => Some(rules.into()),
            Self::Int64(rules) => Some(rules.into()),
            Self::UInt32(rules) => Some(rules.into()),
            Self::UInt64(rules) => Some(rules.into()),
            _ => None,
        }
    }
}

/// `buf.validate.StringRules`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct StringRules {
    #[prost(uint64, optional, tag = "2")]
    pub min_len: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub max_len: Option<u64>,
    #[prost(string, optional, tag = "6")]
    pub pattern: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub prefix: Option<String>,
    #[prost(string, repeated, tag = "10")]
    pub r#in: Vec<String>,
    #[prost(uint64, optional, tag = "19")]
    pub len: Option<u64>,
}

impl StringRules {
    /// The least and the greatest length.
    pub fn lengths(&self) -> (Option<u64>, Option<u64>) {
        (self.len.or(self.min_len), self.len.or(self.max_len))
    }
}

/// `buf.validate.BytesRules`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct BytesRules {
    #[prost(uint64, optional, tag = "2")]
    pub min_len: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub max_len: Option<u64>,
}

/// `buf.validate.EnumRules`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct EnumRules {
    #[prost(bool, optional, tag = "2")]
    pub defined_only: Option<bool>,
    #[prost(int32, repeated, packed = "false", tag = "4")]
    pub not_in: Vec<i32>,
}

/// `buf.validate.RepeatedRules`.
#[derive(Clone, PartialEq, Message)]
pub struct RepeatedRules {
    #[prost(uint64, optional, tag = "1")]
    pub min_items: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub max_items: Option<u64>,
    #[prost(message, optional, boxed, tag = "4")]
    pub items: Option<Box<FieldRules>>,
}

/// `buf.validate.MapRules`.
#[derive(Clone, PartialEq, Message)]
pub struct MapRules {
    #[prost(uint64, optional, tag = "1")]
    pub min_pairs: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub max_pairs: Option<u64>,
    #[prost(message, optional, boxed, tag = "4")]
    pub keys: Option<Box<FieldRules>>,
    #[prost(message, optional, boxed, tag = "5")]
    pub values: Option<Box<FieldRules>>,
}

/// The extension of this name in some options, when it is set.
pub fn extension<T: Message + Default>(
    pool: &DescriptorPool,
    options: &DynamicMessage,
    name: &str,
) -> Option<T> {
    let extension = pool.get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    options
        .get_extension(&extension)
        .as_message()?
        .transcode_to()
        .ok()
}

/// The rules of this name in some options, when they are set. The bundled file has the rules that are compiled; a contract
/// may bring the whole one along, of which no rule is left out in silence.
///
/// # Errors
/// What is wrong: the name of a rule that is not compiled.
pub fn rules<T: Message + Default>(
    pool: &DescriptorPool,
    options: &DynamicMessage,
    name: &str,
) -> Result<Option<T>, String> {
    let Some(extension) = pool.get_extension_by_name(name) else {
        return Ok(None);
    };
    if !options.has_extension(&extension) {
        return Ok(None);
    }
    let value = options.get_extension(&extension);
    let Some(said) = value.as_message() else {
        return Ok(None);
    };
    let rules: T = said.transcode_to().map_err(|error| error.to_string())?;
    let mut kept = DynamicMessage::new(said.descriptor());
    kept.transcode_from(&rules)
        .map_err(|error| error.to_string())?;
    match left_out(said, &kept) {
        Some(rule) => Err(format!("the rule `{rule}` is not supported")),
        None => Ok(Some(rules)),
    }
}

/// The first thing of a message that a copy does not have.
fn left_out(said: &DynamicMessage, kept: &DynamicMessage) -> Option<String> {
    for (field, value) in said.fields() {
        if !kept.has_field(&field) {
            return Some(field.name().to_owned());
        }
        if let (Value::Message(said), Value::Message(kept)) = (value, &*kept.get_field(&field))
            && let Some(inner) = left_out(said, kept)
        {
            return Some(format!("{}.{inner}", field.name()));
        }
    }
    let mut extensions = said.extensions();
    extensions
        .next()
        .map(|(extension, _)| extension.full_name().to_owned())
}

/// `debug_redact` of a field. The version of `FieldOptions` that is compiled in does not have it yet.
pub fn debug_redact(options: &DynamicMessage) -> bool {
    let value = options.get_field_by_name("debug_redact");
    value.is_some_and(|value| value.as_bool() == Some(true))
}

/// `google.api.field_behavior` of a field, as numbers.
pub fn field_behavior(pool: &DescriptorPool, options: &DynamicMessage) -> Vec<i32> {
    let Some(extension) = pool.get_extension_by_name("google.api.field_behavior") else {
        return Vec::new();
    };
    match &*options.get_extension(&extension) {
        Value::List(list) => list.iter().filter_map(Value::as_enum_number).collect(),
        _ => Vec::new(),
    }
}

/// `REQUIRED`.
pub const BEHAVIOR_REQUIRED: i32 = 2;
/// `OUTPUT_ONLY`.
pub const BEHAVIOR_OUTPUT_ONLY: i32 = 3;
/// `IMMUTABLE`.
pub const BEHAVIOR_IMMUTABLE: i32 = 5;
