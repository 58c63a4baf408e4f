use std::sync::LazyLock;

use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::auth::keys::{PrivateKey, generate_pem};
use crate::auth::{Claims, mint};

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
const LEEWAY: Duration = Duration::from_secs(30);

static KEY: LazyLock<PrivateKey> = LazyLock::new(new_key);
static OTHER_KEY: LazyLock<PrivateKey> = LazyLock::new(new_key);

fn new_key() -> PrivateKey {
    PrivateKey::from_pem(generate_pem().unwrap().as_bytes()).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(
        vec![KEY.public()],
        "https://id.example",
        "catalog-service",
        LEEWAY,
    )
}

fn verify(token: &str) -> Result<Principal, AuthError> {
    verifier().verify(Some(&format!("Bearer {token}")), NOW)
}

/// The payload of a good token, with `changes` laid over it; `null` takes a claim out.
fn payload(changes: &Value) -> Value {
    let mut payload = json!({
        "iss": "https://id.example",
        "aud": "catalog-service",
        "sub": "user_456",
        "exp": NOW.unix_timestamp() + 3600,
        "scope": "catalog:read catalog:write",
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            payload.as_object_mut().unwrap().remove(name);
        } else {
            payload[name] = value.clone();
        }
    }
    payload
}

fn sign_with(header: &Header, payload: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, payload, key).unwrap()
}

fn sign(changes: &Value) -> String {
    sign_with(
        &Header::new(Algorithm::RS256),
        &payload(changes),
        KEY.signing(),
    )
}

/// A good token whose header, payload or signature is replaced.
fn with_part(index: usize, part: &str) -> String {
    let token = sign(&json!({}));
    let mut parts: Vec<_> = token.split('.').collect();
    parts[index] = part;
    parts.join(".")
}

fn invalid(cause: Cause) -> Result<Principal, AuthError> {
    Err(AuthError::Invalid(cause))
}

#[test]
fn roles_are_read_where_they_usually_are() {
    let roles = |changes: Value| verify(&sign(&changes)).unwrap().roles;
    assert_eq!(roles(json!({})), [""; 0]);
    assert_eq!(roles(json!({"roles": ["a", "b", "a"]})), ["a", "b"]);
    assert_eq!(roles(json!({"roles": "a"})), ["a"]);
    assert_eq!(
        roles(
            json!({"roles": ["a"], "realm_access": {"roles": ["offline_access", "a"], "more": 1}})
        ),
        ["a", "offline_access"]
    );
    for other in [
        json!(1),
        json!({"a": 1}),
        json!([{"name": "a"}]),
        json!([1]),
    ] {
        let none = json!({"roles": other, "realm_access": other});
        assert_eq!(roles(none), [""; 0], "{other}");
        assert_eq!(roles(json!({"realm_access": {"roles": other}})), [""; 0]);
    }
}

#[test]
fn a_minted_token_is_accepted() {
    let scopes = ["catalog:read".to_owned(), "catalog:write".to_owned()];
    let claims = Claims {
        subject: "user_456",
        scopes: &scopes,
        roles: &["editor".to_owned()],
        issuer: "https://id.example",
        audience: "catalog-service",
        issued_at: NOW,
        ttl: Duration::from_mins(1),
        token_id: "tok_1",
    };
    let principal = verify(&mint(&KEY, &claims).unwrap()).unwrap();
    assert_eq!(principal.subject, "user_456");
    assert_eq!(principal.scopes, scopes);
    assert_eq!(principal.roles, ["editor"]);
    assert_eq!(principal.expires_at, NOW + Duration::from_mins(1));
    assert!(principal.has_scope("catalog:write"));
    assert!(!principal.has_scope("catalog"));
    assert!(!principal.has_scope(""));

    let none = mint(
        &KEY,
        &Claims {
            scopes: &[],
            ..claims.clone()
        },
    )
    .unwrap();
    assert!(verify(&none).unwrap().scopes.is_empty());
    assert!(
        mint(
            &KEY,
            &Claims {
                subject: "",
                ..claims.clone()
            }
        )
        .is_err()
    );
    assert!(
        mint(
            &KEY,
            &Claims {
                ttl: Duration::ZERO,
                ..claims.clone()
            }
        )
        .is_err()
    );
    assert!(
        mint(
            &KEY,
            &Claims {
                ttl: Duration::MAX,
                ..claims.clone()
            }
        )
        .is_err()
    );
    assert!(
        mint(
            &KEY,
            &Claims {
                scopes: &["a b".to_owned()],
                ..claims
            }
        )
        .is_err()
    );
}

#[test]
fn the_scheme_is_bearer_in_any_case() {
    let token = sign(&json!({}));
    let verifier = verifier();
    for header in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("BEARER   {token} "),
    ] {
        assert!(verifier.verify(Some(&header), NOW).is_ok(), "{header}");
    }
    for header in [
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer{token}"),
        "Bearer".to_owned(),
    ] {
        assert_eq!(
            verifier.verify(Some(&header), NOW),
            Err(AuthError::Malformed),
            "{header}"
        );
    }
    for header in [None, Some(""), Some("  ")] {
        assert_eq!(verifier.verify(header, NOW), Err(AuthError::Missing));
    }
}

#[test]
fn a_token_ends_at_exp_plus_leeway() {
    let exp = |offset: i64| verify(&sign(&json!({ "exp": NOW.unix_timestamp() + offset })));
    assert!(exp(1).is_ok());
    assert!(exp(-29).is_ok());
    assert_eq!(exp(-30), Err(AuthError::Expired));
    assert_eq!(exp(-3600), Err(AuthError::Expired));
    assert_eq!(
        verify(&sign(&json!({ "exp": -1 }))),
        Err(AuthError::Expired)
    );
    assert!(verify(&sign(&json!({ "exp": 1e10 }))).is_ok());
    assert_eq!(
        verify(&sign(&json!({ "exp": 1e300 }))),
        invalid(Cause::Date("exp"))
    );
    assert_eq!(
        verify(&sign(&json!({ "exp": "tomorrow" }))),
        invalid(Cause::Claims)
    );
}

#[test]
fn what_is_left_of_a_token_ends_with_it() {
    let verifier = Verifier::new(vec![], "", "", LEEWAY);
    let left = |offset: i64| {
        let principal = Principal {
            subject: "user_456".to_owned(),
            scopes: vec![],
            roles: Vec::new(),
            rpcs: None,
            expires_at: NOW + time::Duration::seconds(offset),
        };
        verifier.left(&principal, NOW)
    };
    assert_eq!(left(3600), Duration::from_secs(3630));
    assert_eq!(left(-29), Duration::from_secs(1));
    assert_eq!(left(-30), Duration::ZERO);
    assert_eq!(left(-3600), Duration::ZERO);
}

#[test]
fn a_token_begins_at_nbf_minus_leeway() {
    let nbf = |offset: i64| verify(&sign(&json!({ "nbf": NOW.unix_timestamp() + offset })));
    assert!(nbf(-3600).is_ok());
    assert!(nbf(30).is_ok());
    assert_eq!(nbf(31), Err(AuthError::NotYetValid));
    assert_eq!(
        verify(&sign(&json!({ "nbf": 1e300 }))),
        invalid(Cause::Date("nbf"))
    );
    assert_eq!(
        verify(&sign(&json!({ "nbf": "today" }))),
        invalid(Cause::Claims)
    );
}

#[test]
fn a_huge_leeway_does_not_overflow() {
    let verifier = Verifier::new(
        vec![KEY.public()],
        "https://id.example",
        "catalog-service",
        Duration::MAX,
    );
    assert!(
        verifier
            .verify(
                Some(&format!(
                    "Bearer {}",
                    sign(&json!({ "exp": 0, "nbf": 9e9 }))
                )),
                NOW
            )
            .is_ok()
    );
}

#[test]
fn the_issuer_must_match() {
    for issuer in [
        "https://evil.example",
        "https://id.example/",
        "",
        "HTTPS://ID.EXAMPLE",
    ] {
        assert_eq!(
            verify(&sign(&json!({ "iss": issuer }))),
            invalid(Cause::Issuer),
            "{issuer}"
        );
    }
    assert_eq!(
        verify(&sign(&json!({ "iss": ["https://id.example"] }))),
        invalid(Cause::Claims)
    );
}

#[test]
fn the_audience_must_name_this_service() {
    assert!(verify(&sign(&json!({ "aud": ["other", "catalog-service"] }))).is_ok());
    for audience in [
        json!("other"),
        json!(""),
        json!([]),
        json!(["other", "catalog"]),
    ] {
        assert_eq!(
            verify(&sign(&json!({ "aud": audience }))),
            invalid(Cause::Audience)
        );
    }
    assert_eq!(
        verify(&sign(&json!({ "aud": { "name": "catalog-service" } }))),
        invalid(Cause::Claims)
    );
}

#[test]
fn claims_that_every_token_needs_are_missed() {
    for claim in ["exp", "iss", "aud", "sub"] {
        assert_eq!(
            verify(&sign(&json!({ claim: null }))),
            invalid(Cause::Absent(claim))
        );
    }
    assert_eq!(
        verify(&sign(&json!({ "sub": "" }))),
        invalid(Cause::Absent("sub"))
    );
    assert_eq!(
        verify(&sign(&json!({ "sub": " " }))),
        invalid(Cause::Absent("sub"))
    );
    assert_eq!(
        verify(&sign(&json!({ "sub": 456 }))),
        invalid(Cause::Claims)
    );
    assert_eq!(
        verify(&sign_with(
            &Header::new(Algorithm::RS256),
            &json!([1]),
            KEY.signing()
        )),
        invalid(Cause::Claims)
    );
}

#[test]
fn scopes_are_read_from_scope_and_scp() {
    let scopes = |changes: Value| verify(&sign(&changes)).unwrap().scopes;
    assert_eq!(scopes(json!({})), ["catalog:read", "catalog:write"]);
    assert!(scopes(json!({ "scope": null })).is_empty());
    assert!(scopes(json!({ "scope": "" })).is_empty());
    assert_eq!(
        scopes(json!({ "scope": null, "scp": ["a", "b"] })),
        ["a", "b"]
    );
    assert_eq!(scopes(json!({ "scope": null, "scp": "a b" })), ["a", "b"]);
    assert_eq!(
        scopes(json!({ "scope": "a  b", "scp": ["b", "c"] })),
        ["a", "b", "c"]
    );
    assert_eq!(
        verify(&sign(&json!({ "scope": 1 }))),
        invalid(Cause::Claims)
    );
}

#[test]
fn no_algorithm_but_rs256_is_accepted() {
    // {"alg":"none"}, {"alg":"none","typ":"JWT"}, {"alg":"None"}; with the signature of a good token and without.
    for header in [
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0",
        "eyJhbGciOiJOb25lIn0",
    ] {
        let token = with_part(0, header);
        assert_eq!(verify(&token), invalid(Cause::Header), "{header}");
        let unsigned = &token[..=token.rfind('.').unwrap()];
        assert_eq!(verify(unsigned), invalid(Cause::Header), "{header}");
    }
    for algorithm in [
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ] {
        let token = sign_with(&Header::new(algorithm), &payload(&json!({})), KEY.signing());
        assert_eq!(verify(&token), invalid(Cause::Header), "{algorithm:?}");
    }
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let public = KEY.public();
    for secret in [
        public.to_pem().as_bytes(),
        public.verifying().try_get_as_bytes().unwrap(),
    ] {
        let secret = EncodingKey::from_secret(secret);
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let token = sign_with(&Header::new(algorithm), &payload(&json!({})), &secret);
            assert_eq!(verify(&token), invalid(Cause::Header), "{algorithm:?}");
            // The same with a header that claims RS256.
            let signature = token.rsplit('.').next().unwrap();
            assert_eq!(
                verify(&with_part(2, signature)),
                invalid(Cause::Signature),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn a_critical_extension_is_refused() {
    let mut header = Header::new(Algorithm::RS256);
    header.crit = Some(vec!["b64".to_owned()]);
    assert_eq!(
        verify(&sign_with(&header, &payload(&json!({})), KEY.signing())),
        invalid(Cause::Header)
    );
}

#[test]
fn a_key_in_the_header_is_not_trusted() {
    let mut header = Header::new(Algorithm::RS256);
    header.jku = Some("https://evil.example/keys".to_owned());
    header.kid = Some("../../dev/null".to_owned());
    let token = sign_with(&header, &payload(&json!({})), OTHER_KEY.signing());
    assert_eq!(verify(&token), invalid(Cause::Signature));
}

#[test]
fn a_changed_token_is_refused() {
    let admin = sign(&json!({ "scope": "catalog:admin" }));
    let admin_payload = admin.split('.').nth(1).unwrap();
    assert_eq!(
        verify(&with_part(1, admin_payload)),
        invalid(Cause::Signature)
    );
    assert_eq!(verify(&with_part(2, "")), invalid(Cause::Signature));
    assert_eq!(verify(&with_part(2, "AAAA")), invalid(Cause::Signature));
    assert_eq!(verify(&with_part(2, "A")), Err(AuthError::Malformed));
    // Another header than the signed one: {"alg":"RS256"}.
    assert_eq!(
        verify(&with_part(0, "eyJhbGciOiJSUzI1NiJ9")),
        invalid(Cause::Signature)
    );
}

#[test]
fn only_known_keys_count_and_any_of_them_does() {
    let token = sign_with(
        &Header::new(Algorithm::RS256),
        &payload(&json!({})),
        OTHER_KEY.signing(),
    );
    assert_eq!(verify(&token), invalid(Cause::Signature));
    let with_keys = |keys| {
        Verifier::new(keys, "https://id.example", "catalog-service", LEEWAY)
            .verify(Some(&format!("Bearer {token}")), NOW)
    };
    assert!(with_keys(vec![KEY.public(), OTHER_KEY.public()]).is_ok());
    assert!(with_keys(vec![OTHER_KEY.public(), KEY.public()]).is_ok());
    assert_eq!(with_keys(vec![]), invalid(Cause::Signature));
}

#[test]
fn garbage_is_refused() {
    for token in [
        "",
        "a",
        "a.b",
        "a.b.c",
        "..",
        "a.b.c.d",
        "e30.e30.e30",
        "é.é.é",
        "bnVsbA.bnVsbA.bnVsbA",
    ] {
        let refused = verify(token).unwrap_err();
        assert!(
            matches!(
                refused,
                AuthError::Malformed | AuthError::Invalid(Cause::Header)
            ),
            "{token}: {refused:?}"
        );
    }
    let extended = format!("{}.e30", sign(&json!({})));
    assert_eq!(verify(&extended), Err(AuthError::Malformed));
    assert_eq!(
        verify(&format!("{} x", sign(&json!({})))),
        Err(AuthError::Malformed)
    );
}

#[test]
fn a_huge_token_is_refused_unread() {
    let token = |padding: usize| sign(&json!({ "pad": "x".repeat(padding) }));
    assert!(token(5_000).len() <= MAX_TOKEN_BYTES);
    assert!(verify(&token(5_000)).is_ok());
    assert!(token(6_000).len() > MAX_TOKEN_BYTES);
    assert_eq!(verify(&token(6_000)), Err(AuthError::Malformed));
    assert_eq!(verify(&"a".repeat(10_000_000)), Err(AuthError::Malformed));
}

#[test]
fn the_log_line_names_the_reason_and_nothing_else() {
    assert_eq!(
        AuthError::Invalid(Cause::Absent("sub")).to_string(),
        "the token is refused: claim sub absent"
    );
    assert_eq!(PUBLIC_MESSAGE, "Invalid or expired token");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let verifier = verifier();
        prop_assert!(verifier.verify(Some(&text), NOW).is_err());
        let bearer = format!("Bearer {text}");
        prop_assert!(verifier.verify(Some(&bearer), NOW).is_err());
    }

    #[test]
    fn nothing_that_looks_like_a_token_makes_it_panic(text in "[Bb]earer [A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}") {
        prop_assert!(verifier().verify(Some(&text), NOW).is_err());
    }

    #[test]
    fn no_signed_payload_makes_it_panic(exp in any::<f64>(), nbf in any::<i64>(), sub in ".*", scope in ".*") {
        let changes = json!({ "exp": exp, "nbf": nbf, "sub": sub, "scope": scope });
        let _ = verify(&sign(&changes));
    }

    #[test]
    fn one_changed_character_is_enough(index in any::<prop::sample::Index>(), replacement in "[A-Za-z0-9_-]") {
        let token = sign(&json!({}));
        let index = index.index(token.len());
        prop_assume!(token.as_bytes()[index] != replacement.as_bytes()[0]);
        let mut changed = token;
        changed.replace_range(index..=index, &replacement);
        prop_assert!(verify(&changed).is_err(), "{changed}");
    }
}
