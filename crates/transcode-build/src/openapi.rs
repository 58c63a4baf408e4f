//! placeholder
use crate::{Error, ir::Api};
use serde_json::Value;
/// doc
pub fn document(_: &Api) -> Value {
    Value::Null
}
/// json
pub fn json(v: &Value) -> Result<String, Error> {
    serde_json::to_string_pretty(v).map_err(|e| Error::Description(e.to_string()))
}
/// yaml
pub fn yaml(v: &Value) -> Result<String, Error> {
    serde_yaml_ng::to_string(v).map_err(|e| Error::Description(e.to_string()))
}
