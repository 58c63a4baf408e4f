//! The double: services with their checks, sessions and tokens, in memory. What it answers is what Consul 1.14 does.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, put};
use axum::{Json, Router};
use catalog_service::domain::Environment as _;
use catalog_service::lifecycle::Readiness;
use catalog_service::system::SystemEnvironment;
use catalog_service::tls::Tls;
use catalog_service::transport::{Port, serve};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::MANAGEMENT;

pub(super) struct Double {
    pub(super) port: u16,
    readiness: Readiness,
    server: JoinHandle<()>,
    all: Shared,
}

type Shared = Arc<All>;

/// What it keeps. The index of the catalog grows with every change of it; a stop is a change to nobody.
struct All {
    kept: Mutex<Kept>,
    index: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
}

#[derive(Default)]
struct Kept {
    services: BTreeMap<String, Value>,
    /// Status by id of the check, with the id of its service.
    checks: BTreeMap<String, (String, String)>,
    sessions: BTreeMap<String, Value>,
    tokens: Vec<Value>,
}

impl Double {
    pub(super) async fn start(port: u16, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let all = Shared::new(All {
            kept: Mutex::default(),
            index: watch::Sender::new(10),
            stopping: watch::Sender::new(false),
        });
        all.kept.lock().expect("kept").tokens.push(json!({
            "AccessorID": fresh(), "SecretID": MANAGEMENT,
            "Policies": [{"Name": "global-management"}],
        }));
        let managed = Router::new()
            .route("/v1/agent/service/register", put(register))
            .route("/v1/agent/service/deregister/{id}", put(deregister))
            .route("/v1/agent/service/{id}", get(service))
            .route("/v1/agent/services", get(services))
            .route("/v1/agent/check/pass/{id}", put(pass))
            .route("/v1/session/create", put(open_session))
            .route("/v1/session/renew/{id}", put(renew_session))
            .route("/v1/session/destroy/{id}", put(end_session))
            .route("/v1/session/list", get(sessions))
            .route("/v1/health/service/{name}", get(health))
            .route("/v1/acl/token", put(make_token))
            .route("/v1/acl/token/{accessor}", delete(revoke_token))
            .route("/v1/acl/policy", put(echo))
            .route("/v1/acl/role", put(echo))
            .route_layer(from_fn_with_state(all.clone(), may));
        let router = managed
            .route("/v1/acl/token/self", get(token_self))
            .with_state(all.clone());
        let readiness = Readiness::default();
        let server = tokio::spawn(serve(Port { listener, tls }, router, readiness.clone()));
        Self {
            port,
            readiness,
            server,
            all,
        }
    }

    pub(super) async fn stop(self) {
        self.all.stopping.send_replace(true);
        self.readiness.drain();
        self.server.await.expect("the server ends");
    }
}

impl All {
    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let changed = change(&mut self.kept.lock().expect("kept"));
        self.index.send_modify(|index| *index += 1);
        changed
    }

    fn look<T>(&self, look: impl FnOnce(&Kept) -> T) -> T {
        look(&self.kept.lock().expect("kept"))
    }
}

fn fresh() -> String {
    SystemEnvironment.new_uuid().to_string()
}

fn refused(status: StatusCode, text: &str) -> Response {
    (status, text.to_owned()).into_response()
}

/// Only the token of those who may do everything may do anything.
async fn may(State(_): State<Shared>, request: Request, next: Next) -> Response {
    if request
        .headers()
        .get("x-consul-token")
        .is_some_and(|token| token == MANAGEMENT)
    {
        next.run(request).await
    } else {
        refused(
            StatusCode::FORBIDDEN,
            "Permission denied: token lacks permission",
        )
    }
}

async fn register(State(all): State<Shared>, Json(service): Json<Value>) -> Response {
    for name in service["Meta"]
        .as_object()
        .into_iter()
        .flat_map(|meta| meta.keys())
    {
        if !name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "_-".contains(char))
        {
            let text = format!("Invalid Service Meta: ('{name}'): Key contains invalid characters");
            return refused(StatusCode::BAD_REQUEST, &text);
        }
    }
    let id = service["ID"].as_str().expect("an id").to_owned();
    for check in service["Checks"].as_array().into_iter().flatten() {
        let check_id = check["CheckID"].as_str().expect("an id").to_owned();
        let status = check["Status"].as_str().unwrap_or("critical").to_owned();
        if let Some(url) = check["HTTP"].as_str() {
            let (all, url, check_id) = (all.clone(), url.to_owned(), check_id.clone());
            tokio::spawn(async move { all.watch(url, check_id).await });
        }
        all.change(|kept| kept.checks.insert(check_id, (id.clone(), status)));
    }
    all.change(|kept| kept.services.insert(id, service));
    StatusCode::OK.into_response()
}

impl All {
    /// Calls a service now and then, as long as it is registered.
    async fn watch(&self, url: String, check: String) {
        let address = url.trim_start_matches("http://");
        let address = address.strip_suffix("/ready").expect("the probe");
        while !*self.stopping.borrow() && self.look(|kept| kept.checks.contains_key(&check)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let passing = is_ready(address).await.unwrap_or(false);
            self.set(&check, if passing { "passing" } else { "critical" });
        }
    }

    /// Sets the status of a check, if there is one.
    fn set(&self, check: &str, to: &str) -> bool {
        let mut found = false;
        let changed = {
            let mut kept = self.kept.lock().expect("kept");
            kept.checks.get_mut(check).is_some_and(|(_, status)| {
                found = true;
                let changed = status != to;
                to.clone_into(status);
                changed
            })
        };
        if changed {
            self.index.send_modify(|index| *index += 1);
        }
        found
    }
}

/// What `/ready` at an address says. It may be gone in the middle of that.
async fn is_ready(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}

async fn deregister(State(all): State<Shared>, Path(id): Path<String>) -> Response {
    let found = all.change(|kept| {
        kept.checks.retain(|_, (service, _)| *service != id);
        kept.services.remove(&id).is_some()
    });
    if found {
        StatusCode::OK.into_response()
    } else {
        refused(StatusCode::NOT_FOUND, "Unknown service ID")
    }
}

async fn service(State(all): State<Shared>, Path(id): Path<String>) -> Response {
    match all.look(|kept| kept.services.get(&id).cloned()) {
        Some(service) => Json(service).into_response(),
        None => refused(StatusCode::NOT_FOUND, "unknown service ID"),
    }
}

async fn services(State(all): State<Shared>) -> Json<Value> {
    Json(json!(all.look(|kept| kept.services.clone())))
}

async fn pass(State(all): State<Shared>, Path(id): Path<String>) -> Response {
    if all.set(&id, "passing") {
        StatusCode::OK.into_response()
    } else {
        refused(StatusCode::NOT_FOUND, "Unknown check ID")
    }
}

async fn open_session(State(all): State<Shared>, Json(mut session): Json<Value>) -> Response {
    let ttl = session["TTL"]
        .as_str()
        .and_then(|ttl| ttl.strip_suffix("ms")?.parse().ok());
    if ttl.is_none_or(|ttl: u64| !(10_000..=86_400_000).contains(&ttl)) {
        return refused(StatusCode::BAD_REQUEST, "Invalid Session TTL");
    }
    let id = fresh();
    session["ID"] = json!(id);
    all.change(|kept| kept.sessions.insert(id.clone(), session));
    Json(json!({"ID": id})).into_response()
}

async fn renew_session(State(all): State<Shared>, Path(id): Path<String>) -> Response {
    match all.look(|kept| kept.sessions.get(&id).cloned()) {
        Some(session) => Json(json!([session])).into_response(),
        None => refused(StatusCode::NOT_FOUND, "Session id not found"),
    }
}

async fn end_session(State(all): State<Shared>, Path(id): Path<String>) -> Json<bool> {
    all.change(|kept| kept.sessions.remove(&id));
    Json(true)
}

async fn sessions(State(all): State<Shared>) -> Json<Value> {
    Json(json!(all.look(|kept| {
        kept.sessions.values().cloned().collect::<Vec<_>>()
    })))
}

async fn health(
    State(all): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    if let Some(known) = query
        .get("index")
        .and_then(|index| index.parse::<u64>().ok())
    {
        let wait = query
            .get("wait")
            .and_then(|wait| wait.strip_suffix("ms")?.parse().ok());
        let (mut index, mut stopping) = (all.index.subscribe(), all.stopping.subscribe());
        tokio::select! {
            _ = index.wait_for(|index| *index != known) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(Duration::from_millis(wait.unwrap_or(300_000))) => {}
        }
    }
    let index = *all.index.borrow();
    let entries = all.look(|kept| {
        let found = kept.services.values().filter(|service| service["Name"] == name.as_str());
        let entries = found.filter_map(|service| {
            let mut service = service.clone();
            let id = service["ID"].as_str().expect("an id").to_owned();
            service["Service"] = service["Name"].take();
            let checks = kept.checks.iter().filter(|(_, (of, _))| *of == id);
            let checks: Vec<_> = checks
                .map(|(check, (_, status))| json!({"CheckID": check, "Status": status}))
                .collect();
            let passing = checks.iter().all(|check| check["Status"] == "passing");
            (passing || !query.contains_key("passing")).then(|| {
                json!({"Node": {"Node": "test", "Address": "127.0.0.1"}, "Service": service, "Checks": checks})
            })
        });
        entries.collect::<Vec<_>>()
    });
    (
        [("x-consul-index", index.to_string())],
        Json(json!(entries)),
    )
        .into_response()
}

async fn make_token(State(all): State<Shared>, Json(mut token): Json<Value>) -> Json<Value> {
    token["AccessorID"] = json!(fresh());
    token["SecretID"] = json!(fresh());
    if let Some(seconds) = token["ExpirationTTL"]
        .as_str()
        .and_then(|ttl| ttl.strip_suffix('s'))
    {
        let ends = SystemEnvironment.now() + Duration::from_secs(seconds.parse().expect("seconds"));
        token["ExpirationTime"] = json!(ends.format(&Rfc3339).expect("a time"));
    }
    all.change(|kept| kept.tokens.push(token.clone()));
    Json(token)
}

async fn revoke_token(State(all): State<Shared>, Path(accessor): Path<String>) -> Json<bool> {
    all.change(|kept| {
        kept.tokens
            .retain(|token| token["AccessorID"] != accessor.as_str());
    });
    Json(true)
}

async fn echo(State(_): State<Shared>, Json(what): Json<Value>) -> Json<Value> {
    Json(what)
}

/// Without a token it shows the agent's own, with `anonymous` that of strangers.
async fn token_self(State(all): State<Shared>, headers: HeaderMap) -> Response {
    let secret = headers
        .get("x-consul-token")
        .and_then(|token| token.to_str().ok());
    let secret = match secret.unwrap_or_default() {
        "" => MANAGEMENT,
        "anonymous" => {
            let accessor = "00000000-0000-0000-0000-000000000002";
            return Json(json!({"AccessorID": accessor, "SecretID": "anonymous"})).into_response();
        }
        secret => secret,
    };
    let now = SystemEnvironment.now();
    let found = all.look(|kept| {
        let mut tokens = kept.tokens.iter();
        tokens.find(|token| token["SecretID"] == secret).cloned()
    });
    let found = found.filter(|token| {
        let ends = token["ExpirationTime"].as_str();
        ends.is_none_or(|ends| OffsetDateTime::parse(ends, &Rfc3339).expect("a time") > now)
    });
    match found {
        Some(token) => Json(token).into_response(),
        None => refused(StatusCode::FORBIDDEN, "ACL not found"),
    }
}
