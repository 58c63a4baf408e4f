//! Messages on users as values of the domain, and back.

use std::time::Duration;

use crate::domain::UserId;
use crate::domain::error::{Error, Result};
use crate::domain::id::InvalidUserId;
use crate::domain::identity::{Email, NewUser, PersonName, Phone, User, UserStatus};
use crate::pb::identity::v1 as pb;
use crate::service::convert::{Parser, timestamp};

/// How an access token is presented.
pub(super) const BEARER: &str = "Bearer";

pub(super) fn user_id(field: &str, text: &str) -> Result<UserId> {
    text.parse()
        .map_err(|error: InvalidUserId| Error::invalid(field, error.to_string()))
}

/// A user who is to be made, and its password.
pub(super) fn new_user(request: pb::CreateUserRequest) -> Result<(NewUser, String)> {
    let mut parser = Parser::new("");
    let status = match request.status() {
        pb::UserStatus::Unspecified | pb::UserStatus::Active => UserStatus::Active,
        pb::UserStatus::Inactive => UserStatus::Inactive,
        pb::UserStatus::Suspended => UserStatus::Suspended,
    };
    let email = parser.take("email", Email::parse(&request.email));
    let first_name = parser.take_opt("firstName", request.first_name, PersonName::parse);
    let last_name = parser.take_opt("lastName", request.last_name, PersonName::parse);
    let phone = parser.take_opt("phone", request.phone, Phone::parse);
    let new = email.map(|email| NewUser {
        email,
        first_name,
        last_name,
        phone,
        status,
        roles: request.roles,
    });
    Ok((parser.finish(new)?, request.password))
}

pub(super) fn user(user: User) -> pb::User {
    let status = match user.status {
        UserStatus::Active => pb::UserStatus::Active,
        UserStatus::Inactive => pb::UserStatus::Inactive,
        UserStatus::Suspended => pb::UserStatus::Suspended,
    };
    pb::User {
        id: user.id.to_string(),
        email: user.email.into_string(),
        first_name: user.first_name.map(PersonName::into_string),
        last_name: user.last_name.map(PersonName::into_string),
        phone: user.phone.map(Phone::into_string),
        status: status.into(),
        roles: user.roles,
        last_login_at: user.last_login_at.map(timestamp),
        created_at: Some(timestamp(user.created_at)),
        updated_at: Some(timestamp(user.updated_at)),
    }
}

pub(super) fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
