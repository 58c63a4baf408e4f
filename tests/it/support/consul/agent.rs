//! A real agent that keeps everything in memory.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use http::Request;
use tokio::net::TcpStream;

use super::super::service::Service;
use super::{MANAGEMENT, until};

/// An agent, its own server.
pub(super) struct Agent {
    binary: std::ffi::OsString,
    pub(super) port: u16,
    others: [u16; 2],
    child: Option<Child>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Agent {
    /// Starts one, where there is a binary.
    pub(super) async fn start() -> Option<Self> {
        let binary = std::env::var_os("CONSUL_BIN").unwrap_or_else(|| "consul".into());
        let version = Command::new(&binary).arg("version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            return None;
        }
        // Another process may take a port between the look and the start: then there are others.
        for _ in 0..5 {
            // Held together, so that they differ.
            let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
            let ports = held.map(|held| held.local_addr().expect("an address").port());
            let mut agent = Self {
                binary: binary.clone(),
                port: ports[0],
                others: [ports[1], ports[2]],
                child: None,
            };
            if agent.starts().await {
                return Some(agent);
            }
        }
        panic!("the agent does not start");
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(super) async fn start_again(&mut self) {
        assert!(self.starts().await, "the agent does not start again");
    }

    /// Starts it and waits until it answers; false when it ends instead.
    async fn starts(&mut self) -> bool {
        let [serf, server] = self.others;
        let ports = format!(
            "ports {{ http = {} serf_lan = {serf} server = {server} serf_wan = -1 grpc = -1 grpc_tls = -1 dns = -1 }}",
            self.port
        );
        let acl = format!(
            r#"acl {{ enabled = true default_policy = "deny" tokens {{ initial_management = "{MANAGEMENT}" }} }}"#
        );
        let child = Command::new(&self.binary)
            .args(["agent", "-dev", "-node=test", "-bind=127.0.0.1"])
            .args(["-hcl", &ports, "-hcl", &acl])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = self.child.insert(child.expect("the agent starts"));
        let (port, url) = (self.port, format!("http://127.0.0.1:{}", self.port));
        // When it knows the token of those who may do everything it has a leader.
        until("the agent", async || {
            if child.try_wait().expect("a process").is_some() {
                return Some(false);
            }
            TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            let request = Request::get("/v1/acl/token/self").header("x-consul-token", MANAGEMENT);
            let answer = Service::send_to(&url, request, "").await;
            (answer.status() == 200).then_some(true)
        })
        .await
    }
}
