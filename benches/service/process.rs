//! The processes that are measured, and what they use of the CPU.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use catalog_service::domain::ProductId;
use uuid::Uuid;

use super::load::Done;

/// A process of its own. Ends with its owner.
pub(crate) struct Process {
    child: Child,
    pub(crate) addr: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Microseconds of CPU that it used for a request, while `load` ran.
    pub(crate) async fn cpu_per_request(&self, load: impl Future<Output = Done>) -> f64 {
        let before = self.cpu();
        let done = load.await;
        self.cpu().saturating_sub(before).as_secs_f64() * 1e6 / done.count()
    }

    /// User and system time so far, in ticks of a hundredth of a second.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name, in parentheses, may hold blanks.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

fn free_addr() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// This program again, as one of the references.
pub(crate) fn reference(name: &str) -> Process {
    let addr = free_addr();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([name, &addr])
        .spawn()
        .unwrap();
    wait_for(&addr);
    Process { child, addr }
}

/// A Redis of its own.
pub(crate) fn redis(folder: &Path) -> Process {
    let addr = free_addr();
    let port = addr.rsplit(':').next().unwrap();
    let child = Command::new("redis-server")
        .args(["--port", port, "--save", "", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&addr);
    Process { child, addr }
}

fn wait_for(addr: &str) {
    for _ in 0..500 {
        if std::net::TcpStream::connect(addr).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody listens at {addr}");
}

/// The service, with authentication and with its log, which goes to `/dev/null`.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) http: String,
    pub(crate) grpc: String,
    pub(crate) token: String,
}

impl Service {
    /// Starts one; `config.yaml` in `data` is read where it is there.
    pub(crate) fn start(database_url: &str, data: &Path, variables: &[(&str, &str)]) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let (http, grpc) = (free_addr(), free_addr());
        let command = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-service"));
            command
                .env_clear()
                .env("DATABASE_URL", database_url)
                .env("CATALOG_DATA_DIR", data)
                .env("JWT_DEV_KEY", "true")
                // One user makes all requests, and each is counted as it is for others.
                .env("RATE_LIMIT_REQUESTS_PER_MINUTE", "100000000")
                .env("SERVER_HTTP_ADDR", &http)
                .env("SERVER_GRPC_ADDR", &grpc)
                .envs(variables.iter().copied());
            if data.join("config.yaml").exists() {
                command.arg("-conf").arg(data);
            }
            command
        };
        let child = command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let addr = http.clone();
        let process = Process { child, addr };
        wait_for(&http);
        let token = command()
            .args(["token", "--scope", "catalog:read catalog:write"])
            .args(["--sub", "user_456"])
            .output()
            .unwrap();
        let token = BufReader::new(&*token.stdout)
            .lines()
            .next()
            .unwrap()
            .unwrap();
        let service = Self {
            process,
            http,
            grpc,
            token,
        };
        // Until what is kept is kept.
        std::thread::sleep(Duration::from_secs(1));
        service
    }
}

/// How the service names a product.
pub(crate) fn product_id(id: Uuid) -> String {
    ProductId::new(id).to_string()
}

/// The path of a product.
pub(crate) fn product_path(id: Uuid) -> String {
    format!("/v1/catalog/products/{}", product_id(id))
}
