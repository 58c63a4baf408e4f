//! `identity.v1.IdentityService`.

mod convert;

use std::net::IpAddr;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::error::status;
use crate::auth::Principal;
use crate::domain::error::Error;
use crate::domain::identity::{Granter, Identity, PasswordHasher, RefreshToken, Tokens, UserStore};
use crate::domain::ports::Environment;
use crate::pb::identity::v1 as pb;
use crate::pb::identity::v1::identity_service_server::IdentityService;

/// The handlers of the RPCs on users. What they get was let in and keeps the rules of the contract already.
pub struct IdentityHandler<S, H, T, E> {
    identity: Identity<S, H, T, E>,
}

impl<S, H, T, E> IdentityHandler<S, H, T, E> {
    /// Handlers over the users.
    pub const fn new(identity: Identity<S, H, T, E>) -> Self {
        Self { identity }
    }
}

#[tonic::async_trait]
impl<S: UserStore, H: PasswordHasher, T: Tokens, E: Environment> IdentityService
    for IdentityHandler<S, H, T, E>
{
    async fn sign_in(
        &self,
        request: Request<pb::SignInRequest>,
    ) -> Result<Response<pb::SignInResponse>, Status> {
        let from = address(&request);
        let pb::SignInRequest { email, password } = request.into_inner();
        let grant = self.identity.sign_in(&email, &password, from).await;
        let grant = grant.map_err(|error| status(&error))?;
        Ok(Response::new(pb::SignInResponse {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token.into_string(),
            expires_in: convert::seconds(grant.expires_in),
            token_type: convert::BEARER.to_owned(),
        }))
    }

    async fn refresh_token(
        &self,
        request: Request<pb::RefreshTokenRequest>,
    ) -> Result<Response<pb::RefreshTokenResponse>, Status> {
        let token = RefreshToken::new(request.into_inner().refresh_token);
        let grant = self.identity.refresh(&token).await;
        let grant = grant.map_err(|error| status(&error))?;
        Ok(Response::new(pb::RefreshTokenResponse {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token.into_string(),
            expires_in: convert::seconds(grant.expires_in),
            token_type: convert::BEARER.to_owned(),
        }))
    }

    async fn sign_out(
        &self,
        request: Request<pb::SignOutRequest>,
    ) -> Result<Response<pb::SignOutResponse>, Status> {
        let token = RefreshToken::new(request.into_inner().refresh_token);
        let done = self.identity.sign_out(&token).await;
        done.map_err(|error| status(&error))?;
        Ok(Response::new(pb::SignOutResponse {}))
    }

    async fn get_me(
        &self,
        request: Request<pb::GetMeRequest>,
    ) -> Result<Response<pb::GetMeResponse>, Status> {
        let subject = principal(&request).map_or("", |principal| &principal.subject);
        // A caller who did not sign in here is none of the users.
        let id = subject.parse().map_err(|_| {
            status(&Error::NotFound {
                resource: "user",
                id: subject.to_owned(),
            })
        })?;
        let user = self.identity.get(id).await;
        Ok(Response::new(pb::GetMeResponse {
            user: Some(convert::user(user.map_err(|error| status(&error))?)),
        }))
    }

    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let principal = principal(&request).cloned();
        let granter = Granter::Caller(principal.as_ref().map_or(&[], |caller| &caller.scopes));
        let (new, password) =
            convert::new_user(request.into_inner()).map_err(|error| status(&error))?;
        let user = self.identity.create(granter, new, &password).await;
        Ok(Response::new(pb::CreateUserResponse {
            user: Some(convert::user(user.map_err(|error| status(&error))?)),
        }))
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> Result<Response<pb::GetUserResponse>, Status> {
        let id = convert::user_id("id", &request.get_ref().id).map_err(|error| status(&error))?;
        let user = self.identity.get(id).await;
        Ok(Response::new(pb::GetUserResponse {
            user: Some(convert::user(user.map_err(|error| status(&error))?)),
        }))
    }
}

fn principal<T>(request: &Request<T>) -> Option<&Arc<Principal>> {
    request.extensions().get()
}

/// Where the caller of a request is, of whom nothing else is known. In the extensions of calls that anybody may make.
#[derive(Clone, Copy, Debug)]
pub struct CallerAddress(pub IpAddr);

fn address<T>(request: &Request<T>) -> Option<IpAddr> {
    let address = request.extensions().get::<CallerAddress>();
    address.map(|address| address.0)
}
