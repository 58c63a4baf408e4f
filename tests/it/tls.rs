//! TLS on both ports: every protocol, what is refused, and certificates that are replaced.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use catalog_service::pb::catalog::v1 as pb;
use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use http::{Method, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tonic::transport::Endpoint;

use crate::support::caller::{Caller, Calls};
use crate::support::grpc::{web, web_frame};
use crate::support::program;
use crate::support::service::{Service, authorized};
use crate::support::tls::{Authority, Files, Pair};

const PRODUCTS: &str = "/v1/catalog/products";

/// Longest wait for what happens by itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// A service with a certificate.
struct Secured {
    service: Service,
    authority: Authority,
    pair: Pair,
    files: Files,
}

impl Secured {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        let pair = authority.issue();
        let files = Files::of(&pair);
        let secured = Self {
            service: Service::start_with(&with(&files, variables)).await,
            authority,
            pair,
            files,
        };
        let started = Instant::now();
        loop {
            let mut connection = (secured.caller(false).connect().await).expect("a connection");
            let answer = connection.get("/ready", "").await.expect("an answer");
            if answer.status() == 200 {
                return secured;
            }
            assert!(started.elapsed() < PATIENCE, "not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn caller(&self, http2: bool) -> Caller {
        // A service that wants to know its clients takes one of the same authority.
        Caller {
            address: address(&self.service.http),
            tls: Some(self.authority.client(http2, &TLS13, Some(&self.pair))),
            http2,
        }
    }

    /// The certificate that a new connection is shown.
    async fn shown(&self) -> Vec<u8> {
        let stream = self.handshake().await;
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        session.peer_certificates().expect("certificates")[0].to_vec()
    }

    async fn handshake(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address(&self.service.http)).await;
        let name = ServerName::try_from("localhost").expect("a name");
        let client = self.authority.client(true, &TLS13, None);
        client
            .connect(name, stream.expect("a connection"))
            .await
            .expect("a handshake")
    }

    async fn logged(&self, text: &str) {
        let started = Instant::now();
        while !self.service.logged().contains(text) {
            assert!(started.elapsed() < PATIENCE, "{}", self.service.logged());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The variables of a service with these files, and more.
fn with(files: &Files, variables: &[(&str, &str)]) -> Vec<(&'static str, &'static str)> {
    let leaked = |text: &str| -> &'static str { String::from(text).leak() };
    let mut all = vec![
        ("AUTO_MIGRATE", "true"),
        ("SERVER_TLS_CERT_PATH", leaked(&files.path("cert.pem"))),
        ("SERVER_TLS_KEY_PATH", leaked(&files.path("key.pem"))),
    ];
    all.extend(
        variables
            .iter()
            .map(|(name, value)| (leaked(name), leaked(value))),
    );
    all
}

fn address(url: &str) -> SocketAddr {
    let address = url.rsplit('/').next().expect("an address");
    address.parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_goes_by_tls() {
    let secured = Secured::start(&[]).await;
    let service = &secured.service;
    let token = service.token("catalog:read catalog:write");
    for http2 in [false, true] {
        let mut connection = secured.caller(http2).connect().await.expect("a connection");
        let answer = connection.get(PRODUCTS, &token).await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    // gRPC, on its own port and on the other.
    for port in [&service.grpc, &service.http] {
        let (address, client) = (address(port), secured.authority.client(true, &TLS13, None));
        let connector = tower::service_fn(move |_: Uri| {
            let client = client.clone();
            async move {
                let stream = TcpStream::connect(address).await?;
                let name = ServerName::try_from("localhost").expect("a name");
                std::io::Result::Ok(TokioIo::new(client.connect(name, stream).await?))
            }
        });
        let channel = Endpoint::from_static("https://localhost")
            .connect_with_connector(connector)
            .await
            .expect("a connection");
        let mut request = tonic::Request::new(pb::ListProductsRequest::default());
        let authorization = format!("Bearer {token}").parse().expect("a header");
        request
            .metadata_mut()
            .insert("authorization", authorization);
        let answer = CatalogServiceClient::new(channel)
            .list_products(request)
            .await
            .expect("an answer");
        assert_eq!(answer.into_inner().products, []);
    }
    // gRPC-Web.
    let mut connection = secured.caller(false).connect().await.expect("a connection");
    let request = web(authorized(
        Method::POST,
        "/catalog.v1.CatalogService/ListProducts",
        &token,
    ));
    let request = request
        .header(header::HOST, "localhost")
        .body(web_frame(&[]).into())
        .expect("a request");
    let answer = connection.send(request).await;
    assert_eq!(answer.status(), 200);
    let end = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(end.contains("grpc-status:0"), "{end}");
    // What is built to call the service finds its certificate in the configuration.
    let variables = with(&secured.files, &[]);
    let port = address(&service.http).port();
    let own = service.run_with(
        &["healthcheck"],
        &[
            &variables[..],
            &[("SERVER_HTTP_ADDR", &format!("0.0.0.0:{port}"))],
        ]
        .concat(),
    );
    assert!(own.status.success(), "{own:?}");
    let url = service.grpc.replace("http:", "https:");
    let demo = service.run_with(&["demo", "--count", "5", "--url", &url], &variables);
    assert!(demo.status.success(), "{demo:?}");
    // Without the configuration it is a certificate that nobody here has issued.
    let url = format!("https://127.0.0.1:{port}/ready");
    let stranger = service.run(&["healthcheck", "--url", &url]);
    assert!(!stranger.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_is_spoken() {
    let secured = Secured::start(&[]).await;
    for port in [&secured.service.http, &secured.service.grpc] {
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect(address(port)).await;
        let client = secured.authority.client(true, &TLS12, None);
        let refused = client.connect(name, stream.expect("a connection")).await;
        let error = refused.expect_err("TLS 1.2 is refused").to_string();
        assert!(error.contains("ProtocolVersion"), "{error}");
        // Nor anything plain.
        let plain = Caller {
            address: address(port),
            tls: None,
            http2: false,
        };
        let mut connection = plain.connect().await.expect("a connection");
        assert!(connection.get("/ready", "").await.is_err());
    }
    let silent = TcpStream::connect(address(&secured.service.http)).await;
    assert_eq!(
        secured.shown().await,
        secured.pair.certificate_der().to_vec()
    );
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load() {
    let secured = Secured::start(&[("SERVER_TLS_RELOAD_INTERVAL", "1s")]).await;
    let token = secured.service.token("catalog:read");
    let calls = Calls::default();
    let mut callers = tokio::task::JoinSet::new();
    for http2 in [false, true, false, true] {
        let (caller, token, calls) = (secured.caller(http2), token.clone(), calls.clone());
        callers.spawn(async move { caller.run(PRODUCTS, &token, calls).await });
    }
    calls.more(20).await;
    let next = secured.authority.issue();
    secured.files.put(&next);
    let started = Instant::now();
    while secured.shown().await != next.certificate_der().to_vec() {
        assert!(started.elapsed() < PATIENCE, "{}", secured.service.logged());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    calls.more(20).await;
    // One that can't be used changes nothing.
    secured.files.write("cert.pem", "nothing");
    secured.logged("the one before stays").await;
    assert_eq!(secured.shown().await, next.certificate_der().to_vec());
    calls.more(20).await;
    calls
        .enough
        .store(true, std::sync::atomic::Ordering::Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller.expect("no call failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_has_the_files_read_at_once() {
    let secured = Secured::start(&[("SERVER_TLS_RELOAD_INTERVAL", "1h")]).await;
    let next = secured.authority.issue();
    // The key of another certificate: it is tried, and refused.
    secured.files.write("key.pem", &next.key);
    secured.service.signal("HUP");
    secured.logged("the one before stays").await;
    assert_eq!(
        secured.shown().await,
        secured.pair.certificate_der().to_vec()
    );
    secured.files.put(&next);
    secured.service.signal("HUP");
    secured.logged("the certificate was read again").await;
    assert_eq!(secured.shown().await, next.certificate_der().to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_certificates() {
    let authority = Authority::new();
    let pair = authority.issue();
    let files = Files::of(&pair);
    files.write("ca.pem", &authority.pem());
    let ca = files.path("ca.pem");
    let service = Service::start_with(&with(&files, &[("SERVER_TLS_CLIENT_CA_PATH", &ca)])).await;
    let another = Authority::new().issue();
    for (own, welcome) in [
        (None, false),
        (Some(&another), false),
        (Some(&authority.issue()), true),
    ] {
        for port in [&service.http, &service.grpc] {
            let caller = Caller {
                address: address(port),
                tls: Some(authority.client(false, &TLS13, own)),
                http2: false,
            };
            // The client's side of the handshake ends before the service has seen the certificate.
            let answered = match caller.connect().await {
                Ok(mut connection) => connection.get("/health", "").await.is_ok(),
                Err(_) => false,
            };
            assert_eq!(answered, welcome, "{port}");
        }
    }
    let url = format!("https://{}/health", address(&service.http));
    let variables = with(&files, &[("SERVER_TLS_CLIENT_CA_PATH", &ca)]);
    let own = service.run_with(&["healthcheck", "--url", &url], &variables);
    assert!(own.status.success(), "{own:?}");
}

#[test]
fn files_that_do_not_go_together_end_the_start() {
    let authority = Authority::new();
    let files = Files::of(&authority.issue());
    files.write("other.pem", &authority.issue().key);
    let (certificate, other) = (files.path("cert.pem"), files.path("other.pem"));
    for (variables, told) in [
        (
            vec![("SERVER_TLS_CERT_PATH", &certificate)],
            "SERVER_TLS_KEY_PATH",
        ),
        (
            vec![
                ("SERVER_TLS_CERT_PATH", &certificate),
                ("SERVER_TLS_KEY_PATH", &other),
            ],
            "server.tls",
        ),
        (
            vec![
                ("SERVER_TLS_CERT_PATH", &other),
                ("SERVER_TLS_KEY_PATH", &other),
            ],
            "no certificate",
        ),
        (
            vec![("SERVER_TLS_CLIENT_CA_PATH", &certificate)],
            "SERVER_TLS_CERT_PATH",
        ),
    ] {
        // A look at the configuration says what a start would.
        for arguments in [&[][..], &["config", "check"]] {
            let output = program::service()
                .args(arguments)
                .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
                .env("JWT_DEV_KEY", "true")
                .env("CATALOG_DATA_DIR", std::env::temp_dir().join("tls-keys"))
                .envs(
                    variables
                        .iter()
                        .map(|(name, value)| (*name, value.as_str())),
                )
                .output()
                .expect("the service");
            assert_eq!(output.status.code(), Some(78), "{variables:?}");
            let error = String::from_utf8(output.stderr).expect("text");
            assert!(error.contains(told), "{error}");
        }
    }
}
