//! Makes connections: to a server, to the master that Sentinels name, or to a cluster.

use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::{ClusterClient, ClusterClientBuilder};
use ::redis::cluster_async::ClusterConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, Pipeline, RedisConnectionInfo, RedisError, RedisFuture, RedisResult,
    Value, cmd,
};
use futures_util::future;
use tokio::time::timeout;

use crate::config::{self, RedisAddress, RedisKind};

/// How many requests wait for the task that writes before callers wait for a place.
const QUEUE: usize = 1024;

/// How often a cluster is asked again, where to or after a while, within the time of one call.
const CLUSTER_RETRIES: u32 = 3;

/// A connection that is shared by cloning it.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Knows where to connect, and how.
#[derive(Clone)]
pub(super) struct Dialer {
    address: RedisAddress,
    login: RedisConnectionInfo,
    dial_timeout: Duration,
    response_limit: Duration,
}

impl Dialer {
    /// `None` where the settings name no address. `response_limit` is the longest that a call waits.
    pub fn new(settings: &config::Redis, response_limit: Duration) -> Option<Self> {
        let address = settings.addr.clone()?;
        let mut login = RedisConnectionInfo::default()
            .set_db(address.db.unwrap_or(settings.db).into())
            .set_lib_name("catalog-service", crate::lifecycle::VERSION);
        if let Some(user) = &address.user {
            login = login.set_username(user);
        }
        if let Some(password) = address.password.as_ref().or(settings.password.as_ref()) {
            login = login.set_password(password.expose());
        }
        Some(Self {
            address,
            login,
            dial_timeout: settings.dial_timeout,
            response_limit,
        })
    }

    /// The same for calls that may take this long.
    pub fn with_response_limit(&self, response_limit: Duration) -> Self {
        Self {
            response_limit,
            ..self.clone()
        }
    }

    pub fn is_cluster(&self) -> bool {
        self.address.kind == RedisKind::Cluster
    }

    /// Connects. Takes at most the time to dial, in a cluster three times that: it is asked for its nodes first, and
    /// one of the nodes may be away.
    pub async fn dial(&self) -> RedisResult<Connection> {
        let limit = if self.is_cluster() {
            3 * self.dial_timeout
        } else {
            self.dial_timeout
        };
        timeout(limit, self.connect()).await.unwrap_or_else(|_| {
            let text = format!("no connection in {limit:?}");
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text).into())
        })
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let nodes = &self.address.nodes;
        match &self.address.kind {
            RedisKind::Single => {
                let server = self.server(&nodes[0], &self.login).await?;
                Ok(Connection::Server(server))
            }
            RedisKind::Sentinel { master } => self.master(master).await.map(Connection::Server),
            RedisKind::Cluster => {
                let cluster = self.cluster()?.get_async_connection().await?;
                Ok(Connection::Cluster(cluster))
            }
        }
    }

    async fn server(
        &self,
        node: &(String, u16),
        login: &RedisConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        // The limit of each call is kept by who calls.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.dial_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        Client::open(self.info(node, login)?)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// The master, as the first Sentinel says that answers: all are asked at a time, as one may be away.
    async fn master(&self, name: &str) -> RedisResult<MultiplexedConnection> {
        let nodes = self.address.nodes.iter();
        let asked = nodes.map(|node| Box::pin(self.ask_sentinel(node, name)));
        let (node, _) = future::select_ok(asked).await?;
        let mut server = self.server(&node, &self.login).await?;
        // A Sentinel may be behind, and the old master be told only later.
        let role: Value = cmd("ROLE").query_async(&mut server).await?;
        match role {
            Value::Array(fields) if is_text(fields.first(), "master") => Ok(server),
            _ => Err(failed(format!("{}:{} is not the master", node.0, node.1))),
        }
    }

    async fn ask_sentinel(
        &self,
        sentinel: &(String, u16),
        name: &str,
    ) -> RedisResult<(String, u16)> {
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let mut open = self
            .server(sentinel, &RedisConnectionInfo::default())
            .await?;
        let answer: RedisResult<Option<(String, u16)>> = question.query_async(&mut open).await;
        let answer = match answer {
            // Sentinels that ask for a password have the same one as the servers.
            Err(error) if error.code() == Some("NOAUTH") => {
                let login = self.login.clone().set_db(0);
                let mut closed = self.server(sentinel, &login).await?;
                question.query_async(&mut closed).await
            }
            answer => answer,
        };
        answer?.ok_or_else(|| failed(format!("the Sentinels know no master {name:?}")))
    }

    fn cluster(&self) -> RedisResult<ClusterClient> {
        let login = self.login.clone().set_db(0);
        let nodes = self.address.nodes.iter();
        let infos = nodes.map(|node| self.info(node, &login));
        ClusterClientBuilder::new(infos.collect::<RedisResult<Vec<_>>>()?)
            .tcp_settings(tcp())
            .connection_timeout(self.dial_timeout)
            .response_timeout(self.response_limit)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(10)
            .max_retry_wait(100)
            .build()
    }

    fn info(
        &self,
        (host, port): &(String, u16),
        login: &RedisConnectionInfo,
    ) -> RedisResult<ConnectionInfo> {
        let (host, port) = (host.clone(), *port);
        let address = if self.address.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let info = address.into_connection_info()?;
        Ok(info
            .set_tcp_settings(tcp())
            .set_redis_settings(login.clone()))
    }
}

fn tcp() -> TcpSettings {
    // Many small requests, each waited for.
    TcpSettings::default().set_nodelay(true)
}

fn failed(text: String) -> RedisError {
    (ErrorKind::Io, "no master", text).into()
}

fn is_text(value: Option<&Value>, text: &str) -> bool {
    match value {
        Some(Value::BulkString(bytes)) => bytes == text.as_bytes(),
        Some(Value::SimpleString(string)) => string == text,
        _ => false,
    }
}
