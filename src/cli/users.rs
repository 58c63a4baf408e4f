//! `users`: what an operator may do about users.

use clap::{Args, Subcommand};

/// What to do about users.
// The comments on fields and variants are the help text, hence without full stops.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum UsersCommand {
    /// Create a user, such as the first administrator
    Create(NewUserArgs),
    /// Encrypt anew, with the first key, what other keys have encrypted
    Reencrypt,
}

/// The user to create.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NewUserArgs {
    /// E-mail address to sign in with
    #[arg(long, value_name = "ADDRESS")]
    pub email: String,
    /// A role to give; may be said several times
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// First name
    #[arg(long, value_name = "NAME")]
    pub first_name: Option<String>,
    /// Last name
    #[arg(long, value_name = "NAME")]
    pub last_name: Option<String>,
    /// Read the password from the standard input, instead of making one and printing it
    #[arg(long)]
    pub password_stdin: bool,
}
