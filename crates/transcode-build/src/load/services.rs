//! Services, RPCs and their HTTP mappings.

mod streams;

use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use super::{Loader, place};
use crate::Undeclared;
use crate::error::Error;
use crate::ir::{
    ANY_METHOD, Api, Binding, Body, Field, Links, LocationPart, Message, Method, Scalar, Service,
    Shape, Type,
};
use crate::options::{HttpRule, MethodOptions, Pattern, ServiceOptions, extension};
use crate::template::{Segment, Template};

impl Loader<'_> {
    pub(super) fn service(
        &self,
        api: &Api,
        descriptor: &ServiceDescriptor,
    ) -> Result<Service, Error> {
        let options: ServiceOptions =
            extension(self.pool, &descriptor.options(), "transcode.v1.service").unwrap_or_default();
        Ok(Service {
            package: descriptor.package_name().to_owned(),
            name: descriptor.name().to_owned(),
            docs: self.docs.of(&descriptor.parent_file(), descriptor.path()),
            options,
            methods: descriptor
                .methods()
                .map(|method| self.method(api, &method))
                .collect::<Result<_, _>>()?,
        })
    }

    fn method(&self, api: &Api, descriptor: &MethodDescriptor) -> Result<Method, Error> {
        let at = At(descriptor);
        let options = extension(self.pool, &descriptor.options(), "transcode.v1.method");
        let options = at.access(options, self.choices.undeclared)?;
        if options.success_status != 0 && !(200..300).contains(&options.success_status) {
            return Err(at.error("success_status must be between 200 and 299"));
        }
        let names: Vec<_> = api
            .enums
            .values()
            .filter(|found| found.names_errors())
            .collect();
        for reason in &options.reasons {
            if !names
                .iter()
                .any(|found| found.values.iter().any(|value| value.json_name == *reason))
            {
                return Err(at.error(&format!("no error enum has the reason `{reason}`")));
            }
        }
        let input = at.known(api, descriptor.input().full_name())?;
        let output = at.known(api, descriptor.output().full_name())?;
        let mut bindings = Vec::new();
        let rule = extension::<HttpRule>(self.pool, &descriptor.options(), "google.api.http");
        let served = !self.choices.grpc_only.contains(descriptor.full_name());
        if let Some(rule) = rule.filter(|_| served) {
            bindings.push(at.binding(api, input, output, &rule)?);
            for additional in &rule.additional_bindings {
                if !additional.additional_bindings.is_empty() {
                    return Err(at.error("additional_bindings can't have additional_bindings"));
                }
                bindings.push(at.binding(api, input, output, additional)?);
            }
        }
        at.max_request_bytes(&options, &bindings)?;
        if descriptor.is_client_streaming() {
            at.takes_stream(&options, &bindings)?;
        }
        if descriptor.is_server_streaming() {
            at.answers_with_stream(api, input, output, &options, &bindings)?;
            at.ids(api, &options, &bindings)?;
        } else if !options.sse_id.is_empty() || !options.last_event_id.is_empty() {
            return Err(at.error("sse_id and last_event_id are for an answer that is a stream"));
        }
        at.if_match(input, &options, &bindings)?;
        at.bytes(api, &bindings)?;
        let proto = descriptor.method_descriptor_proto().options.as_ref();
        Ok(Method {
            name: descriptor.name().to_owned(),
            docs: self.docs.of(
                &descriptor.parent_service().parent_file(),
                descriptor.path(),
            ),
            deprecated: proto.is_some_and(prost_types::MethodOptions::deprecated),
            input: descriptor.input().full_name().to_owned(),
            output: descriptor.output().full_name().to_owned(),
            client_streaming: descriptor.is_client_streaming(),
            streaming: descriptor.is_server_streaming(),
            idempotency: proto.map_or(0, |options| options.idempotency_level() as i32),
            location: at.location(api, output, &options.location)?,
            links: at.links(api, input, output, &options)?,
            etag: at.etag(api, output, &options)?,
            options,
            bindings,
        })
    }
}

/// Whether a text is an HTTP method, or stands for any. Methods are told apart by case, and those of HTTP are in capitals.
fn is_method(text: &str) -> bool {
    text == ANY_METHOD
        || !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte))
}

/// An RPC, for errors about it.
struct At<'a>(&'a MethodDescriptor);

impl At<'_> {
    fn known<'a>(&self, api: &'a Api, name: &str) -> Result<&'a Message, Error> {
        api.messages
            .get(name)
            .ok_or_else(|| self.error(&format!("{name} is not a message of this contract")))
    }

    fn error(&self, message: &str) -> Error {
        let file = self.0.parent_service().parent_file();
        Error::Contract {
            place: place(&file, self.0.path(), self.0.full_name()),
            message: message.to_owned(),
        }
    }

    /// Who may call it.
    fn access(
        &self,
        options: Option<MethodOptions>,
        undeclared: Undeclared,
    ) -> Result<MethodOptions, Error> {
        let declared = options.is_some();
        let mut options = options.unwrap_or_default();
        match (undeclared, options.public, options.scopes.is_empty()) {
            (_, true, true) | (_, false, false) | (Undeclared::NotPublic, false, true) => {}
            (Undeclared::Public, false, true) => options.public = true,
            (Undeclared::Refused, false, true) if !declared => {
                return Err(self
                    .error("has no (transcode.v1.method): say its scopes, or that it is public"));
            }
            _ => return Err(self.error("needs scopes or `public: true`, one of them")),
        }
        Ok(options)
    }

    fn binding(
        &self,
        api: &Api,
        input: &Message,
        output: &Message,
        rule: &HttpRule,
    ) -> Result<Binding, Error> {
        let (method, path) = match rule.pattern.as_ref() {
            Some(Pattern::Get(path)) => ("GET", path),
            Some(Pattern::Put(path)) => ("PUT", path),
            Some(Pattern::Post(path)) => ("POST", path),
            Some(Pattern::Delete(path)) => ("DELETE", path),
            Some(Pattern::Patch(path)) => ("PATCH", path),
            Some(Pattern::Custom(custom)) if is_method(&custom.kind) => {
                (custom.kind.as_str(), &custom.path)
            }
            Some(Pattern::Custom(custom)) => {
                return Err(self.error(&format!("`{}` is no HTTP method", custom.kind)));
            }
            None => return Err(self.error("an HTTP rule needs a method and a path")),
        };
        let template =
            Template::parse(path).map_err(|invalid| self.error(&format!("`{path}`: {invalid}")))?;
        for variable in &template.variables {
            let name = variable.field.join(".");
            let field = self.resolve(api, input, &variable.field)?;
            if matches!(field.shape, Shape::Repeated | Shape::Map(_)) || !field.ty.is_text() {
                return Err(self.error(&format!(
                    "`{name}` can't be a path variable: it must hold one scalar"
                )));
            }
            let several = !matches!(
                template.segments[variable.start..variable.end],
                [Segment::Single | Segment::Literal(_)]
            );
            if several && field.ty != Type::Scalar(Scalar::String) {
                return Err(self.error(&format!(
                    "`{name}` covers several segments: it must be a string"
                )));
            }
        }
        let body = match rule.body.as_str() {
            "" => Body::None,
            "*" => Body::Whole,
            name => match input.field(name) {
                Some(_) => Body::Field(name.to_owned()),
                None => {
                    return Err(self.error(&format!(
                        "body names `{name}`, which is no field of the request"
                    )));
                }
            },
        };
        if body != Body::None && matches!(method, "GET" | "HEAD") {
            return Err(self.error(&format!("{method} takes no body")));
        }
        let response_body = match rule.response_body.as_str() {
            "" => None,
            name if matches!(output.field(name), Some(field) if matches!(field.shape, Shape::Oneof { .. })) =>
            {
                return Err(self.error(&format!(
                    "response_body names `{name}`, which is one of a oneof"
                )));
            }
            name if output.field(name).is_some() => Some(name.to_owned()),
            name => {
                return Err(self.error(&format!(
                    "response_body names `{name}`, which is no field of the answer"
                )));
            }
        };
        Ok(Binding {
            method: method.to_owned(),
            template,
            body,
            response_body,
        })
    }

    /// A limit is one of a body.
    fn max_request_bytes(
        &self,
        options: &MethodOptions,
        bindings: &[Binding],
    ) -> Result<(), Error> {
        let Some(most) = options.max_request_bytes else {
            return Ok(());
        };
        if most <= 0 {
            return Err(self.error("max_request_bytes must be at least 1"));
        }
        if bindings.iter().all(|binding| binding.body == Body::None) {
            return Err(self.error("max_request_bytes is for an RPC that takes a body in REST"));
        }
        Ok(())
    }

    /// What is in the bytes of a body stands nowhere else.
    fn bytes(&self, api: &Api, bindings: &[Binding]) -> Result<(), Error> {
        let input = self.0.input();
        for binding in bindings {
            if !api.takes_bytes(input.full_name(), binding) {
                continue;
            }
            let in_body = |path: &[String]| match &binding.body {
                Body::Field(name) => path.first() == Some(name),
                _ => true,
            };
            let mut variables = binding.template.variables.iter();
            if let Some(variable) = variables.find(|variable| in_body(&variable.field)) {
                return Err(self.error(&format!(
                    "`{}` can't be a path variable: it is in the google.api.HttpBody that is the body",
                    variable.field.join(".")
                )));
            }
        }
        Ok(())
    }

    /// The field a path of names leads to.
    fn resolve<'a>(
        &self,
        api: &'a Api,
        message: &'a Message,
        path: &[String],
    ) -> Result<&'a crate::ir::Field, Error> {
        let unknown = || {
            self.error(&format!(
                "`{}` is no field of {}",
                path.join("."),
                message.path.join(".")
            ))
        };
        let (first, rest) = path.split_first().ok_or_else(unknown)?;
        let field = message.field(first).ok_or_else(unknown)?;
        if rest.is_empty() {
            return Ok(field);
        }
        match &field.ty {
            Type::Message(name) if !matches!(field.shape, Shape::Repeated | Shape::Map(_)) => {
                self.resolve(api, api.messages.get(name).ok_or_else(unknown)?, rest)
            }
            _ => Err(unknown()),
        }
    }

    /// Where the entity tag of an answer is.
    fn etag(
        &self,
        api: &Api,
        output: &Message,
        options: &MethodOptions,
    ) -> Result<Vec<String>, Error> {
        let name = &options.etag;
        if name.is_empty() {
            return Ok(Vec::new());
        }
        let path: Vec<_> = name.split('.').map(str::to_owned).collect();
        let is_string = |field: &Field| {
            field.ty == Type::Scalar(Scalar::String)
                && matches!(field.shape, Shape::Implicit | Shape::Optional)
        };
        if self.resolve(api, output, &path).is_ok_and(is_string) {
            Ok(path)
        } else {
            Err(self.error(&format!(
                "etag names `{name}`, which is no string field of the answer"
            )))
        }
    }

    /// What the If-Match header may fill: a field that no path and no body fills.
    fn if_match(
        &self,
        input: &Message,
        options: &MethodOptions,
        bindings: &[Binding],
    ) -> Result<(), Error> {
        let name = &options.if_match;
        if name.is_empty() {
            return Ok(());
        }
        let fits = |field: &Field| {
            field.ty == Type::Scalar(Scalar::String) && field.shape == Shape::Repeated
        };
        if !input.field(name).is_some_and(fits) {
            return Err(self.error(&format!(
                "if_match names `{name}`, which is no repeated string field of the request"
            )));
        }
        if bindings.iter().any(|binding| binding.body == Body::Whole) {
            return Err(self.error(&format!(
                "if_match names `{name}`, which stands in the body"
            )));
        }
        Ok(())
    }

    /// What the Link header is made of.
    fn links(
        &self,
        api: &Api,
        input: &Message,
        output: &Message,
        options: &MethodOptions,
    ) -> Result<Links, Error> {
        let Some(links) = &options.links else {
            return Ok(Links::default());
        };
        let is_integer = |field: &Field| {
            use Scalar::{Int32, Int64, UInt32};
            matches!(field.ty, Type::Scalar(Int32 | Int64 | UInt32))
        };
        let is_string = |field: &Field| field.ty == Type::Scalar(Scalar::String);
        let pair =
            |ask: [&str; 2], answer: [&str; 2], what: &str, fits: &dyn Fn(&Field) -> bool| {
                let ([name, value], [end_name, end]) = (ask, answer);
                if value.is_empty() && end.is_empty() {
                    return Ok(None);
                }
                let fits = |field: &Field| {
                    fits(field) && matches!(field.shape, Shape::Implicit | Shape::Optional)
                };
                if !input.field(value).is_some_and(fits) {
                    return Err(self.error(&format!(
                        "links.{name} names `{value}`, which is no {what} field of the request"
                    )));
                }
                let path: Vec<_> = end.split('.').map(str::to_owned).collect();
                if !self.resolve(api, output, &path).is_ok_and(fits) {
                    return Err(self.error(&format!(
                        "links.{end_name} names `{end}`, which is no {what} field of the answer"
                    )));
                }
                Ok(Some((value.to_owned(), path)))
            };
        let found = Links {
            pages: pair(
                ["page", &links.page],
                ["page_count", &links.page_count],
                "integer",
                &is_integer,
            )?,
            tokens: pair(
                ["page_token", &links.page_token],
                ["next_page_token", &links.next_page_token],
                "string",
                &is_string,
            )?,
        };
        if found == Links::default() {
            return Err(self.error("links names no fields"));
        }
        Ok(found)
    }

    fn location(
        &self,
        api: &Api,
        output: &Message,
        text: &str,
    ) -> Result<Vec<LocationPart>, Error> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = rest[open..]
                .find('}')
                .ok_or_else(|| self.error("location has a `{` without a `}`"))?
                + open;
            let path: Vec<String> = rest[open + 1..close]
                .split('.')
                .map(str::to_owned)
                .collect();
            let field = self.resolve(api, output, &path)?;
            if field.ty != Type::Scalar(Scalar::String)
                || !matches!(field.shape, Shape::Implicit | Shape::Optional)
            {
                return Err(self.error(&format!(
                    "location names `{}`, which is no string",
                    path.join(".")
                )));
            }
            parts.push(LocationPart::Literal(rest[..open].to_owned()));
            parts.push(LocationPart::Field(path));
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(LocationPart::Literal(rest.to_owned()));
        }
        Ok(parts)
    }
}
