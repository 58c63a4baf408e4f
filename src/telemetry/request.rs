//! What is known of the request that is being answered, for every line that is logged on the way.

use std::sync::{Arc, OnceLock};

use transcode::rest::RequestContext;

use crate::auth::Principal;

/// A request, from its first byte to the end of its answer.
#[derive(Debug)]
pub struct RequestRecord {
    /// Its id and its trace.
    pub context: RequestContext,
    /// The RPC, `/catalog.v1.CatalogService/GetProduct`, once it is known.
    pub rpc: OnceLock<&'static str>,
    /// Who calls, once that is known.
    pub principal: OnceLock<Arc<Principal>>,
}

tokio::task_local! {
    /// The request that the task answers.
    pub static CURRENT: Arc<RequestRecord>;
}

impl RequestRecord {
    /// A request of which nothing else is known yet.
    pub const fn new(context: RequestContext) -> Self {
        Self {
            context,
            rpc: OnceLock::new(),
            principal: OnceLock::new(),
        }
    }

    /// The request that the task answers, if it answers one.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Clone::clone).ok()
    }
}
