//! The opening handshake: what a request must say to become a WebSocket, and what the answer says.
//!
//! What is refused here is refused in HTTP, before anybody is asked to let the call in. A browser shows its page none of
//! it, but every other caller reads it, and people who look for what is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tonic::Code;

use super::WebSockets;
use crate::lists::elements;
use crate::rest::accept;
use crate::rest::form::{self, BINARY, Form};
use crate::rest::{Body, Problem};

/// The subprotocol whose answers are JSON, in text messages.
const JSON_PROTOCOL: &str = "transcode.json";

/// The subprotocol whose answers are protobuf's binary form, in binary messages.
const BINARY_PROTOCOL: &str = "transcode.protobuf";

/// The version of RFC 6455.
const VERSION: &str = "13";

/// A handshake that is in order.
pub(super) struct Handshake {
    /// Of an upgrade of HTTP/1.1.
    key: Option<String>,
    protocol: Option<&'static str>,
    /// The form of answers that are messages.
    pub(super) form: Form,
    /// The connection, once the answer is on its way.
    pub(super) upgrade: OnUpgrade,
}

/// What answers an RPC has.
#[derive(Clone, Copy)]
pub(super) enum Offer {
    /// Bytes as they are, whatever is asked for.
    Bytes,
    /// JSON.
    Json,
    /// JSON, and the binary form.
    Both,
}

/// Whether a request asks for a WebSocket. Whether it does so in the right way is for [`Handshake::check`] to say.
pub(in crate::rest) fn is_asked(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> bool {
    match version {
        Version::HTTP_11 => {
            method == Method::GET
                && headers.contains_key(header::UPGRADE)
                && names(headers, &header::UPGRADE, "websocket")
        }
        // RFC 8441.
        Version::HTTP_2 => {
            let protocol = extensions.get::<Protocol>();
            method == Method::CONNECT
                && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
        }
        // HTTP/1.0 has no upgrades.
        _ => false,
    }
}

/// Whether a header that is a list has an element, in any case.
fn names(headers: &HeaderMap, name: &HeaderName, element: &str) -> bool {
    elements(headers, name).any(|found| found.trim().eq_ignore_ascii_case(element))
}

impl Handshake {
    /// Checks a request that [asks](is_asked) for a WebSocket. A token that it brings in a subprotocol is put where
    /// those of others are.
    pub(super) fn check(
        parts: &mut Parts,
        body: &Body,
        settings: &WebSockets,
        offer: Offer,
    ) -> Result<Self, Box<Problem>> {
        let headers = &parts.headers;
        let is_upgrade = parts.version == Version::HTTP_11;
        if is_upgrade && !names(headers, &header::CONNECTION, "upgrade") {
            return Err(bad("Connection must name upgrade"));
        }
        let version = only(headers, &header::SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != VERSION) {
            return Err(other_version(is_upgrade));
        }
        // In HTTP/2 nobody could take anything else for the answer.
        let key = is_upgrade.then(|| {
            only(headers, &header::SEC_WEBSOCKET_KEY)
                .filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16))
                .ok_or_else(|| bad("Sec-WebSocket-Key must be 16 bytes in base64"))
        });
        let key = key.transpose()?.map(str::to_owned);
        if !body.is_end_stream() {
            return Err(bad("The handshake of a WebSocket has no body"));
        }
        if !settings.admits(headers, &parts.uri) {
            let message = "Pages of this origin may not open WebSockets here";
            let status = StatusCode::FORBIDDEN;
            let problem = Problem::new(status, Code::PermissionDenied, message);
            return Err(Box::new(problem));
        }
        let protocol = protocol(parts, settings, offer).map_err(bad)?;
        let form = match (protocol, offer) {
            (Some(BINARY_PROTOCOL), _) => Form::Binary(BINARY[0]),
            (Some(_), _) | (None, Offer::Bytes) => Form::Json,
            (None, offer) => {
                let has_binary = matches!(offer, Offer::Both);
                let form = accept::message(&parts.headers, has_binary);
                form.ok_or_else(|| Problem::not_acceptable(form::offered(has_binary)))?
            }
        };
        let upgrade = parts.extensions.remove().ok_or_else(|| {
            let message = "This server does not let connections change their protocol";
            let status = StatusCode::NOT_IMPLEMENTED;
            Box::new(Problem::new(status, Code::Unimplemented, message))
        })?;
        Ok(Self {
            key,
            protocol,
            form,
            upgrade,
        })
    }

    /// The answer that makes the connection a WebSocket.
    pub(super) fn answer(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        if let Some(key) = &self.key {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            let accept = derive_accept_key(key.as_bytes());
            if let Ok(accept) = HeaderValue::try_from(accept) {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
        }
        let headers = response.headers_mut();
        if let Some(protocol) = self.protocol {
            let protocol = HeaderValue::from_static(protocol);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}

/// The error of a handshake of another version than that which is taken.
fn other_version(is_upgrade: bool) -> Box<Problem> {
    let status = if is_upgrade {
        StatusCode::UPGRADE_REQUIRED
    } else {
        StatusCode::BAD_REQUEST
    };
    let message = "Sec-WebSocket-Version must be 13";
    let problem = Problem::new(status, Code::InvalidArgument, message)
        .with_header(header::SEC_WEBSOCKET_VERSION, VERSION);
    Box::new(if is_upgrade {
        problem
            .with_header(header::UPGRADE, "websocket")
            .with_header(header::CONNECTION, "upgrade")
    } else {
        problem
    })
}

fn bad(message: impl Into<String>) -> Box<Problem> {
    let status = StatusCode::BAD_REQUEST;
    Box::new(Problem::new(status, Code::InvalidArgument, message))
}

/// The text of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

/// Chooses the subprotocol: the first of the caller's that there is.
fn protocol(
    parts: &mut Parts,
    settings: &WebSockets,
    offer: Offer,
) -> Result<Option<&'static str>, String> {
    let known: &[&'static str] = match offer {
        Offer::Json => &[JSON_PROTOCOL],
        Offer::Bytes | Offer::Both => &[JSON_PROTOCOL, BINARY_PROTOCOL],
    };
    let (mut given, mut chosen, mut token) = (false, None, None);
    for name in elements(&parts.headers, &header::SEC_WEBSOCKET_PROTOCOL) {
        let name = name.trim();
        given |= !name.is_empty();
        let bearer = settings
            .bearer_protocol
            .and_then(|prefix| name.strip_prefix(prefix));
        if let Some(text) = bearer {
            if token.replace(bearer_token(text)?).is_some() {
                return Err("Sec-WebSocket-Protocol must hold one token".to_owned());
            }
        } else if chosen.is_none() {
            chosen = known.iter().copied().find(|known| *known == name);
        }
    }
    if given && chosen.is_none() {
        // A browser takes no answer without one of those that it has offered, and the token's is never answered.
        let names = known.join(" or ");
        return Err(format!("Sec-WebSocket-Protocol must name {names}"));
    }
    if let Some(token) = token {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(BOTH.to_owned());
        }
        parts.headers.insert(header::AUTHORIZATION, token);
        // It is nobody's from here on.
        parts.headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    }
    Ok(chosen)
}

/// What is wrong with a caller that says twice who it is.
const BOTH: &str = "Credentials must be in Authorization or in Sec-WebSocket-Protocol, not in both";

/// A token of a subprotocol, as the Authorization header has it.
fn bearer_token(text: &str) -> Result<HeaderValue, &'static str> {
    let token = URL_SAFE_NO_PAD.decode(text).ok();
    let token = token.filter(|token| !token.is_empty() && token.iter().all(u8::is_ascii_graphic));
    let value = token.map(|token| [b"Bearer ".as_slice(), &token].concat());
    let value = value.and_then(|value| HeaderValue::from_bytes(&value).ok());
    let mut value = value.ok_or(
        "The token in Sec-WebSocket-Protocol must be visible ASCII in base64url without padding",
    )?;
    value.set_sensitive(true);
    Ok(value)
}

impl WebSockets {
    /// Whether a page of the origin that a request names, if it names any, may open a WebSocket.
    fn admits(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        if !headers.contains_key(header::ORIGIN) {
            // No browser.
            return true;
        }
        let Some(origin) = only(headers, &header::ORIGIN) else {
            return false;
        };
        let known = |known: &String| known == "*" || known.eq_ignore_ascii_case(origin);
        self.origins.iter().any(known) || is_own(origin, headers, uri)
    }
}

/// Whether an origin is that of the service itself. A proxy may have taken TLS off: what counts is host and port.
fn is_own(origin: &str, headers: &HeaderMap, uri: &Uri) -> bool {
    let authority = (origin.strip_prefix("https://")).or_else(|| origin.strip_prefix("http://"));
    let host = only(headers, &header::HOST).or_else(|| Some(uri.authority()?.as_str()));
    matches!((authority, host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn what_asks_for_a_websocket() {
        let asked = |method, version, pairs: &[_]| {
            let mut extensions = Extensions::new();
            extensions.insert(Protocol::from_static("websocket"));
            is_asked(&method, version, &headers(pairs), &extensions)
        };
        let upgrade = [("upgrade", "h2c, WebSocket")];
        assert!(asked(Method::GET, Version::HTTP_11, &upgrade));
        assert!(!asked(Method::POST, Version::HTTP_11, &upgrade));
        assert!(!asked(Method::GET, Version::HTTP_10, &upgrade));
        assert!(!asked(Method::GET, Version::HTTP_2, &upgrade));
        assert!(!asked(Method::CONNECT, Version::HTTP_11, &upgrade));
        assert!(asked(Method::CONNECT, Version::HTTP_2, &[]));
        let tunnel = Extensions::new();
        let (connect, http2) = (Method::CONNECT, Version::HTTP_2);
        assert!(!is_asked(&connect, http2, &HeaderMap::new(), &tunnel));
        assert!(!asked(Method::GET, Version::HTTP_11, &[("upgrade", "h2c")]));
        assert!(!asked(
            Method::GET,
            Version::HTTP_11,
            &[("connection", "upgrade")]
        ));
    }

    #[test]
    fn origins() {
        let admits = |origins: &[&str], pairs: &[_]| {
            let settings = WebSockets {
                origins: origins.iter().map(ToString::to_string).collect(),
                ..WebSockets::default()
            };
            let http2 = Uri::from_static("https://api.example/v1");
            settings.admits(&headers(pairs), &http2)
        };
        assert!(admits(&[], &[("origin", "https://api.example")]));
        let page = ("origin", "https://Shop.example");
        assert!(admits(&[], &[]));
        assert!(!admits(&[], &[page]));
        assert!(admits(&["https://shop.example"], &[page]));
        assert!(admits(&["*"], &[page]));
        assert!(!admits(&["http://shop.example"], &[page]));
        assert!(!admits(&["https://shop.example:8443"], &[page]));
        assert!(!admits(&["https://shop.example"], &[page, page]));
        assert!(!admits(&[], &[("origin", "null"), ("host", "null")]));
        assert!(admits(&[], &[page, ("host", "shop.example")]));
        assert!(!admits(&[], &[page, ("host", "shop.example:8443")]));
        assert!(!admits(&[], &[page, ("host", "evil-shop.example")]));
    }

    #[test]
    fn subprotocols_and_tokens() {
        let settings = WebSockets {
            bearer_protocol: Some("bearer."),
            ..WebSockets::default()
        };
        let choose = |pairs: &[_], offer| {
            let (mut parts, ()) = Request::new(()).into_parts();
            parts.headers = headers(pairs);
            let chosen = protocol(&mut parts, &settings, offer);
            let token = parts.headers.remove(header::AUTHORIZATION);
            let token = token.map(|token| token.to_str().expect("text").to_owned());
            chosen.map(|chosen| (chosen, token))
        };
        let one = |text: &'static str| [("sec-websocket-protocol", text)];
        assert_eq!(choose(&[], Offer::Both), Ok((None, None)));
        assert_eq!(
            choose(
                &one("chat, transcode.protobuf, transcode.json"),
                Offer::Both
            ),
            Ok((Some(BINARY_PROTOCOL), None))
        );
        assert_eq!(
            choose(&one("transcode.protobuf, transcode.json"), Offer::Json),
            Ok((Some(JSON_PROTOCOL), None))
        );
        let split = [one("bearer.YTpi")[0], one("transcode.json")[0]];
        assert_eq!(
            choose(&split, Offer::Bytes),
            Ok((Some(JSON_PROTOCOL), Some("Bearer a:b".to_owned())))
        );
        let twice = "bearer.YTpi, bearer.YTpi, transcode.json";
        let header = ("authorization", "Bearer x");
        for (pairs, message) in [
            (
                &one("chat")[..],
                "must name transcode.json or transcode.protobuf",
            ),
            (&one("bearer.YTpi"), "must name transcode.json or"),
            (&one("bearer.Y=, transcode.json"), "must be visible ASCII"),
            (&one("bearer., transcode.json"), "must be visible ASCII"),
            (&one("bearer.YSBi, transcode.json"), "must be visible ASCII"),
            (&one(twice), "must hold one token"),
            (&[split[0], split[1], header], "not in both"),
        ] {
            let refused = choose(pairs, Offer::Both).expect_err("a broken one");
            assert!(refused.contains(message), "{refused}");
        }
    }
}
