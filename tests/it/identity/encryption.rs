//! What stands in the table: nothing that says who somebody is, and nothing that is good in another place.

use catalog_service::domain::Error;
use catalog_service::migrate::{Migrator, Options, Source};
use futures_util::future::join;

use super::*;
use crate::support::postgres::{connect, database};

/// All that is stored of users, as text.
async fn stored(users: &Users) -> String {
    let rows: Vec<String> = sqlx::query_scalar("SELECT row_to_json(u)::text FROM users u")
        .fetch_all(&users.pool)
        .await
        .unwrap();
    rows.join("\n").to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_personal_data_is_found_in_the_table() {
    let users = Users::open().await;
    let identity = users.identity();
    create(&identity, "Ada.Private@Example.com").await;
    let from = Some("192.0.2.77".parse().unwrap());
    let grant = identity
        .sign_in("ada.private@example.com", PASSWORD, from)
        .await;
    grant.expect("signed in");
    let stored = stored(&users).await;
    assert!(stored.contains(r#""last_login_ip":"\\x01"#), "{stored}");
    for secret in [
        "ada.private",
        "example.com",
        "augusta",
        "lovelace",
        "2071234567",
        "192.0.2.77",
        PASSWORD,
    ] {
        for text in [secret, &hex(secret), &hex(&capitalised(secret))] {
            assert!(!stored.contains(text), "{secret} in {stored}");
        }
    }
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_another_row_or_column_is_refused() {
    let users = Users::open().await;
    let identity = users.identity();
    let ada = create(&identity, "ada@example.com").await;
    let bob = create(&identity, "bob@example.com").await;
    for change in [
        "UPDATE users SET phone = (SELECT phone FROM users WHERE id <> $1) WHERE id = $1",
        "UPDATE users SET last_name = first_name WHERE id = $1",
    ] {
        sqlx::query(change)
            .bind(ada.id.uuid())
            .execute(&users.pool)
            .await
            .unwrap();
        let error = identity.get(ada.id).await.expect_err("refused");
        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        assert_eq!(identity.get(bob.id).await.unwrap(), bob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_found_in_any_case_and_taken_once() {
    let users = Users::open().await;
    let identity = users.identity();
    create(&identity, "ada@example.com").await;
    let again = identity
        .create(Granter::Operator, new_user("ADA@EXAMPLE.COM"), PASSWORD)
        .await;
    let error = again.expect_err("taken");
    assert_eq!(
        error.to_string(),
        "A user with this e-mail address already exists"
    );
    sqlx::query("UPDATE users SET deleted_at = now()")
        .execute(&users.pool)
        .await
        .unwrap();
    refusal(identity.sign_in("ada@example.com", PASSWORD, None).await);
    create(&identity, "ada@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_while_the_service_runs() {
    let users = Users::open().await;
    let (old, new) = (key("2025", 1), key("2026", 2));
    let before = users.with_keys(&old);
    let user = create(&before, "ada@example.com").await;
    let from = Some("192.0.2.7".parse().unwrap());
    before
        .sign_in("ada@example.com", PASSWORD, from)
        .await
        .expect("before");

    let both = format!("{new},{old}");
    let during = users.with_keys(&both);
    during
        .sign_in("ada@example.com", PASSWORD, None)
        .await
        .expect("during");
    let taken = during.create(Granter::Operator, new_user("Ada@example.com"), PASSWORD);
    let error = taken.await.expect_err("taken, by the other key");
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error:?}");
    create(&during, "bob@example.com").await;

    let after = users.with_keys(&new);
    refusal(after.sign_in("ada@example.com", PASSWORD, None).await);
    assert!(after.get(user.id).await.is_err());
    assert_eq!(users.store(&both).reencrypt().await.unwrap(), 1);
    assert_eq!(users.store(&both).reencrypt().await.unwrap(), 0);
    after
        .sign_in("ada@example.com", PASSWORD, None)
        .await
        .expect("after");
    let found = after.get(user.id).await.unwrap();
    assert_eq!(
        (&found.phone, &found.last_name),
        (&user.phone, &user.last_name)
    );
    refusal(before.sign_in("ada@example.com", PASSWORD, None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_with_other_first_keys_do_not_take_an_address_twice() {
    let users = Users::open().await;
    let (old, new) = (key("2025", 1), key("2026", 2));
    let (one, other) = (
        users.with_keys(&format!("{old},{new}")),
        users.with_keys(&format!("{new},{old}")),
    );
    for number in 0..10 {
        let email = format!("user{number}@example.com");
        let create = |identity| {
            let identity: &TestIdentity = identity;
            identity.create(Granter::Operator, new_user(&email), PASSWORD)
        };
        let (a, b) = join(create(&one), create(&other)).await;
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_plain_text_stop_the_migration() {
    let database = database().await;
    let migrate = async || {
        Migrator::connect(&database.url, Source::embedded(), Options::default())
            .await
            .expect("a migrator")
    };
    let mut migrator = migrate().await;
    migrator.up(Some(6)).await.expect("migrated");
    let mut connection = connect(&database.url).await;
    sqlx::query("INSERT INTO users (email, password_hash) VALUES ('ada@example.com', 'x')")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = migrator.up(None).await.expect_err("refused").to_string();
    assert!(error.contains("plain text"), "{error}");
    migrator.close().await;
    let plain: String = sqlx::query_scalar("SELECT email FROM users")
        .fetch_one(&mut connection)
        .await
        .expect("untouched");
    assert_eq!(plain, "ada@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_users_stop_the_way_back() {
    let users = Users::open().await;
    let url = &users.database.url;
    create(&users.identity(), "ada@example.com").await;
    let mut migrator = Migrator::connect(url, Source::embedded(), Options::default())
        .await
        .expect("a migrator");
    // Down to before the encryption, whatever came after it.
    let error = migrator.down(None).await.expect_err("refused").to_string();
    assert!(error.contains("encrypted data"), "{error}");
    migrator.close().await;
}
