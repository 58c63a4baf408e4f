//! Finding the instances of other services, and following how they come and go.

use std::time::Duration;

use super::consul::{Consul, ConsulError, Instances};

/// How long Consul holds an answer back while nothing changes.
const WAIT: Duration = Duration::from_secs(55);

/// The pause after a look-up that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Shortest time between two look-ups, however fast instances come and go.
const SHORTEST: Duration = Duration::from_millis(100);

/// Follows the instances of a service that pass all their checks: `changed` hears of them at once, and again whenever
/// they are others, until it says that it has heard enough; `failed` hears why Consul does not tell, once for each time
/// it fails anew.
pub async fn follow(
    consul: &Consul,
    service: &str,
    mut changed: impl FnMut(&Instances) -> bool,
    mut failed: impl FnMut(&ConsulError),
) {
    let mut known: Option<Instances> = None;
    let mut failing = false;
    loop {
        let index = known.as_ref().map(|known| (known.index, WAIT));
        match consul.instances(service, index).await {
            Ok(mut now) => {
                failing = false;
                let same = known
                    .as_ref()
                    .is_some_and(|known| known.instances == now.instances);
                if !same && !changed(&now) {
                    return;
                }
                // An index that goes back is that of a Consul that began anew: nothing of it is known.
                if known.is_some_and(|known| now.index < known.index) {
                    now.index = 1;
                }
                known = Some(now);
                tokio::time::sleep(SHORTEST).await;
            }
            Err(error) => {
                if !failing {
                    failed(&error);
                }
                failing = true;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
