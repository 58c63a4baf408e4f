//! Who may call what, in every protocol, for every RPC of the contract: the cases come from the contract, so that a new
//! RPC is covered by what stands here.

mod services;

use catalog_service::pb::{METHODS, OPENAPI_JSON};
use http::{Method, StatusCode};
use serde_json::Value;
use tonic::Code;
use transcode::MethodSpec;

use crate::support::connect::call_connect;
use crate::support::grpc::{call, call_web};
use crate::support::service::{Service, authorized};

/// What no message of the contract is: a caller must be refused before anyone looks into it.
const NO_MESSAGE: &[u8] = &[0xff, 0xff, 0xff];

/// The RPCs of all services.
fn rpcs() -> impl Iterator<Item = &'static MethodSpec> {
    METHODS.iter().flat_map(|methods| methods.iter().copied())
}

/// All scopes that RPCs ask for, but for one.
fn scopes_without(missing: &str) -> String {
    let mut scopes: Vec<_> = rpcs().flat_map(|method| method.scopes).copied().collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes.retain(|scope| *scope != missing);
    scopes.join(" ")
}

/// Tokens that let nobody in, by what is wrong with them.
fn bad_tokens(service: &Service) -> Vec<(&'static str, String)> {
    let good = service.token("catalog:read catalog:write");
    let (head, signature) = good.rsplit_once('.').expect("a token");
    let (header, _) = head.split_once('.').expect("a token");
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    vec![
        ("none", String::new()),
        ("no token", "nonsense".to_owned()),
        (
            "another signature",
            format!("{head}.{flipped}{}", &signature[1..]),
        ),
        ("no signature", format!("{head}.")),
        ("other claims", format!("{header}.e30.{signature}")),
        (
            "another issuer",
            service.token_with("catalog:read catalog:write", &[("JWT_ISSUER", "another")]),
        ),
        (
            "another audience",
            service.token_with("catalog:read catalog:write", &[("JWT_AUDIENCE", "another")]),
        ),
    ]
}

/// The operations of the API description, with a path that could be one's, and the scopes they ask for: none when they
/// are open to all.
pub(crate) fn operations() -> Vec<(Method, String, Vec<String>)> {
    let description: Value = serde_json::from_str(OPENAPI_JSON).expect("the description");
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let mut path = path.clone();
            for parameter in operation["parameters"].as_array().expect("parameters") {
                let name = parameter["name"].as_str().expect("a name");
                let example = parameter["schema"]["examples"][0].as_str().unwrap_or("x");
                path = path.replace(&format!("{{{name}}}"), example);
            }
            let security = operation["security"].as_array().expect("a security");
            let scopes = security.iter().flat_map(|one| {
                let scopes = one["bearerAuth"].as_array().expect("scopes");
                assert!(!scopes.is_empty(), "{method} {path}");
                scopes
            });
            let scopes = scopes
                .map(|scope| scope.as_str().expect("a scope").to_owned())
                .collect();
            operations.push((
                method.to_uppercase().parse().expect("a method"),
                path,
                scopes,
            ));
        }
    }
    operations
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_right_token() {
    let service = Service::start().await;
    for (what, token) in bad_tokens(&service) {
        for method in rpcs().filter(|method| !method.public) {
            let status = call(&service.grpc, method.path, &token, NO_MESSAGE.to_vec())
                .await
                .expect_err("refused");
            assert_eq!(
                status.code(),
                Code::Unauthenticated,
                "{} with {what}",
                method.path
            );
            assert_eq!(status.message(), "Invalid or expired token");
            let one_port = call(&service.http, method.path, &token, NO_MESSAGE.to_vec())
                .await
                .expect_err("refused");
            assert_eq!(
                one_port.code(),
                Code::Unauthenticated,
                "{} with {what} on the HTTP port",
                method.path
            );
            let web = call_web(&service, method.path, &token, NO_MESSAGE).await;
            assert_eq!(
                web,
                Err(Code::Unauthenticated),
                "{} with {what} by gRPC-Web",
                method.path
            );
            let connect = call_connect(&service, method, &token, NO_MESSAGE).await;
            assert_eq!(
                connect,
                Err(Code::Unauthenticated),
                "{} with {what} by Connect",
                method.path
            );
        }
        for (method, path, _) in operations()
            .into_iter()
            .filter(|(.., scopes)| !scopes.is_empty())
        {
            // Before anything is read: not even the wrong content type is told to a stranger.
            let response = service
                .send(authorized(method.clone(), &path, &token), "not JSON")
                .await;
            assert_eq!(
                response.status(),
                StatusCode::UNAUTHORIZED,
                "{method} {path} with {what}"
            );
            assert_eq!(response.body()["error"]["code"], "UNAUTHORIZED");
            assert_eq!(
                response.body()["error"]["message"],
                "Invalid or expired token"
            );
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_to_all_asks_for_no_token() {
    let service = Service::start().await;
    let mut count = 0;
    for (what, token) in bad_tokens(&service) {
        for method in rpcs().filter(|method| method.public) {
            assert!(method.scopes.is_empty(), "{}", method.path);
            // None of them can do anything with nothing: what refuses is the contract.
            for url in [&service.grpc, &service.http] {
                let status = call(url, method.path, &token, Vec::new()).await;
                let code = status.expect_err("refused").code();
                assert_eq!(code, Code::InvalidArgument, "{} with {what}", method.path);
            }
            let web = call_web(&service, method.path, &token, &[]).await;
            assert_eq!(
                web,
                Err(Code::InvalidArgument),
                "{} with {what}",
                method.path
            );
            let connect = call_connect(&service, method, &token, &[]).await;
            assert_eq!(
                connect,
                Err(Code::InvalidArgument),
                "{} with {what} by Connect",
                method.path
            );
            count += 1;
        }
        for (method, path, _) in operations()
            .into_iter()
            .filter(|(.., scopes)| scopes.is_empty())
        {
            let request = authorized(method.clone(), &path, &token);
            let request = request.header("content-type", "application/json");
            let response = service.send(request, "{}").await;
            assert_eq!(
                response.status(),
                StatusCode::BAD_REQUEST,
                "{method} {path} with {what}"
            );
            count += 1;
        }
    }
    assert!(count > 0, "nothing is open to all");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scope_is_asked_for() {
    let service = Service::start().await;
    for method in rpcs().filter(|method| !method.public) {
        assert!(!method.scopes.is_empty(), "{} asks for none", method.path);
        for missing in method.scopes {
            let token = service.token(&scopes_without(missing));
            let status = call(&service.grpc, method.path, &token, NO_MESSAGE.to_vec())
                .await
                .expect_err("refused");
            assert_eq!(
                status.code(),
                Code::PermissionDenied,
                "{} without {missing}",
                method.path
            );
            let web = call_web(&service, method.path, &token, NO_MESSAGE).await;
            assert_eq!(
                web,
                Err(Code::PermissionDenied),
                "{} without {missing} by gRPC-Web",
                method.path
            );
            let connect = call_connect(&service, method, &token, NO_MESSAGE).await;
            assert_eq!(
                connect,
                Err(Code::PermissionDenied),
                "{} without {missing} by Connect",
                method.path
            );
        }
        let all = service.token(&method.scopes.join(" "));
        let answer = call(&service.grpc, method.path, &all, Vec::new()).await;
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        assert!(
            matches!(code, Code::Ok | Code::InvalidArgument | Code::NotFound),
            "{} with its scopes: {code:?}",
            method.path
        );
        let answer = call_connect(&service, method, &all, &[]).await;
        let code = answer.err().unwrap_or(Code::Ok);
        assert!(
            matches!(code, Code::Ok | Code::InvalidArgument | Code::NotFound),
            "{} with its scopes by Connect: {code:?}",
            method.path
        );
    }
    for (method, path, scopes) in operations() {
        for missing in &scopes {
            let token = service.token(&scopes_without(missing));
            let response = service
                .send(authorized(method.clone(), &path, &token), "not JSON")
                .await;
            assert_eq!(
                response.status(),
                StatusCode::FORBIDDEN,
                "{method} {path} without {missing}"
            );
            assert_eq!(response.body()["error"]["code"], "FORBIDDEN");
        }
    }
}

/// The description and the specs come from one place and say the same of every RPC.
#[test]
fn the_description_asks_for_the_scopes_of_the_contract() {
    let mut described: Vec<_> = operations()
        .into_iter()
        .flat_map(|(_, _, scopes)| scopes)
        .collect();
    let mut specified: Vec<_> = rpcs()
        .flat_map(|method| method.scopes)
        .map(|scope| (*scope).to_owned())
        .collect();
    described.sort();
    described.dedup();
    specified.sort();
    specified.dedup();
    assert_eq!(described, specified);
    let open = operations()
        .into_iter()
        .filter(|(.., scopes)| scopes.is_empty());
    assert_eq!(open.count(), rpcs().filter(|method| method.public).count());
    assert!(operations().len() >= rpcs().count());
    let known = [
        "catalog:read",
        "catalog:write",
        "identity:read",
        "identity:self",
        "identity:write",
    ];
    assert_eq!(specified, known);
}
