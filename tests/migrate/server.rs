//! A throw-away PostgreSQL on a private Unix socket, shared by the tests that run at the same time.

use std::{
    os::unix::{fs::chown, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak, atomic::{AtomicU32, Ordering}},
    time::Duration,
};

use catalog_service::migrate::DatabaseUrl;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

/// The unprivileged user the server runs as when the tests run as root, which it refuses.
const NOBODY: u32 = 65_534;

pub(crate) struct Server {
    directory: tempfile::TempDir,
    binaries: PathBuf,
    root: bool,
    process: Mutex<Child>,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The server, or `None` (with a line that says so) where there is no PostgreSQL; with `CI=true` that is a failure.
pub(crate) fn server() -> Option<Arc<Server>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let Some(binaries) = binaries() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no PostgreSQL server binaries found");
        println!("skipped: no PostgreSQL server binaries found");
        return None;
    };
    let server = Arc::new(Server::start(binaries));
    *shared = Arc::downgrade(&server);
    Some(server)
}

fn binaries() -> Option<PathBuf> {
    let mut candidates: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    candidates.extend(versions.into_iter().rev());
    candidates.into_iter().find(|path| path.join("postgres").is_file() && path.join("initdb").is_file())
}

impl Server {
    fn start(binaries: PathBuf) -> Self {
        let directory = tempfile::Builder::new().prefix("migrate-test-").tempdir_in("/tmp").unwrap();
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        if root {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = directory.path().join("data");
        let initdb = command(&binaries, "initdb", root)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        let process = command(&binaries, "postgres", root)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { directory, binaries, root, process: Mutex::new(process) };
        for _ in 0..300 {
            let ready = command(&server.binaries, "pg_isready", root)
                .arg("-h")
                .arg(server.directory.path())
                .stdout(Stdio::null())
                .status()
                .unwrap();
            if ready.success() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server did not start");
    }

    fn url(&self, database: &str) -> String {
        let host = self.directory.path().display();
        format!("postgres:///{database}?host={host}&user=postgres&sslmode=disable")
    }

    /// The URL of a new, empty database.
    pub(crate) async fn database(&self) -> String {
        let name = format!("db_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&self.url("postgres")).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        self.url(&name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        let _ = command(&self.binaries, "pg_ctl", self.root)
            .args(["stop", "-m", "immediate", "-D"])
            .arg(data)
            .stdout(Stdio::null())
            .status();
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = process.wait();
    }
}

fn command(binaries: &std::path::Path, name: &str, root: bool) -> Command {
    let mut command = Command::new(binaries.join(name));
    command.current_dir("/").env_remove("PGOPTIONS");
    if root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A connection of the test's own.
pub(crate) async fn connect(url: &str) -> PgConnection {
    DatabaseUrl::parse(url).unwrap().connect_options().connect().await.unwrap()
}
