//! Real Redis servers for a test: alone, behind a Sentinel, or as a cluster. Each ends with its test.
//!
//! Runs where `redis-server` is in the `PATH`; otherwise the tests are skipped, which is a failure with `CI=true`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::redis::{Cmd, FromRedisValue};
use catalog_service::config::Config;
use catalog_service::redis::Redis;

use super::folder;

/// How long a server may take to start, or a group of them to agree.
const PATIENCE: Duration = Duration::from_secs(30);

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder::until_the_end("catalog-redis-"));
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Whether there is a Redis to test with.
pub(crate) fn installed() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let version = Command::new("redis-server").arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    });
    assert!(
        *FOUND || std::env::var("CI").as_deref() != Ok("true"),
        "redis-server is not installed"
    );
    if !*FOUND {
        println!("skipped: redis-server is not installed");
    }
    *FOUND
}

/// A client of `addr`, with the timeouts of the defaults.
pub(crate) fn client(addr: &str) -> Redis {
    let env = |name: &str| (name == "REDIS_ADDR").then(|| addr.to_owned());
    let config = Config::load(None, &env).expect("an address");
    Redis::new(&config.data.redis).expect("a client")
}

/// A server of a test's own.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts one that keeps nothing on disk, with more `--name value` pairs.
    pub(crate) fn start(options: &[(&str, &str)]) -> Self {
        Self::start_as(&[], options)
    }

    fn start_as(mode: &[&str], options: &[(&str, &str)]) -> Self {
        // Another process may take the port between our look and its use.
        for _ in 0..5 {
            let mut server = Self::prepare(mode, options);
            if server.launch() {
                return server;
            }
        }
        panic!("no redis-server starts");
    }

    fn prepare(mode: &[&str], options: &[(&str, &str)]) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = FOLDER.join(number.to_string());
        std::fs::create_dir(&folder).expect("a folder");
        let port = free_port();
        let settings = [
            ("--bind", "127.0.0.1"),
            ("--port", &port.to_string()),
            ("--dir", &folder.to_string_lossy()),
            ("--logfile", "log"),
        ];
        let mut arguments: Vec<String> = mode.iter().map(|mode| (*mode).to_owned()).collect();
        for (name, value) in settings.iter().chain(options) {
            arguments.extend([(*name).to_owned(), (*value).to_owned()]);
        }
        Self {
            port,
            folder,
            arguments,
            child: None,
        }
    }

    /// Whether it is up.
    fn launch(&mut self) -> bool {
        // It ends with the thread that starts it, which is that of the test.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server");
        let child = self.child.insert(child);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if ping(self.port) {
                return true;
            }
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// `127.0.0.1:port`.
    pub(crate) fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port, after it was killed.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        assert!(self.launch(), "{}", self.log());
    }

    /// Stops it in its tracks: it still takes connections, and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Goes on after [`Server::pause`].
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("a running server").id();
        let status = Command::new("kill")
            .args([format!("-{name}"), pid.to_string()])
            .status();
        assert!(status.expect("kill").success());
    }

    /// Asks it something on a connection of its own. One that changes its role ends connections, new ones too.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let client = ::redis::Client::open(format!("redis://{}", self.addr())).expect("a URL");
        let begun = Instant::now();
        let mut connection = loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => break connection,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "a connection: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut question = Cmd::new();
        question.arg(command);
        question
            .query_async(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A master, a replica of it, and the one Sentinel that watches them.
pub(crate) struct Guarded {
    pub(crate) master: Server,
    pub(crate) replica: Server,
    pub(crate) sentinel: Server,
}

impl Guarded {
    /// Starts them; the Sentinel calls the master `mymaster`.
    pub(crate) async fn start() -> Self {
        let master = Server::start(&[]);
        let port = master.port.to_string();
        let replica = Server::start(&[
            ("--replicaof", &format!("127.0.0.1 {port}")),
            ("--repl-diskless-sync-delay", "0"),
        ]);
        let file = FOLDER.join(format!("sentinel-{port}.conf"));
        let lines = [
            format!("sentinel monitor mymaster 127.0.0.1 {port} 1"),
            "sentinel down-after-milliseconds mymaster 500".to_owned(),
            "sentinel failover-timeout mymaster 1000".to_owned(),
        ];
        std::fs::write(&file, lines.join("\n")).expect("a file");
        let sentinel = Server::start_as(&[path(&file), "--sentinel"], &[]);
        let guarded = Self {
            master,
            replica,
            sentinel,
        };
        eventually("the Sentinel knows the replica", async || {
            let replicas: Vec<::redis::Value> = guarded
                .sentinel
                .ask(&["SENTINEL", "REPLICAS", "mymaster"])
                .await;
            let info: String = guarded.replica.ask(&["INFO", "replication"]).await;
            !replicas.is_empty() && info.contains("master_link_status:up")
        })
        .await;
        guarded
    }

    /// What `data.redis.addr` is.
    pub(crate) fn addr(&self) -> String {
        format!("redis+sentinel://{}/mymaster", self.sentinel.addr())
    }
}

/// A cluster of three masters.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    /// Starts it; each node has a third of the slots.
    pub(crate) async fn start() -> Self {
        let nodes: Vec<Server> = (0..3)
            .map(|_| {
                Server::start(&[
                    ("--cluster-enabled", "yes"),
                    ("--cluster-port", &free_port().to_string()),
                    ("--cluster-node-timeout", "2000"),
                    // The others go on when one is away.
                    ("--cluster-require-full-coverage", "no"),
                ])
            })
            .collect();
        for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            let slots: Vec<&str> = slots.split(' ').collect();
            node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]])
                .await;
        }
        for node in &nodes[1..] {
            let mut words = nodes[0].arguments.iter();
            words.find(|word| *word == "--cluster-port");
            let bus = words.next().expect("a port");
            let port = nodes[0].port.to_string();
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, bus])
                .await;
        }
        let cluster = Self { nodes };
        eventually("the nodes agree", async || {
            for node in &cluster.nodes {
                let info: String = node.ask(&["CLUSTER", "INFO"]).await;
                let agrees = ["cluster_state:ok", "cluster_slots_ok:16384"];
                if !agrees.iter().all(|line| info.contains(line)) {
                    return false;
                }
            }
            true
        })
        .await;
        cluster
    }

    /// What `data.redis.addr` is; it names two of the three.
    pub(crate) fn addr(&self) -> String {
        let nodes = [self.nodes[0].addr(), self.nodes[1].addr()];
        format!("redis+cluster://{}", nodes.join(","))
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a plain path")
}

/// Whether a server answers, and has its data.
fn ping(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok::<_, std::io::Error>(&answer == b"+PONG")
    };
    ask().unwrap_or(false)
}
