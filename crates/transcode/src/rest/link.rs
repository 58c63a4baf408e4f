//! `Link` headers (RFC 8288) of answers that are pages of a list.

use std::fmt::Write as _;

use http::{HeaderMap, Uri, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::bind::decode;
use super::{escape_segment, render};

/// What of a path has to be escaped where it stands between `<` and `>` in a header.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How the pages of a list are asked for, and how far an answer says they go; generated.
pub struct Links<Res> {
    /// Pages by their number.
    pub pages: Option<Pages<Res>>,
    /// Pages by a token.
    pub tokens: Option<Tokens<Res>>,
}

/// Pages by their number, from 1.
pub struct Pages<Res> {
    /// The parameter that takes the number: its name in JSON and in the contract.
    pub parameter: [&'static str; 2],
    /// How many pages there are.
    pub count: fn(&Res) -> Option<i64>,
}

/// Pages by a token.
pub struct Tokens<Res> {
    /// The parameter that takes the token: its name in JSON and in the contract.
    pub parameter: [&'static str; 2],
    /// The token of the next page, if there is one.
    pub next: fn(&Res) -> Option<&str>,
}

impl<Res> Links<Res> {
    /// Adds the header to an answer to `uri`. A caller who came by a token is led on by tokens, any other by numbers
    /// where pages have them.
    pub(super) fn insert(&self, uri: &Uri, answer: &Res, headers: &mut HeaderMap) {
        let mut list = List::new(uri);
        let token = self
            .tokens
            .as_ref()
            .map(|tokens| (list.take(tokens.parameter), tokens));
        let page = self
            .pages
            .as_ref()
            .map(|pages| (list.take(pages.parameter), pages));
        match (token, page) {
            (token, Some((page, pages)))
                if token.as_ref().is_none_or(|(came, _)| came.is_none()) =>
            {
                let [name, _] = pages.parameter;
                // What is no number was refused before.
                let page = page.map_or(1, |text| text.parse().unwrap_or(1_i64));
                let last = (pages.count)(answer).unwrap_or_default();
                let mut add =
                    |relation, page: i64| list.add(relation, Some((name, &page.to_string())));
                add("first", 1);
                if page > 1 {
                    add("prev", (page - 1).min(last).max(1));
                }
                if page < last {
                    add("next", page + 1);
                }
                if last > 0 {
                    add("last", last);
                }
            }
            (Some((_, tokens)), _) => {
                let [name, _] = tokens.parameter;
                list.add("first", None);
                if let Some(next) = (tokens.next)(answer).filter(|token| !token.is_empty()) {
                    list.add("next", Some((name, next)));
                }
            }
            (None, _) => {}
        }
        if !list.links.is_empty() {
            render::insert(headers, header::LINK, &list.links);
        }
    }
}

/// Links to pages of one list.
struct List {
    path: String,
    /// The parameters that every page has, escaped.
    query: Vec<(String, String)>,
    links: String,
}

impl List {
    fn new(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&');
        let query = pairs.filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?.into_owned(), decode(value)?.into_owned()))
        });
        Self {
            path: utf8_percent_encode(uri.path(), PATH).to_string(),
            query: query.collect(),
            links: String::new(),
        }
    }

    /// Takes a parameter out; tells its value.
    fn take(&mut self, names: [&str; 2]) -> Option<String> {
        let mut taken = None;
        self.query.retain_mut(|(name, value)| {
            let found = names.contains(&name.as_str());
            if found {
                taken = Some(std::mem::take(value));
            }
            !found
        });
        taken
    }

    fn add(&mut self, relation: &str, parameter: Option<(&str, &str)>) {
        let separator = if self.links.is_empty() { "" } else { ", " };
        let _ = write!(self.links, "{separator}<{}", self.path);
        let own = self.query.iter().map(|(name, value)| (&**name, &**value));
        for (index, (name, value)) in own.chain(parameter).enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            let (name, value) = (escape_segment(name), escape_segment(value));
            let _ = write!(self.links, "{separator}{name}={value}");
        }
        let _ = write!(self.links, ">; rel=\"{relation}\"");
    }
}
