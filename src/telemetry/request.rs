//! What is known of the request that is being answered, for every line that is logged on the way and for its metrics.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tonic::Code;
use transcode::rest::RequestContext;
use transcode::{Binding, MethodSpec};
use uuid::Uuid;

use super::trace::Scope;
use crate::auth::Principal;
use crate::domain::id;

/// A request, from its first byte to the end of its answer.
#[derive(Debug)]
pub struct RequestRecord {
    /// Its id.
    pub context: RequestContext,
    /// Its place in a trace.
    pub trace: Scope,
    /// What its path leads to, where it leads to something.
    pub route: OnceLock<Route>,
    /// The RPC, once it is known.
    pub spec: OnceLock<&'static MethodSpec>,
    /// Who calls, once that is known.
    pub principal: OnceLock<Arc<Principal>>,
    /// What it is about, once that is known.
    pub entity: OnceLock<Entity>,
    /// How the RPC ended, once it has.
    pub outcome: OnceLock<Code>,
}

/// What a path leads to.
#[derive(Debug)]
pub enum Route {
    /// An RPC.
    Binding(&'static Binding),
    /// A page for people or machines, by the template of its path.
    Page(Box<str>),
}

/// The thing that a request reads or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entity {
    /// What its ids begin with, such as `prod`.
    pub prefix: &'static str,
    /// Its id.
    pub id: Uuid,
}

impl Entity {
    /// The name of its attribute in a span.
    pub fn attribute(self) -> &'static str {
        match self.prefix {
            "prod" => "catalog.product.id",
            "user" => "catalog.user.id",
            _ => "catalog.entity.id",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id::encode(self.prefix, self.id))
    }
}

impl Entity {
    /// Writes its text, which is letters, digits and `_`.
    pub fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.push(b'_');
        bytes.extend_from_slice(&id::digits(self.id));
    }
}

tokio::task_local! {
    /// The request that the task answers.
    pub static CURRENT: Arc<RequestRecord>;
}

impl RequestRecord {
    /// A request of which nothing else is known yet.
    pub const fn new(context: RequestContext, trace: Scope) -> Self {
        Self {
            context,
            trace,
            route: OnceLock::new(),
            spec: OnceLock::new(),
            principal: OnceLock::new(),
            entity: OnceLock::new(),
            outcome: OnceLock::new(),
        }
    }

    /// The request that the task answers, if it answers one.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Looks at the request that the task answers, if it answers one.
    pub fn look<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(|record| look(record)).ok()
    }

    /// Notes something about the request that the task answers. What was noted first stays.
    pub fn note(note: impl FnOnce(&Self)) {
        // Outside of a request there is nothing to note it in.
        let _ = Self::look(note);
    }

    /// Work for a task of its own that is done for the request that this task answers.
    pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
        let request = Self::current();
        async move {
            match request {
                Some(request) => CURRENT.scope(request, work).await,
                None => work.await,
            }
        }
    }

    /// Notes how the RPC ended.
    pub fn ended(&self, outcome: Code) {
        let _ = self.outcome.set(outcome);
    }

    /// Notes what the path of the request leads to.
    pub fn reached(route: Route) {
        Self::note(|record| {
            let _ = record.route.set(route);
        });
    }

    /// Notes what the request is about.
    pub fn about(prefix: &'static str, id: Uuid) {
        Self::note(|record| {
            let _ = record.entity.set(Entity { prefix, id });
        });
    }
}

/// Writes the name of an RPC, an identifier, as what it does: `get_product` for `GetProduct`.
pub fn operation(rpc: &str, mut write: impl FnMut(u8)) {
    for (place, letter) in rpc.bytes().enumerate() {
        if letter.is_ascii_uppercase() && place > 0 {
            write(b'_');
        }
        write(letter.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations() {
        for (rpc, name) in [("GetProduct", "get_product"), ("Login", "login"), ("", "")] {
            let mut written = Vec::new();
            operation(rpc, |letter| written.push(letter));
            assert_eq!(written, name.as_bytes());
        }
    }
}
