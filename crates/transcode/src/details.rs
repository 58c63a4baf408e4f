//! What an error says beside its message, as JSON.

use prost::Message;
use prost_types::Any;
use serde::Serialize;
use serde::ser::Serializer;
use serde_json::{Map, Value, json};
use tonic_types::pb;

use crate::json::{As, kind};

/// `{field: text}`.
pub(crate) struct Fields<'a>(pub(crate) &'a [(String, String)]);

impl Fields<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, text)| (field, text)))
    }
}

/// The details of a handler's error that nothing else in the answer says, as ProtoJSON has them. Those of a type that is
/// not known here, or that can't be read, say their type only. What is for developers only is left out.
///
/// `origin` is a `google.rpc.Status` as bytes; one that can't be read has no details.
pub(crate) fn typed(origin: &[u8]) -> Vec<Value> {
    let status = pb::Status::decode(origin).unwrap_or_default();
    status.details.iter().filter_map(detail).collect()
}

fn detail(any: &Any) -> Option<Value> {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let found = known(any);
    match name {
        // For developers only, in `details`, and in Retry-After.
        "google.rpc.DebugInfo" | "google.rpc.BadRequest" | "google.rpc.RetryInfo" => return None,
        // The reason is the name of the error.
        "google.rpc.ErrorInfo"
            if found
                .as_ref()
                .is_some_and(|info| info.get("metadata").is_none()) =>
        {
            return None;
        }
        _ => {}
    }
    let mut detail = Map::new();
    detail.insert("@type".to_owned(), json!(any.type_url));
    if let Some(Value::Object(fields)) = found {
        detail.extend(fields);
    }
    Some(Value::Object(detail))
}

/// A detail of a type of `google.rpc` as ProtoJSON has it; none for one of another type, or that can't be read.
pub(crate) fn known(any: &Any) -> Option<Value> {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let found = match name {
        "google.rpc.ErrorInfo" => read(any, |info: pb::ErrorInfo| error_info(&info)),
        "google.rpc.BadRequest" => read(any, bad_request),
        "google.rpc.RetryInfo" => read(any, |info: pb::RetryInfo| {
            let delay = info.retry_delay.unwrap_or_default();
            json!({"retryDelay": As::<kind::Duration>(&delay)})
        }),
        "google.rpc.QuotaFailure" => read(any, quota_failure),
        "google.rpc.PreconditionFailure" => read(any, precondition_failure),
        "google.rpc.RequestInfo" => read(
            any,
            |info: pb::RequestInfo| json!({"requestId": info.request_id, "servingData": info.serving_data}),
        ),
        "google.rpc.ResourceInfo" => read(any, |info: pb::ResourceInfo| {
            json!({
                "resourceType": info.resource_type,
                "resourceName": info.resource_name,
                "owner": info.owner,
                "description": info.description,
            })
        }),
        "google.rpc.Help" => read(any, |help: pb::Help| {
            let link =
                |link: &pb::help::Link| json!({"description": link.description, "url": link.url});
            json!({"links": help.links.iter().map(link).collect::<Vec<_>>()})
        }),
        "google.rpc.LocalizedMessage" => read(
            any,
            |text: pb::LocalizedMessage| json!({"locale": text.locale, "message": text.message}),
        ),
        _ => None,
    };
    found.map(|mut fields| {
        // A field that is its default says nothing.
        if let Value::Object(fields) = &mut fields {
            fields.retain(|_, value| value != "");
        }
        fields
    })
}

/// None for bytes that are not what they are said to be.
fn read<M: Message + Default>(any: &Any, write: impl FnOnce(M) -> Value) -> Option<Value> {
    M::decode(&*any.value).ok().map(write)
}

fn error_info(info: &pb::ErrorInfo) -> Value {
    let mut fields = json!({"reason": info.reason, "domain": info.domain});
    if !info.metadata.is_empty() {
        fields["metadata"] = json!(info.metadata);
    }
    fields
}

fn bad_request(bad: pb::BadRequest) -> Value {
    let violations = bad
        .field_violations
        .into_iter()
        .map(|violation| json!({"field": violation.field, "description": violation.description}));
    json!({"fieldViolations": violations.collect::<Vec<_>>()})
}

fn precondition_failure(failure: pb::PreconditionFailure) -> Value {
    let violations = failure.violations.into_iter().map(|violation| {
        json!({
            "type": violation.r#type,
            "subject": violation.subject,
            "description": violation.description,
        })
    });
    json!({"violations": violations.collect::<Vec<_>>()})
}

fn quota_failure(failure: pb::QuotaFailure) -> Value {
    let violations = failure.violations.into_iter().map(|violation| {
        let mut fields = Map::new();
        for (name, text) in [
            ("subject", violation.subject),
            ("description", violation.description),
            ("apiService", violation.api_service),
            ("quotaMetric", violation.quota_metric),
            ("quotaId", violation.quota_id),
        ] {
            if !text.is_empty() {
                fields.insert(name.to_owned(), text.into());
            }
        }
        if !violation.quota_dimensions.is_empty() {
            let dimensions = json!(violation.quota_dimensions);
            fields.insert("quotaDimensions".to_owned(), dimensions);
        }
        // 64 bits are a string in ProtoJSON.
        if violation.quota_value != 0 {
            let value = violation.quota_value.to_string();
            fields.insert("quotaValue".to_owned(), value.into());
        }
        if let Some(value) = violation.future_quota_value {
            fields.insert("futureQuotaValue".to_owned(), value.to_string().into());
        }
        Value::Object(fields)
    });
    json!({"violations": violations.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(name: &str, value: Vec<u8>) -> Any {
        Any {
            type_url: format!("type.googleapis.com/{name}"),
            value,
        }
    }

    fn typed_of(details: Vec<Any>) -> Value {
        let status = pb::Status {
            details,
            ..pb::Status::default()
        };
        Value::Array(typed(&status.encode_to_vec()))
    }

    #[test]
    fn what_the_answer_says_elsewhere_is_left_out() {
        let info = pb::ErrorInfo {
            reason: "NOT_FOUND".to_owned(),
            ..pb::ErrorInfo::default()
        };
        let debug = pb::DebugInfo {
            detail: "secret".to_owned(),
            ..pb::DebugInfo::default()
        };
        let details = vec![
            any("google.rpc.ErrorInfo", info.encode_to_vec()),
            any("google.rpc.DebugInfo", debug.encode_to_vec()),
            any("google.rpc.BadRequest", Vec::new()),
            any("google.rpc.RetryInfo", Vec::new()),
        ];
        assert_eq!(typed_of(details), json!([]));
        assert_eq!(typed(b"no status"), Vec::<Value>::new());
    }

    #[test]
    fn quotas_as_protojson() {
        let violation = pb::quota_failure::Violation {
            subject: "project:7".to_owned(),
            quota_value: 5,
            future_quota_value: Some(0),
            ..pb::quota_failure::Violation::default()
        };
        let failure = pb::QuotaFailure {
            violations: vec![violation],
        };
        let details = vec![any("google.rpc.QuotaFailure", failure.encode_to_vec())];
        let expected = json!([{
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"subject": "project:7", "quotaValue": "5", "futureQuotaValue": "0"}],
        }]);
        assert_eq!(typed_of(details), expected);
    }

    #[test]
    fn what_is_not_known_says_its_type() {
        let details = vec![
            any("library.v1.Book", b"\x0a\x01x".to_vec()),
            any("google.rpc.Help", b"\xff".to_vec()),
            Any::default(),
        ];
        let expected = json!([
            {"@type": "type.googleapis.com/library.v1.Book"},
            {"@type": "type.googleapis.com/google.rpc.Help"},
            {"@type": ""},
        ]);
        assert_eq!(typed_of(details), expected);
    }
}
