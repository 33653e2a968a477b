// SPDX-License-Identifier: Apache-2.0
//! Where this host can be reached.
//!
//! Keeps: an address that means another host elsewhere (loopback, link-local) is claimed only by a node that has nothing better, or whose
//! name says that it lives there.

use barrel_p2p_base::limits::MAX_ADDRESSES;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The host's addresses with a port, best first; at most [`MAX_ADDRESSES`]. `host` is the host part of the node's name.
pub(crate) fn own(port: u16, host: &str) -> Vec<SocketAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    choose(interfaces.iter().map(if_addrs::Interface::ip), host).map(|ip| SocketAddr::new(ip, port)).collect()
}

fn choose(found: impl Iterator<Item = IpAddr>, host: &str) -> impl Iterator<Item = IpAddr> {
    let (loopback, mut chosen): (Vec<_>, Vec<_>) =
        found.filter(|ip| !is_link_local(ip)).partition(|ip| ip.is_loopback());
    // Most clusters speak IPv4, and an address that does not answer costs the dialler a little time.
    chosen.sort_by_key(IpAddr::is_ipv6);
    let lives_there = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if chosen.is_empty() || lives_there {
        chosen.truncate(MAX_ADDRESSES - loopback.len().min(MAX_ADDRESSES));
        chosen.extend(loopback);
    }
    chosen.into_iter().take(MAX_ADDRESSES)
}

/// Such an address names no host without an interface beside it.
fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || *ip == Ipv6Addr::UNSPECIFIED,
    }
}

/// An IPv4 peer on a socket for both families shows as an IPv6 address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(found: &[&str], host: &str) -> Vec<String> {
        choose(found.iter().map(|text| text.parse().unwrap()), host).map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn loopback_is_claimed_only_where_it_means_this_host() {
        let found = ["127.0.0.1", "::1", "fe80::1", "2001:db8::1", "10.0.0.1"];
        assert_eq!(chosen(&found, "10.0.0.1"), ["10.0.0.1", "2001:db8::1"]);
        assert_eq!(chosen(&found, "127.0.0.1"), ["10.0.0.1", "2001:db8::1", "127.0.0.1", "::1"]);
        assert_eq!(chosen(&["127.0.0.1"], "a.example"), ["127.0.0.1"]);
    }

    #[test]
    fn a_host_with_many_addresses_still_claims_loopback_when_it_lives_there() {
        let mut found: Vec<String> = (1..20).map(|n| format!("10.0.0.{n}")).collect();
        found.push("127.0.0.1".to_owned());
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        let chosen = chosen(&found, "localhost");
        assert_eq!((chosen.len(), chosen.last().map(String::as_str)), (MAX_ADDRESSES, Some("127.0.0.1")));
    }
}
