//! Signing in: who is let in, who is locked out, and what others can learn from it.

use futures_util::future::join_all;

use super::*;

const WRONG: &str = "incorrect horse battery";

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_a_session() {
    let users = Users::open().await;
    let identity = users.identity();
    let user = create(&identity, "Ada@Example.com").await;
    assert_eq!(user.email.as_str(), "ada@example.com");
    let from = Some("192.0.2.7".parse().unwrap());
    let grant = identity
        .sign_in("ADA@example.com", PASSWORD, from)
        .await
        .unwrap();
    assert_eq!(grant.expires_in, Duration::from_hours(1));
    let after = identity.get(user.id).await.unwrap();
    assert_eq!(after.last_login_at, Some(users.clock.now()));
    let expected = User {
        last_login_at: after.last_login_at,
        ..user
    };
    assert_eq!(after, expected);
    let again = identity
        .sign_in("ada@example.com", PASSWORD, None)
        .await
        .unwrap();
    assert_ne!(again.refresh_token, grant.refresh_token);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_costs_the_same_and_looks_the_same() {
    let users = Users::open().await;
    let identity = users.identity();
    create(&identity, "ada@example.com").await;
    let suspended = NewUser {
        status: UserStatus::Suspended,
        ..new_user("eve@example.com")
    };
    let made = identity
        .create(Granter::Operator, suspended, PASSWORD)
        .await;
    made.expect("created");
    let locked = create(&identity, "bob@example.com").await;
    for _ in 0..5 {
        refusal(identity.sign_in("bob@example.com", WRONG, None).await);
    }
    assert!(lockout(&users, locked.id).await.until.is_some());
    users.verified();

    let mut told = Vec::new();
    for (email, password) in [
        ("ada@example.com", WRONG),
        ("nobody@example.com", PASSWORD),
        ("no address at all", PASSWORD),
        ("eve@example.com", PASSWORD),
        ("bob@example.com", PASSWORD),
    ] {
        told.push(refusal(identity.sign_in(email, password, None).await));
        assert_eq!(users.verified(), 1, "one hash for {email}");
    }
    assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_lock_out_for_a_while_and_a_sign_in_forgets_them() {
    let users = Users::open().await;
    let identity = users.identity();
    let user = create(&identity, "ada@example.com").await;
    let sign_in = async |password| identity.sign_in("ada@example.com", password, None).await;
    for _ in 0..4 {
        refusal(sign_in(WRONG).await);
    }
    sign_in(PASSWORD).await.expect("the fifth is right");
    assert_eq!(lockout(&users, user.id).await, Lockout::default());

    for _ in 0..5 {
        refusal(sign_in(WRONG).await);
    }
    refusal(sign_in(PASSWORD).await);
    assert_eq!(
        lockout(&users, user.id).await.attempts,
        5,
        "it counts no more"
    );
    users.clock.advance(Duration::from_secs(59));
    refusal(sign_in(PASSWORD).await);
    users.clock.advance(Duration::from_secs(1));
    refusal(sign_in(WRONG).await);
    users.clock.advance(Duration::from_mins(1));
    refusal(sign_in(PASSWORD).await);
    users.clock.advance(Duration::from_mins(1));
    sign_in(PASSWORD).await.expect("after two minutes");
    assert_eq!(lockout(&users, user.id).await, Lockout::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_try_no_more_than_one_after_the_other() {
    let users = Users::open().await;
    let identity = users.identity();
    let user = create(&identity, "ada@example.com").await;
    let tries = (0..30).map(|_| identity.sign_in("ada@example.com", WRONG, None));
    for result in join_all(tries).await {
        refusal(result);
    }
    assert_eq!(lockout(&users, user.id).await.attempts, 5);
    refusal(identity.sign_in("ada@example.com", PASSWORD, None).await);
}
