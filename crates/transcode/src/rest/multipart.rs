//! Requests that are forms, `multipart/form-data`: a part for each field of the request, files where it has
//! `google.api.HttpBody`, texts everywhere else.

mod parser;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::RawBody;
use super::form::MULTIPART;
use crate::json::{Binder, Context, Source, too_deep};
use parser::{Malformed, Part, parameter};

/// The fields of a request that are files; generated.
pub struct Files<Req> {
    /// The names of each, after those of the messages that it is inside of: each name in JSON and in the proto.
    pub names: &'static [&'static [[&'static str; 2]]],
    /// Puts a file into the field of a place in `names`. Says what is wrong when it, or another of its oneof, is there
    /// already.
    pub put: fn(&mut Req, usize, RawBody) -> Option<&'static str>,
}

impl<Req> Clone for Files<Req> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req> Copy for Files<Req> {}

/// A form that was read.
pub(super) struct Multipart(Vec<Part>);

/// The Content-Type of a form; none for what says it is something else.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let text = HeaderValue::to_str(value).ok()?;
    let essence = text.split(';').next()?.trim();
    essence.eq_ignore_ascii_case(MULTIPART).then_some(text)
}

impl Multipart {
    /// Takes a body apart.
    pub(super) fn read(content_type: &str, body: &Bytes) -> Result<Self, Malformed> {
        let boundary = parameter(content_type, "boundary").unwrap_or_default();
        parser::parts(body, &boundary).map(Self)
    }

    /// Binds the parts, each like a parameter of a query, but for files.
    pub(super) fn bind<Req: Binder>(
        self,
        message: &mut Req,
        files: &Files<Req>,
        context: &mut Context,
    ) {
        for part in self.0.into_iter().filter(|part| !part.is_left_out) {
            let place = files.names.iter().position(|path| is(&part.name, path));
            if let Some(place) = place {
                let raw = RawBody {
                    content_type: part.content_type,
                    data: part.data,
                };
                if let Some(wrong) = (files.put)(message, place, raw) {
                    let names: Vec<_> = files.names[place].iter().map(|[name, _]| *name).collect();
                    context.violations.add_at(names.join("."), wrong);
                }
            } else if too_deep(&part.name) {
                context.unknown(&part.name);
            } else if part.is_file {
                let name = part.name;
                context.violations.key(name, |at| at.add("Takes no file"));
            } else if let Some(text) = text(&part) {
                context.bind_from(Source::Query, |context| {
                    message.bind(&part.name, text, context);
                });
            } else {
                let name = part.name;
                context.violations.key(name, |at| at.add("Must be UTF-8"));
            }
        }
    }
}

/// Whether a part is of a field, with dots between the names, each in one of its spellings.
fn is(name: &str, path: &[[&str; 2]]) -> bool {
    let mut names = name.split('.');
    path.iter()
        .all(|spellings| names.next().is_some_and(|name| spellings.contains(&name)))
        && names.next().is_none()
}

/// The text of a part; none for what is not UTF-8, or says so.
fn text(part: &Part) -> Option<&str> {
    let charset = parameter(&part.content_type, "charset");
    if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return None;
    }
    std::str::from_utf8(&part.data).ok()
}
