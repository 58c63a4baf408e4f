//! When there is an identity service, and what keeps the whole from starting; and the commands on users.

use std::io::Write as _;
use std::process::Stdio;

use catalog_service::auth::dev_key;
use http::StatusCode;
use tonic::Code;

use super::*;
use crate::support::grpc::call;
use crate::support::program;
use crate::support::service::Service;

const SIGN_IN: &str = "/identity.v1.IdentityService/SignIn";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_there_is_no_identity_service() {
    let keys = tempfile::tempdir().unwrap();
    let key = dev_key(keys.path()).unwrap();
    let public = keys.path().join("public.pem");
    std::fs::write(&public, key.public().to_pem()).unwrap();
    let private = keys.path().join("keys/jwt-private-key.pem");
    for (variable, file, reason) in [
        ("JWT_PUBLIC_KEY_PATH", &public, "no key to sign tokens with"),
        ("JWT_PRIVATE_KEY_PATH", &private, "no key for personal data"),
    ] {
        let variables = [(variable, file.to_str().unwrap()), ("JWT_DEV_KEY", "false")];
        let service = Service::start_with(&variables).await;
        let log = service.log.lock().expect("the log").clone();
        assert!(
            log.contains("there is no identity service") && log.contains(reason),
            "{log}"
        );
        for path in ["/v1/identity/me", "/.well-known/jwks.json"] {
            assert_eq!(
                service.get(path, "").await.status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
        let status = call(&service.grpc, SIGN_IN, "", Vec::new())
            .await
            .expect_err("none");
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

/// What the service says that does not start.
fn refused(yaml: &str, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    let output = program::service()
        .env("CATALOG_DATA_DIR", folder.path())
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .env("SERVER_HTTP_ADDR", "127.0.0.1:0")
        .env("SERVER_GRPC_ADDR", "127.0.0.1:0")
        .env("JWT_DEV_KEY", "true")
        .envs(variables.iter().copied())
        .arg("-conf")
        .arg(folder.path())
        .output()
        .expect("a process");
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    String::from_utf8(output.stderr)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .to_owned()
}

#[test]
fn a_role_with_a_scope_that_nothing_asks_for_stops_the_start() {
    let error = refused("auth: {roles: {reader: ['catalog:raed']}}", &[]);
    assert!(
        error.ends_with(
            "auth.roles.reader: catalog:raed is not allowed: no RPC asks for this scope; did you mean catalog:read?"
        ),
        "{error}"
    );
    let error = refused("auth: {roles: {reader: ['payments']}}", &[]);
    let known =
        "there are catalog:read, catalog:write, identity:read, identity:self, identity:write";
    assert!(error.ends_with(known), "{error}");
}

#[test]
fn a_file_without_good_keys_stops_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "2026:c2VjcmV0\n").unwrap();
    let error = refused("", &[("PII_KEYS_PATH", file.path().to_str().unwrap())]);
    assert!(
        error.contains("PII_KEYS_PATH") && error.contains("key 1: must be an id"),
        "{error}"
    );
    assert!(!error.contains("c2VjcmV0"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_make_users_and_exchange_keys() {
    let (database, pool) = migrated().await;
    let run = |keys: &str, args: &[&str], input: &str| {
        let mut child = program::service()
            .env("DATABASE_URL", &database.url)
            .env("PII_KEYS", keys)
            .env("BCRYPT_COST", "4")
            .arg("users")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut stdin = child.stdin.take().expect("a pipe");
        // What is refused before its input is read has closed it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("an end");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (old, both) = (
        key("2025", 1),
        format!("{},{}", key("2026", 2), key("2025", 1)),
    );
    let create = [
        "create",
        "--email",
        "ada@example.com",
        "--role",
        "admin",
        "--password-stdin",
    ];
    let (done, out, error) = run(&old, &create, "correct horse battery staple\n");
    assert!(
        done && out.starts_with("user_") && out.lines().count() == 1,
        "{out}{error}"
    );
    let (done, _, error) = run(&both, &create, "correct horse battery staple\n");
    assert!(
        !done && error.contains("A user with this e-mail address already exists"),
        "{error}"
    );
    let (done, _, error) = run(&old, &create, "short\n");
    assert!(
        !done && error.contains("password: Must be at least 12 characters long"),
        "{error}"
    );
    let unknown = ["create", "--email", "bob@example.com", "--role", "root"];
    let (done, _, error) = run(&old, &unknown, "");
    assert!(!done && error.contains("There is no such role"), "{error}");
    let (done, _, error) = run("", &["reencrypt"], "");
    assert!(!done && error.contains("PII_KEYS_PATH"), "{error}");

    let (done, out, _) = run(&both, &["reencrypt"], "");
    assert_eq!((done, &*out), (true, "1 user was encrypted anew\n"));
    let (done, out, _) = run(&key("2026", 2), &["reencrypt"], "");
    assert_eq!((done, &*out), (true, "no user had to be encrypted anew\n"));
    let store = PgUsers::new(pool, Arc::new(keyring(&key("2026", 2))));
    let email = Email::parse("ada@example.com").unwrap();
    let account = store
        .find_by_email(&email)
        .await
        .unwrap()
        .expect("found by the new key");
    assert_eq!(account.user.roles, ["admin"]);
    let hash = Some(&account.password_hash);
    assert!(Bcrypt::new(4).verify(PASSWORD, hash).await.unwrap());
}
