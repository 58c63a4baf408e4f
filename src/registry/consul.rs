//! The part of Consul's HTTP API that is used here. It is called when there is something to say: an agent that is away
//! holds up nothing.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::outbound::{HttpClient, NoAnswer, Trust};

/// The header that carries a token.
const TOKEN: &str = "x-consul-token";

/// The header of an answer that says which state it shows.
const INDEX: &str = "x-consul-index";

/// Longest time an answer may take that Consul does not hold back.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest text of an error that is kept.
const MAX_REASON: usize = 200;

/// Where Consul is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` of an agent or a server.
    pub address: String,
    /// Whether it is called over TLS.
    pub tls: bool,
    /// The authorities of its certificate, where they are not those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The datacenter of all requests.
    pub datacenter: String,
    /// The service's own token.
    pub token: Option<String>,
}

/// Why Consul did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsulError {
    /// It does not answer.
    #[error("Consul does not answer: {0}")]
    Away(#[from] NoAnswer),
    /// It answers that it will not, or that it can't.
    #[error("Consul says {status}: {reason}")]
    Refused {
        /// Status of its answer.
        status: StatusCode,
        /// Its words.
        reason: String,
    },
    /// What it answers can't be understood.
    #[error("Consul's answer can't be read: {0}")]
    Unreadable(String),
}

impl ConsulError {
    /// Whether it is about what was asked for, and not about Consul's own state.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }
}

/// What is registered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Service {
    /// Unique at its agent.
    #[serde(rename = "ID")]
    pub id: String,
    /// What others look for.
    pub name: String,
    /// Marks, such as `version=v1.0.0`.
    pub tags: Vec<String>,
    /// Where it is.
    pub address: String,
    /// Its main port.
    pub port: u16,
    /// Names and values; no dots in names.
    pub meta: serde_json::Map<String, serde_json::Value>,
    /// Its endpoints by their scheme.
    pub tagged_addresses: std::collections::BTreeMap<&'static str, TaggedAddress>,
    /// How it is watched.
    pub checks: Vec<Check>,
}

/// An endpoint. Its address is a URL, as clients of go-kratos expect it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaggedAddress {
    /// URL.
    pub address: String,
    /// Its port.
    pub port: u16,
}

/// How a service is watched: Consul calls it, or it calls Consul.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Check {
    /// Unique at its agent.
    #[serde(rename = "CheckID")]
    pub id: String,
    /// For people.
    pub name: String,
    /// What it says until the first look.
    pub status: &'static str,
    /// The URL that Consul calls.
    #[serde(rename = "HTTP", skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Whether its certificate may be anybody's.
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "std::ops::Not::not")]
    pub any_certificate: bool,
    /// How often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// How long an answer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// How long after the service's last call it is taken for dead.
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// After how long as a dead one it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregister_critical_service_after: Option<String>,
}

/// An instance of a service whose checks pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its version, where a tag tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// URLs of its endpoints, in order.
    pub endpoints: Vec<String>,
}

/// The instances at some time.
#[derive(Debug, Clone)]
pub struct Instances {
    /// Which state this is; a later one has a greater index, unless Consul began anew.
    pub index: u64,
    /// In the order of their ids.
    pub instances: Vec<Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Entered,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entered {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: u16,
    // null where there are none.
    tags: Option<Vec<String>>,
    tagged_addresses: Option<std::collections::BTreeMap<String, TaggedAddress>>,
}

/// What a token is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TokenInfo {
    /// Its public id.
    #[serde(rename = "AccessorID")]
    pub accessor_id: String,
    /// Its policies.
    pub policies: Option<Vec<Named>>,
    /// Its roles.
    pub roles: Option<Vec<Named>>,
    /// The services it stands for.
    pub service_identities: Option<Vec<ServiceIdentity>>,
    /// When it ends, in RFC 3339.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expiration_time: Option<time::OffsetDateTime>,
}

/// Something with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// A service that a token stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceIdentity {
    /// Its name.
    pub service_name: String,
    /// Where; empty for everywhere.
    pub datacenters: Option<Vec<String>>,
}

/// A client of Consul. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Consul {
    http: HttpClient,
    base: String,
    address: String,
    datacenter: String,
    token: Option<HeaderValue>,
}

impl Consul {
    /// A client for the agent or server at an address; it is called when there is something to say.
    ///
    /// # Errors
    /// When the token is none, or there are no certificates to trust.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let trust = match &settings.ca_file {
            _ if !settings.tls => Trust::Nobody,
            Some(file) => Trust::File(file),
            None => Trust::System,
        };
        let token = settings.token.as_deref().map(header).transpose()?;
        let scheme = if settings.tls { "https" } else { "http" };
        Ok(Self {
            http: HttpClient::new(trust)?,
            base: format!("{scheme}://{}", settings.address),
            address: settings.address.clone(),
            datacenter: settings.datacenter.clone(),
            token,
        })
    }

    /// Its `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its datacenter.
    pub fn datacenter(&self) -> &str {
        &self.datacenter
    }

    /// Registers a service at the agent, in place of one with its id.
    pub async fn register(&self, service: &Service) -> Result<(), ConsulError> {
        let path = "/v1/agent/service/register?replace-existing-checks=true";
        let body = serde_json::to_vec(service).map_err(unreadable)?;
        self.call(Method::PUT, path, body).await.map(drop)
    }

    /// Removes a service from the agent.
    pub async fn deregister(&self, id: &str) -> Result<(), ConsulError> {
        let path = format!("/v1/agent/service/deregister/{}", segment(id));
        self.call(Method::PUT, &path, Vec::new()).await.map(drop)
    }

    /// Says that a service lives; not found when the agent does not know its check.
    pub async fn pass(&self, check: &str) -> Result<(), ConsulError> {
        let path = format!("/v1/agent/check/pass/{}", segment(check));
        self.call(Method::PUT, &path, Vec::new()).await.map(drop)
    }

    /// Asks whether the agent has a service; not found when it has not.
    pub async fn has(&self, id: &str) -> Result<(), ConsulError> {
        let path = format!("/v1/agent/service/{}", segment(id));
        self.call(Method::GET, &path, Vec::new()).await.map(drop)
    }

    /// Opens a session, which ends when it is not renewed for a time, and all that was locked with it.
    pub async fn open_session(&self, name: &str, ttl: Duration) -> Result<String, ConsulError> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Session<'a> {
            name: &'a str,
            #[serde(rename = "TTL")]
            ttl: String,
            behavior: &'a str,
            // The health of the node has a say where none is named; that of an agent just started is not known yet.
            node_checks: [&'a str; 0],
        }
        #[derive(Deserialize)]
        struct Opened {
            #[serde(rename = "ID")]
            id: String,
        }
        let session = Session {
            name,
            ttl: go_duration(ttl),
            behavior: "delete",
            node_checks: [],
        };
        let body = serde_json::to_vec(&session).map_err(unreadable)?;
        let path = self.in_datacenter("/v1/session/create");
        let opened: Opened = read(&self.call(Method::PUT, &path, body).await?)?;
        Ok(opened.id)
    }

    /// Keeps a session open; not found when it has ended.
    pub async fn renew_session(&self, id: &str) -> Result<(), ConsulError> {
        let path = self.in_datacenter(&format!("/v1/session/renew/{}", segment(id)));
        self.call(Method::PUT, &path, Vec::new()).await.map(drop)
    }

    /// Ends a session.
    pub async fn end_session(&self, id: &str) -> Result<(), ConsulError> {
        let path = self.in_datacenter(&format!("/v1/session/destroy/{}", segment(id)));
        self.call(Method::PUT, &path, Vec::new()).await.map(drop)
    }

    /// The instances of a service that pass all their checks. With the index of what is known already, the answer comes
    /// when there is something new, or after the wait.
    pub async fn instances(
        &self,
        service: &str,
        known: Option<(u64, Duration)>,
    ) -> Result<Instances, ConsulError> {
        let path = format!("/v1/health/service/{}?passing&stale", segment(service));
        let mut path = self.in_datacenter(&path);
        let mut timeout = TIMEOUT;
        if let Some((index, wait)) = known {
            path = format!("{path}&index={index}&wait={}", go_duration(wait));
            // Consul adds up to a sixteenth, so that not all come back at once.
            timeout += wait + wait / 16;
        }
        let request = self.request(Method::GET, &path, Vec::new(), self.token.as_ref())?;
        let answer = accepted(self.http.send(request, timeout).await?)?;
        let index = answer.headers().get(INDEX);
        let index = index.and_then(|index| index.to_str().ok()?.parse().ok());
        let entries: Vec<Entry> = read(answer.body())?;
        let mut instances: Vec<_> = entries.into_iter().map(Instance::from).collect();
        instances.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Instances {
            // Zero would ask again at once, without end.
            index: index.unwrap_or(1).max(1),
            instances,
        })
    }

    /// What a token is, asked for with the token itself. It must not be empty: then the agent would use its own.
    pub async fn token_self(
        &self,
        token: &str,
        timeout: Duration,
    ) -> Result<TokenInfo, ConsulError> {
        let token = header(token).map_err(ConsulError::Unreadable)?;
        let path = self.in_datacenter("/v1/acl/token/self");
        let request = self.request(Method::GET, &path, Vec::new(), Some(&token))?;
        read(accepted(self.http.send(request, timeout).await?)?.body())
    }

    fn in_datacenter(&self, path: &str) -> String {
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}dc={}", segment(&self.datacenter))
    }

    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ConsulError> {
        let request = self.request(method, path, body, self.token.as_ref())?;
        Ok(accepted(self.http.send(request, TIMEOUT).await?)?.into_body())
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        token: Option<&HeaderValue>,
    ) -> Result<Request<Full<Bytes>>, ConsulError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header(TOKEN, token);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::from(body)).map_err(unreadable)
    }
}

impl From<Entry> for Instance {
    fn from(Entry { node, service }: Entry) -> Self {
        let mut versions = (service.tags.iter().flatten())
            .filter_map(|tag| tag.strip_prefix("version="))
            .map(str::to_owned);
        let version = versions.next_back();
        // Those that Consul adds itself (lan_ipv4 and the like) are no URLs.
        let tagged = service.tagged_addresses.into_iter().flatten();
        let tagged = tagged.map(|(_, tagged)| tagged.address);
        let mut endpoints: Vec<_> = tagged.filter(|address| address.contains("://")).collect();
        if endpoints.is_empty() {
            // A service without an address of its own is where its agent is.
            let host = if service.address.is_empty() {
                node.address
            } else {
                service.address
            };
            endpoints.push(format!("http://{}", host_port(&host, service.port)));
        }
        Self {
            id: service.id,
            version,
            endpoints,
        }
    }
}

/// `host:port`, with brackets where the host is an IPv6 address.
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// A duration as Go reads it.
pub(super) fn go_duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

fn header(token: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(token).map_err(|_| "a token that fits into no header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn segment(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn accepted(answer: http::Response<Bytes>) -> Result<http::Response<Bytes>, ConsulError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let reason = String::from_utf8_lossy(answer.body());
    let reason = reason.trim().chars().filter(|char| !char.is_control());
    Err(ConsulError::Refused {
        status,
        reason: reason.take(MAX_REASON).collect(),
    })
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ConsulError> {
    serde_json::from_slice(body).map_err(unreadable)
}

fn unreadable(error: impl std::error::Error) -> ConsulError {
    ConsulError::Unreadable(error.to_string())
}
