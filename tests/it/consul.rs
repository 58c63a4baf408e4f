//! The service and Consul: a double of it, and a real agent where there is one.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use catalog_service::config;
use catalog_service::tls::Tls;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::consul::{Consul, MANAGEMENT, until, with_each};
use crate::support::program;
use crate::support::service::{Service, authorized};
use crate::support::tls::{Authority, Files};

/// The variables of a service that registers, and more. A test has no time for long intervals.
fn variables<'a>(address: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut variables = vec![
        ("AUTO_MIGRATE", "true"),
        ("CONSUL_ADDRESS", address),
        ("CONSUL_HTTP_TOKEN", MANAGEMENT),
        ("CONSUL_HEALTH_CHECK_INTERVAL", "1s"),
    ];
    variables.extend(more);
    variables
}

async fn start(consul: &Consul, more: &[(&str, &str)]) -> Service {
    Service::start_with(&variables(&consul.address(), more)).await
}

/// Waits until others find one instance, and gives it.
async fn found(consul: &Consul) -> Value {
    until("an instance that passes", async || {
        consul.instances(true).await.pop()
    })
    .await
}

/// Waits until `/health` says something of Consul, and gives all that it says.
async fn health(service: &Service, so: impl Fn(&Value) -> bool) -> Value {
    until("the health", async || {
        let health = service.get("/health", "").await.into_body();
        so(&health["checks"]["consul"]).then_some(health)
    })
    .await
}

fn terminate(service: &mut Service) {
    let kill = Command::new("kill")
        .args(["-TERM", &service.pid().to_string()])
        .status();
    assert!(kill.expect("kill").success());
    assert!(service.wait().success());
}

/// A process that ends with its test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn discover(consul: &Consul, arguments: &[&str]) -> Command {
    let mut command = program::service();
    command
        .env("CONSUL_ADDRESS", consul.address())
        .env("CONSUL_HTTP_TOKEN", MANAGEMENT)
        .arg("discover")
        .args(arguments);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_found_until_it_stops() {
    with_each(async |consul| {
        let mut service = start(&consul, &[]).await;
        let entry = found(&consul).await;
        let (http, grpc) = (service.http.clone(), service.grpc.replace("http", "grpc"));
        let registered = &entry["Service"];
        let port = |url: &str| -> u16 { url.rsplit_once(':').unwrap().1.parse().unwrap() };
        let id = registered["ID"].as_str().unwrap().to_owned();
        assert!(id.starts_with("catalog-service-") && id.ends_with(&port(&http).to_string()));
        assert_eq!(registered["Address"], "127.0.0.1");
        assert_eq!(registered["Port"], port(&http));
        assert_eq!(
            registered["Tags"],
            json!([
                "version=v1.0.0",
                "service.type=application",
                "service.role=business-logic"
            ])
        );
        assert_eq!(registered["Meta"]["service_role"], "business-logic");
        assert_eq!(
            registered["TaggedAddresses"]["grpc"],
            json!({"Address": grpc, "Port": port(&grpc)})
        );

        let health = health(&service, |consul| consul["status"] == "healthy").await;
        assert_eq!(health["status"], "healthy");
        let session = health["checks"]["consul"]["session_id"].clone();
        let expected = json!({"status": "healthy", "registered": true, "session_id": session});
        assert_eq!(health["checks"]["consul"], expected);
        let sessions = consul.get("/v1/session/list").await;
        assert_eq!(sessions[0]["ID"], session);
        assert_eq!(sessions[0]["Behavior"], "delete");
        until("a line of the log that names the session", async || {
            service.get("/v1/catalog/products", "").await;
            service.logged().lines().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (line["data"]["consul.session"] == session).then_some(())
            })
        })
        .await;
        let request = authorized(Method::GET, "/metrics", "");
        let page = Service::send_to(&service.grpc, request, "")
            .await
            .into_body();
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("\nconsul_service_health 1\n"), "{page}");

        let text = discover(&consul, &["catalog-service"]).output().unwrap();
        let line = format!("{id}  v1.0.0  {grpc} {http}\n");
        assert_eq!(String::from_utf8_lossy(&text.stdout), line);
        let shown = discover(&consul, &["catalog-service", "-format=json"]).output();
        let shown: Value = serde_json::from_slice(&shown.unwrap().stdout).unwrap();
        let expected = json!([{"id": id, "version": "v1.0.0", "endpoints": [grpc, http]}]);
        assert_eq!(shown, expected);
        let none = discover(&consul, &["order-service"]).output().unwrap();
        assert_eq!(none.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&none.stderr).contains("no instance of order-service"));

        terminate(&mut service);
        assert!(consul.instances(false).await.is_empty());
        assert_eq!(consul.get("/v1/session/list").await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consul_that_forgets_hears_of_the_instance_again() {
    with_each(async |consul| {
        let service = start(&consul, &[]).await;
        let entry = found(&consul).await;
        let health = health(&service, |consul| consul["status"] == "healthy").await;
        let session = health["checks"]["consul"]["session_id"].as_str().unwrap();

        let path = format!("/v1/session/destroy/{session}");
        consul.call(Method::PUT, &path, &Value::Null).await;
        let id = entry["Service"]["ID"].as_str().unwrap();
        let path = format!("/v1/agent/service/deregister/{id}");
        assert_eq!(consul.call(Method::PUT, &path, &Value::Null).await.0, 200);

        assert_eq!(found(&consul).await["Service"]["ID"], id);
        let other = self::health(&service, |consul| {
            consul["status"] == "healthy" && consul["session_id"] != session
        });
        other.await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consul_that_is_away_is_no_hindrance() {
    with_each(async |mut consul| {
        consul.stop().await;
        let service = start(&consul, &[]).await;
        service.ready().await;
        let away = health(&service, |consul| consul["status"] == "unhealthy").await;
        assert_eq!(away["status"], "degraded");
        assert_eq!(
            away["checks"]["consul"],
            json!({"status": "unhealthy", "registered": false})
        );
        let token = service.token("catalog:read");
        let listed = service.get("/v1/catalog/products", &token).await;
        assert_eq!(listed.status(), StatusCode::OK);

        for _ in 0..2 {
            consul.start().await;
            found(&consul).await;
            health(&service, |consul| consul["status"] == "healthy").await;
            consul.stop().await;
            health(&service, |consul| consul["registered"] == false).await;
            assert_eq!(service.get("/ready", "").await.status(), StatusCode::OK);
        }
        // Away three times, there twice: as many lines, not one for each try.
        let log = service.log.lock().unwrap().clone();
        assert_eq!(log.matches("registered in Consul").count(), 2, "{log}");
        let away = log.matches("not in Consul as it should be").count();
        // One time away can look in two ways: a connection that breaks, and none.
        assert!((3..=6).contains(&away), "{log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_can_not_answer_is_registered_and_not_found() {
    with_each(async |consul| {
        let service = start(&consul, &[("AUTO_MIGRATE", "false")]).await;
        let statuses = until("two checks", async || {
            let entry = consul.instances(false).await.pop()?;
            let checks = entry["Checks"].as_array()?.iter();
            let ours = checks.filter(|check| check["CheckID"] != "serfHealth");
            let statuses: Vec<_> = ours.map(|check| check["Status"].clone()).collect();
            (statuses.len() == 2).then_some(statuses)
        })
        .await;
        assert_eq!(statuses, [json!("critical"), json!("passing")]);
        assert!(consul.instances(true).await.is_empty());
        let migrate = program::migrate()
            .args(["-database-url", &service.database.url, "-command", "up"])
            .output();
        assert!(migrate.expect("migrate").status.success());
        found(&consul).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_health_checks_there_are_none() {
    with_each(async |consul| {
        let more = [
            ("CONSUL_HEALTH_CHECK", "false"),
            ("CONSUL_ADVERTISE_ADDRESS", "catalog.internal"),
        ];
        let service = start(&consul, &more).await;
        let entry = found(&consul).await;
        assert_eq!(entry["Service"]["Address"], "catalog.internal");
        let checks = entry["Checks"].as_array().unwrap().iter();
        let ours = checks.filter(|check| check["CheckID"] != "serfHealth");
        assert_eq!(ours.count(), 0);
        // It is seen all the same when it was forgotten.
        let id = entry["Service"]["ID"].as_str().unwrap();
        let path = format!("/v1/agent/service/deregister/{id}");
        consul.call(Method::PUT, &path, &Value::Null).await;
        found(&consul).await;
        health(&service, |consul| consul["status"] == "healthy").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_consul_refuses_is_told_by_health_and_log() {
    with_each(async |consul| {
        let nobody = [("CONSUL_HTTP_TOKEN", "22222222-2222-2222-2222-222222222222")];
        let service = start(&consul, &nobody).await;
        service.ready().await;
        until("a line of the log", async || {
            let log = service.log.lock().unwrap().clone();
            log.contains("Consul says 403 Forbidden").then_some(())
        })
        .await;
        health(&service, |consul| consul["registered"] == false).await;
        assert!(consul.instances(false).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consul_over_tls_is_who_its_authority_says() {
    let authority = Authority::new();
    let files = Files::of(&authority.issue());
    let own = files.write("ca.pem", &authority.pem());
    let other = files.write("other.pem", &Authority::new().pem());
    let tls = Tls::load(&config::Tls {
        cert_path: Some(files.path("cert.pem").into()),
        key_path: Some(files.path("key.pem").into()),
        ..config::Tls::default()
    });
    let consul = Consul::over_tls(tls.expect("files").expect("a certificate")).await;
    let start = async |authority: &std::path::Path| {
        let authority = authority.to_str().unwrap();
        start(
            &consul,
            &[("CONSUL_SCHEME", "https"), ("CONSUL_CACERT", authority)],
        )
        .await
    };
    let service = start(&own).await;
    health(&service, |consul| consul["status"] == "healthy").await;
    let service = start(&other).await;
    until("a line of the log", async || {
        let log = service.log.lock().unwrap().clone();
        log.contains("invalid peer certificate").then_some(())
    })
    .await;
    health(&service, |consul| consul["status"] == "unhealthy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_instances_come_and_go() {
    with_each(async |consul| {
        let watching = discover(&consul, &["catalog-service", "--watch", "--format=json"])
            .stdout(Stdio::piped())
            .spawn();
        let mut watching = Watching(watching.expect("a watcher"));
        let lines = BufReader::new(watching.0.stdout.take().expect("a pipe")).lines();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Value>();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("JSON"));
            }
        });
        let mut next = async |count: usize| {
            let wait = std::time::Duration::from_mins(1);
            let shown = tokio::time::timeout(wait, receiver.recv()).await;
            let shown = shown.expect("in time").expect("a line");
            assert_eq!(shown.as_array().unwrap().len(), count, "{shown}");
        };
        next(0).await;
        let mut service = start(&consul, &[]).await;
        next(1).await;
        service.ready().await;
        terminate(&mut service);
        next(0).await;
    })
    .await;
}
