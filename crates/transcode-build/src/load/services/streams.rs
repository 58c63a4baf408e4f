//! What holds for RPCs whose request or answer is a stream.

use super::At;
use crate::error::Error;
use crate::ir::{Api, Binding, Body, Message, Scalar, Shape, Type};
use crate::options::MethodOptions;

impl At<'_> {
    /// What the options of an RPC whose request is a stream must keep to.
    pub(super) fn takes_stream(
        &self,
        options: &MethodOptions,
        bindings: &[Binding],
    ) -> Result<(), Error> {
        for (option, given) in [
            ("idempotency_key", options.idempotency_key),
            ("last_event_id", !options.last_event_id.is_empty()),
            ("if_match", !options.if_match.is_empty()),
            ("links", options.links.is_some()),
        ] {
            if given {
                return Err(self.error(&format!("{option} is not for a request that is a stream")));
            }
        }
        if bindings.iter().any(|binding| binding.body == Body::None) {
            return Err(self.error("a request that is a stream needs a body"));
        }
        Ok(())
    }

    /// What the options of an RPC that answers with a stream must keep to.
    pub(super) fn answers_with_stream(
        &self,
        api: &Api,
        input: &Message,
        output: &Message,
        options: &MethodOptions,
        bindings: &[Binding],
    ) -> Result<(), Error> {
        // Bytes have an end, and may be kept as those of any other answer.
        let output_name = self.0.output().full_name().to_owned();
        let bytes = |binding| api.answers_bytes(&output_name, binding);
        let only_bytes = !bindings.is_empty() && bindings.iter().all(bytes);
        for (option, given) in [
            ("success_status", options.success_status != 0),
            ("location", !options.location.is_empty()),
            ("links", options.links.is_some()),
            ("etag", !options.etag.is_empty()),
            ("if_match", !options.if_match.is_empty()),
            (
                "cache_control",
                !options.cache_control.is_empty() && !only_bytes,
            ),
            ("idempotency_key", options.idempotency_key),
        ] {
            if given {
                return Err(self.error(&format!("{option} is not for an answer that is a stream")));
            }
        }
        for (option, name, message, what) in [
            ("sse_id", &options.sse_id, output, "answer"),
            ("last_event_id", &options.last_event_id, input, "request"),
        ] {
            let fits = message.field(name).is_some_and(|field| {
                field.ty == Type::Scalar(Scalar::String)
                    && matches!(field.shape, Shape::Implicit | Shape::Optional)
            });
            if !name.is_empty() && !fits {
                return Err(self.error(&format!(
                    "{option} names `{name}`, which is no string field of the {what}"
                )));
            }
        }
        let resumes = !options.last_event_id.is_empty();
        if resumes && options.sse_id.is_empty() {
            return Err(
                self.error("last_event_id needs an sse_id: without ids there is no last one")
            );
        }
        let in_path = |binding: &Binding| {
            let mut variables = binding.template.variables.iter();
            variables.any(|variable| variable.field == [options.last_event_id.as_str()])
        };
        if resumes && bindings.iter().any(in_path) {
            return Err(self.error(&format!(
                "last_event_id names `{}`, which stands in the path",
                options.last_event_id
            )));
        }
        Ok(())
    }

    /// Bytes have no ids between them.
    pub(super) fn ids(
        &self,
        api: &Api,
        options: &MethodOptions,
        bindings: &[Binding],
    ) -> Result<(), Error> {
        let output = self.0.output();
        let bytes = |binding| api.answers_bytes(output.full_name(), binding);
        if !options.sse_id.is_empty() && bindings.iter().any(bytes) {
            return Err(self.error("sse_id is not for an answer that is google.api.HttpBody"));
        }
        Ok(())
    }
}
