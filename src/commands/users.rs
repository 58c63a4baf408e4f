//! `users`: makes users without anybody's leave, and encrypts anew what is known of them.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use super::{database, pii, runtime};
use crate::app::{self, BadConfiguration, Error};
use crate::auth::Bcrypt;
use crate::cli::{NewUserArgs, UsersCommand};
use crate::config::Config;
use crate::domain;
use crate::domain::identity::{Email, Granter, Identity, NewUser, PersonName, UserStatus};
use crate::store::PgUsers;
use crate::system::SystemEnvironment;

/// Does what was asked on the users of the configured database.
pub(super) fn run(config: &Config, command: &UsersCommand) -> Result<(), Error> {
    let keyring = pii::keyring(config)?.ok_or_else(|| {
        BadConfiguration(
            "no key for personal data: set security.pii.keys_path (PII_KEYS_PATH)".to_owned(),
        )
    })?;
    runtime()?.block_on(async {
        let users = PgUsers::new(database::open(config).await?, keyring);
        match command {
            UsersCommand::Create(new) => create(config, users, new).await,
            UsersCommand::Reencrypt => {
                let count = users.reencrypt().await.map_err(in_words)?;
                println!("{}", counted(count));
                Ok(())
            }
        }
    })
}

fn counted(count: u64) -> String {
    match count {
        0 => "no user had to be encrypted anew".to_owned(),
        1 => "1 user was encrypted anew".to_owned(),
        _ => format!("{count} users were encrypted anew"),
    }
}

async fn create(config: &Config, users: PgUsers, args: &NewUserArgs) -> Result<(), Error> {
    let password = if args.password_stdin {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        Bcrypt::generate().map_err(in_words)?
    };
    let name = |name: &Option<String>| name.clone().map(PersonName::parse).transpose();
    let new = NewUser {
        email: Email::parse(&args.email).map_err(|message| format!("--email: {message}"))?,
        first_name: name(&args.first_name).map_err(|message| format!("--first-name: {message}"))?,
        last_name: name(&args.last_name).map_err(|message| format!("--last-name: {message}"))?,
        phone: None,
        status: UserStatus::Active,
        roles: args.roles.clone(),
    };
    // No token is made here.
    let identity = Identity::new(
        users,
        Bcrypt::new(config.auth.password.bcrypt_cost),
        (),
        SystemEnvironment,
        Arc::new(app::roles(config)?),
        Duration::ZERO,
    );
    let user = identity.create(Granter::Operator, new, &password).await;
    println!("{}", user.map_err(in_words)?.id);
    if !args.password_stdin {
        println!("password: {password}");
    }
    Ok(())
}

/// What a caller of the service would not be told, an operator is.
fn in_words(error: domain::Error) -> Error {
    match error {
        domain::Error::Unavailable(cause) | domain::Error::Internal(cause) => cause,
        domain::Error::InvalidParameters(violations) => {
            let words = violations
                .iter()
                .map(|violation| format!("{}: {}", violation.field, violation.message));
            words.collect::<Vec<_>>().join("; ").into()
        }
        other => other.into(),
    }
}
