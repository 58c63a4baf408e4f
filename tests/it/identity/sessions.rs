//! Refresh tokens: each is good once, and one that comes twice ends its session.

use catalog_service::domain::identity::RefreshToken;
use futures_util::future::{join, join_all};

use super::*;

async fn signed_in(users: &Users) -> (TestIdentity, RefreshToken) {
    let identity = users.identity();
    create(&identity, "ada@example.com").await;
    let grant = identity.sign_in("ada@example.com", PASSWORD, None).await;
    (identity, grant.expect("signed in").refresh_token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_token_ends_the_session_for_all() {
    let users = Users::open().await;
    let (identity, first) = signed_in(&users).await;
    let other = identity.sign_in("ada@example.com", PASSWORD, None).await;
    let other = other.expect("another session").refresh_token;
    let second = identity
        .refresh(&first)
        .await
        .expect("good once")
        .refresh_token;
    let third = identity
        .refresh(&second)
        .await
        .expect("good once")
        .refresh_token;
    refusal(identity.refresh(&first).await);
    refusal(identity.refresh(&third).await);
    identity
        .refresh(&other)
        .await
        .expect("other sessions go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_gets_a_token_that_is_worth_nothing() {
    let users = Users::open().await;
    let (identity, token) = signed_in(&users).await;
    let results = join_all((0..10).map(|_| identity.refresh(&token))).await;
    let granted: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
    assert_eq!(granted.len(), 1);
    refusal(identity.refresh(&granted[0].refresh_token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_and_an_owner_at_the_same_time_leave_no_token_behind() {
    let users = Users::open().await;
    let (identity, _) = signed_in(&users).await;
    for _ in 0..20 {
        let grant = identity.sign_in("ada@example.com", PASSWORD, None).await;
        let stolen = grant.expect("signed in").refresh_token;
        let current = identity.refresh(&stolen).await.expect("good").refresh_token;
        // Whoever is first: the successor that the owner may get is of a session that is ended.
        let (thief, owner) = join(identity.refresh(&stolen), identity.refresh(&current)).await;
        refusal(thief);
        if let Ok(next) = owner {
            refusal(identity.refresh(&next.refresh_token).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_by_time_by_signing_out_and_with_their_user() {
    let users = Users::open().await;
    let (identity, token) = signed_in(&users).await;
    identity.sign_out(&token).await.expect("done");
    identity.sign_out(&token).await.expect("done already");
    let unknown = RefreshToken::new("never given");
    identity.sign_out(&unknown).await.expect("nothing to do");
    refusal(identity.refresh(&token).await);
    refusal(identity.refresh(&unknown).await);

    let sign_in = async || {
        let grant = identity.sign_in("ada@example.com", PASSWORD, None).await;
        grant.expect("signed in").refresh_token
    };
    let (late, kept) = (sign_in().await, sign_in().await);
    let second = Duration::from_secs(1);
    users
        .clock
        .advance(REFRESH_TTL.checked_sub(second).unwrap());
    let kept = identity
        .refresh(&kept)
        .await
        .expect("just in time")
        .refresh_token;
    users.clock.advance(Duration::from_secs(1));
    refusal(identity.refresh(&late).await);
    let kept = identity
        .refresh(&kept)
        .await
        .expect("its time began anew")
        .refresh_token;

    let now = users.clock.now();
    let store = users.store(&key("a", 1));
    // Of the sessions signed out and too late, one each; and the first token of the one that goes on.
    users.clock.advance(Duration::from_secs(1));
    assert_eq!(
        store
            .forget(now + Duration::from_secs(1), 100)
            .await
            .unwrap(),
        5
    );
    assert_eq!(
        store
            .forget(now + Duration::from_secs(1), 100)
            .await
            .unwrap(),
        0
    );

    sqlx::query("UPDATE users SET status = 'suspended'")
        .execute(&users.pool)
        .await
        .unwrap();
    refusal(identity.refresh(&kept).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_stored_as_hashes_only() {
    let users = Users::open().await;
    let (identity, token) = signed_in(&users).await;
    identity.refresh(&token).await.expect("good");
    let rows: Vec<String> = sqlx::query_scalar("SELECT row_to_json(t)::text FROM refresh_tokens t")
        .fetch_all(&users.pool)
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    let hex = hex(token.as_str());
    for row in rows {
        assert!(
            !row.contains(token.as_str()) && !row.contains(&hex),
            "{row}"
        );
    }
}
