//! `discover`: shows the instances of a service that Consul finds good, once or as they come and go.

use std::io::{self, Write};

use super::runtime;
use crate::app::{self, Error};
use crate::cli::{Discover, DiscoverFormat};
use crate::config::Config;
use crate::registry::consul::Instances;
use crate::registry::discovery;

/// Asks the configured Consul.
pub(super) fn run(config: &Config, asked: &Discover) -> Result<(), Error> {
    let consul = app::consul(&config.consul)?
        .ok_or("consul.address (CONSUL_ADDRESS) is not set: there is nobody to ask")?;
    runtime()?.block_on(async {
        if asked.watch {
            return follow(&consul, asked).await;
        }
        let found = consul.instances(&asked.name, None).await?;
        if found.instances.is_empty() {
            return Err(format!("no instance of {} passes its checks", asked.name).into());
        }
        Ok(write(&found, asked.format, &mut io::stdout().lock())?)
    })
}

async fn follow(consul: &crate::registry::Consul, asked: &Discover) -> Result<(), Error> {
    let mut result = Ok(());
    let changed = |found: &Instances| {
        let mut out = io::stdout().lock();
        result = write(found, asked.format, &mut out).and_then(|()| {
            if asked.format == DiscoverFormat::Text {
                writeln!(out)?;
            }
            out.flush()
        });
        result.is_ok()
    };
    let failed = |error: &_| eprintln!("{error}");
    discovery::follow(consul, &asked.name, changed, failed).await;
    // Someone who closed the output has seen enough.
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn write(found: &Instances, format: DiscoverFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        DiscoverFormat::Json => {
            serde_json::to_writer(&mut *out, &found.instances)?;
            writeln!(out)
        }
        DiscoverFormat::Text => {
            for instance in &found.instances {
                let version = instance.version.as_deref().unwrap_or("-");
                let endpoints = instance.endpoints.join(" ");
                writeln!(out, "{}  {version}  {endpoints}", instance.id)?;
            }
            Ok(())
        }
    }
}
