//! The service as its users have it: the binary, on free ports, with a database of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;

use super::postgres::{Database, database};
use super::program;

/// Longest wait for the service to be there.
const START: Duration = Duration::from_secs(30);

/// The name of the configuration file.
const CONFIGURATION: &str = "config.yaml";

/// A running service.
pub(crate) struct Service {
    child: Child,
    data: TempDir,
    pub(crate) database: Database,
    pub(crate) http: String,
    pub(crate) grpc: String,
    pub(crate) log: Arc<Mutex<String>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        program::end(&mut self.child);
    }
}

impl Service {
    /// A ready service with an empty, migrated database.
    pub(crate) async fn start() -> Self {
        let service = Self::start_with(&[("AUTO_MIGRATE", "true")]).await;
        service.ready().await;
        service
    }

    /// A service with some variables set, which need not be ready.
    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_on(
            database().await,
            tempfile::tempdir().expect("a folder"),
            variables,
        )
    }

    /// A ready service with an empty, migrated database and a configuration file.
    pub(crate) async fn start_configured(yaml: &str) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        std::fs::write(data.path().join(CONFIGURATION), yaml).expect("written");
        let service = Self::start_on(database().await, data, &[("AUTO_MIGRATE", "true")]);
        service.ready().await;
        service
    }

    /// Starts another one on the same database, with the same keys.
    pub(crate) fn replica(&self, variables: &[(&str, &str)]) -> Self {
        let database = self.database.clone();
        let keys = self.data.path().to_string_lossy();
        let mut variables = variables.to_vec();
        variables.push(("CATALOG_DATA_DIR", &keys));
        Self::start_on(database, tempfile::tempdir().expect("a folder"), &variables)
    }

    /// Kills the process, which can then only be started again.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts again with the same data.
    pub(crate) fn restart(mut self, variables: &[(&str, &str)]) -> Self {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let data = std::mem::replace(&mut self.data, tempfile::tempdir().expect("a folder"));
        let database = std::mem::take(&mut self.database);
        Self::start_on(database, data, variables)
    }

    fn start_on(database: Database, data: TempDir, variables: &[(&str, &str)]) -> Self {
        let mut command = command(data.path(), &database.url);
        if data.path().join(CONFIGURATION).exists() {
            command.arg("-conf").arg(data.path());
        }
        command
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().expect("the service starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, receiver) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<Value>(&line)
                    && event["message"] == "listening"
                {
                    let _ =
                        sender.send((event["data"]["http"].clone(), event["data"]["grpc"].clone()));
                }
                let mut log = lines.lock().expect("the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok((http, grpc)) = receiver.recv_timeout(START) else {
            let _ = child.kill();
            panic!(
                "the service did not start:\n{}",
                log.lock().expect("the log")
            );
        };
        let url = |addr: Value| format!("http://{}", addr.as_str().expect("an address"));
        Self {
            child,
            data,
            database,
            http: url(http),
            grpc: url(grpc),
            log,
        }
    }

    /// Waits until the service is ready.
    pub(crate) async fn ready(&self) {
        let started = Instant::now();
        while self.get("/ready", "").await.status() != 200 {
            assert!(
                started.elapsed() < START,
                "not ready:\n{}",
                self.log.lock().expect("the log")
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A token with some scopes, as `catalog-service token` makes it.
    pub(crate) fn token(&self, scopes: &str) -> String {
        self.token_with(scopes, &[])
    }

    /// A token that ends after some time.
    pub(crate) fn token_for(&self, scopes: &str, ttl: &str) -> String {
        self.make_token(scopes, ttl, &[])
    }

    /// A token made with other variables.
    pub(crate) fn token_with(&self, scopes: &str, variables: &[(&str, &str)]) -> String {
        self.make_token(scopes, "1h", variables)
    }

    fn make_token(&self, scopes: &str, ttl: &str, variables: &[(&str, &str)]) -> String {
        let mut command = command(self.data.path(), &self.database.url);
        let command = command.envs(variables.iter().copied());
        let arguments = ["--scope", scopes, "--sub", "user_456", "--ttl", ttl];
        let output = command
            .arg("token")
            .args(arguments)
            .output()
            .expect("a token");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .expect("text")
            .trim()
            .to_owned()
    }

    /// Runs another command of the binary on the same data.
    pub(crate) fn run(&self, args: &[&str]) -> std::process::Output {
        self.run_with(args, &[])
    }

    /// Runs another command of the binary on the same data, with some variables set.
    pub(crate) fn run_with(
        &self,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> std::process::Output {
        let mut command = command(self.data.path(), &self.database.url);
        let command = command.args(args).envs(variables.iter().copied());
        command.output().expect("a command")
    }

    /// Sends the process a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let kill = kill.args([&format!("-{name}"), &self.pid().to_string()]);
        assert!(kill.status().expect("kill").success());
    }

    /// What is in the log by now.
    pub(crate) fn logged(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the process ends")
    }

    /// Sends a request and reads the answer as JSON.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Vec<u8>>,
    ) -> Response<Value> {
        let (parts, bytes) = self.send_raw(request, body).await.into_parts();
        let json = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&bytes)))
        };
        Response::from_parts(parts, json)
    }

    /// Sends a request to a path of the HTTP port.
    pub(crate) async fn send_raw(
        &self,
        request: http::request::Builder,
        body: impl Into<Vec<u8>>,
    ) -> Response<Vec<u8>> {
        Self::send_to(&self.http, request, body).await
    }

    /// Sends a request to a path of another port.
    pub(crate) async fn send_to(
        url: &str,
        request: http::request::Builder,
        body: impl Into<Vec<u8>>,
    ) -> Response<Vec<u8>> {
        let (parts, body) = Self::open_at(url, request, body).await.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Response::from_parts(parts, bytes.to_vec())
    }

    /// Sends a request to a path of the HTTP port, and leaves the body of the answer to be read as it comes.
    pub(crate) async fn open(
        &self,
        request: http::request::Builder,
        body: impl Into<Vec<u8>>,
    ) -> Response<Incoming> {
        Self::open_at(&self.http, request, body).await
    }

    async fn open_at(
        url: &str,
        request: http::request::Builder,
        body: impl Into<Vec<u8>>,
    ) -> Response<Incoming> {
        let mut request: Request<Full<bytes::Bytes>> =
            request.body(Full::from(body.into())).expect("a request");
        *request.uri_mut() = format!("{url}{}", request.uri()).parse().expect("a URI");
        let client: Client<HttpConnector, _> = Client::builder(TokioExecutor::new()).build_http();
        client.request(request).await.expect("an answer")
    }

    /// GET with a token, or without one when it is empty.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Response<Value> {
        self.send(authorized(Method::GET, path, token), "").await
    }

    /// A request with a JSON body.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Response<Value> {
        let request =
            authorized(method, path, token).header(header::CONTENT_TYPE, "application/json");
        self.send(request, body.to_string()).await
    }
}

/// A request with a token, or without one when it is empty.
pub(crate) fn authorized(method: Method, path: &str, token: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if token.is_empty() {
        request
    } else {
        request.header(header::AUTHORIZATION, format!("Bearer {token}"))
    }
}

fn command(data: &std::path::Path, database_url: &str) -> Command {
    let mut command = program::service();
    command
        .env("CATALOG_DATA_DIR", data)
        .env("DATABASE_URL", database_url)
        .env("JWT_DEV_KEY", "true")
        .env("BCRYPT_COST", "4")
        .env("SERVER_HTTP_ADDR", "127.0.0.1:0")
        .env("SERVER_GRPC_ADDR", "127.0.0.1:0")
        // Most tests are about something else than how often their one user calls.
        .env("RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000")
        // Debug builds on busy machines are slow; what is tested here is not speed.
        .env("SERVER_HTTP_TIMEOUT", "20s")
        .env("SERVER_GRPC_TIMEOUT", "20s");
    command
}
