//! Where a caller is: at the other end of the connection, or where a proxy that is trusted says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::Extensions;
use tonic::metadata::MetadataMap;

use crate::config::Network;

/// The header in which proxies say, one after the other, for whom they ask.
pub(crate) const FORWARDED_FOR: &str = "x-forwarded-for";

/// Proxies whose word is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// The proxies of some networks.
    pub const fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// The address of a caller: the last one in the chain that is no trusted proxy. What stands before it anybody may
    /// have written.
    pub(super) fn caller(&self, metadata: &MetadataMap, extensions: &Extensions) -> IpAddr {
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| {
                peer.0.ip().to_canonical()
            });
        if !self.trusts(peer) {
            return peer;
        }
        let mut hops: Vec<IpAddr> = Vec::new();
        for line in metadata.get_all(FORWARDED_FOR) {
            for hop in line.to_str().unwrap_or_default().split(',') {
                match address(hop.trim()) {
                    Some(hop) => hops.push(hop.to_canonical()),
                    // What can't be read ends what is known.
                    None => hops.clear(),
                }
            }
        }
        let stranger = hops.iter().rev().find(|hop| !self.trusts(**hop));
        *stranger.or(hops.first()).unwrap_or(&peer)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    text.parse()
        .ok()
        .or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect("a network"));
        let mut extensions = Extensions::new();
        let peer: IpAddr = peer.parse().expect("an address");
        extensions.insert(ConnectInfo(SocketAddr::new(peer, 1)));
        let mut metadata = MetadataMap::new();
        for line in lines {
            metadata.append(FORWARDED_FOR, line.parse().expect("a header"));
        }
        let proxies = TrustedProxies::new(trusted.into());
        proxies.caller(&metadata, &extensions).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_calls() {
        assert_eq!(caller("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(caller("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(caller("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(
            caller("::ffff:10.0.0.1", &["198.51.100.1:80"]),
            "198.51.100.1"
        );
        assert_eq!(caller("fd00::1", &["[2001:db8::1]:80"]), "2001:db8::1");
        // What a caller wrote before the first proxy says nothing.
        let forged = ["203.0.113.9, 198.51.100.1", "10.1.1.1"];
        assert_eq!(caller("10.0.0.1", &forged), "198.51.100.1");
        assert_eq!(caller("10.0.0.1", &["nonsense, 10.1.1.1"]), "10.1.1.1");
    }
}
