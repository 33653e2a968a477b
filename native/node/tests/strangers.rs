// SPDX-License-Identifier: Apache-2.0
//! Peers that do not follow the protocol: silence, garbage, lies, and somebody in the middle.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

mod support;

use barrel_p2p_identity::Certificate;
use barrel_p2p_net::tls::{self, LiveCertificate, SERVER_NAME};
use quinn::{Connection, Endpoint};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{wait_until, TestNode, DEADLINE};
use tokio::runtime::Runtime;

/// A program that speaks QUIC and knows nothing of us.
struct Stranger {
    runtime: Runtime,
    endpoint: Endpoint,
}

impl Stranger {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let _entered = runtime.enter();
        let certificate = Certificate::generate("middle", 1_700_000_000, [7; 16]).unwrap();
        let certificate = LiveCertificate::new(certificate.cert_der, certificate.key_der).unwrap();
        let server = tls::server(Arc::new(certificate)).unwrap();
        let mut endpoint = Endpoint::server(server, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        endpoint.set_default_client_config(tls::client().unwrap());
        Self { endpoint, runtime }
    }

    fn connect(&self, to: SocketAddr) -> Connection {
        self.runtime.block_on(async { self.endpoint.connect(to, SERVER_NAME).unwrap().await }).unwrap()
    }

    /// Connects, sends these bytes where the hello belongs, and returns the code with which it is shown the door.
    fn say(&self, to: SocketAddr, bytes: &[u8]) -> u64 {
        let connection = self.connect(to);
        self.runtime.block_on(async {
            let (mut send, _recv) = connection.open_bi().await.unwrap();
            let _ = send.write_all(bytes).await;
            let closed = tokio::time::timeout(DEADLINE, connection.closed()).await.unwrap();
            match closed {
                quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
                other => panic!("closed without a code: {other}"),
            }
        })
    }
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn bytes_that_are_no_hello_are_refused_with_a_code() {
    let node = TestNode::start("b@127.0.0.1");
    let stranger = Stranger::new();
    let mut bad_name = vec![1, 1, 5];
    bad_name.extend_from_slice(b"a b@c");
    bad_name.resize(400, 0);
    let cases: [(&str, Vec<u8>); 5] = [
        ("protocol_error", with_length(&[1])),
        ("protocol_error", with_length(&[1, 9, 0, 0, 0])),
        ("unsupported_version", with_length(&[77; 300])),
        ("invalid_name", with_length(&bad_name)),
        ("hello_too_large", with_length(&[0; 5000])),
    ];
    for (reason, bytes) in cases {
        let code = stranger.say(node.address(), &bytes);
        assert_eq!(barrel_p2p_base::CloseCode::from_wire(code).name(), reason);
        wait_until("the node reports it", || node.refusals().contains(&reason));
    }
    assert_eq!(node.identity.pins(), vec![]);
}

#[test]
fn silence_in_the_middle_of_a_hello_ends_after_the_timeout() {
    let node = TestNode::start("b@127.0.0.1");
    let started = Instant::now();
    let code = Stranger::new().say(node.address(), &with_length(&[1; 300])[..100]);
    assert_eq!(barrel_p2p_base::CloseCode::from_wire(code).name(), "hello_timeout");
    assert!(started.elapsed() >= Duration::from_millis(1900), "{:?}", started.elapsed());
    wait_until("its place is free", || node.pending() == 0);
}

#[test]
fn honest_peers_get_in_while_500_strangers_say_nothing() {
    let node = TestNode::start("b@127.0.0.1");
    let before = resident_bytes();
    let crowd = Stranger::new();
    let address = node.address();
    let connections = crowd.runtime.block_on(async {
        let dials: Vec<_> =
            (0..500).map(|_| tokio::spawn(crowd.endpoint.connect(address, SERVER_NAME).unwrap())).collect();
        let mut connections = Vec::new();
        for dial in dials {
            connections.extend(dial.await.unwrap());
        }
        connections
    });
    assert!(connections.len() > 64, "the crowd is too small to prove anything: {}", connections.len());
    assert!(node.pending() <= 64);
    let started = Instant::now();
    let honest = TestNode::start("a@127.0.0.1");
    let _connected = honest.connect(&node);
    assert!(started.elapsed() < Duration::from_secs(3));
    // Both ends of 500 connections live in this process; what is left of them on our side is 64 at most.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 80 << 20, "grew by {grown} bytes");
    wait_until("nobody is waiting any more", || node.pending() == 0);
}

/// The hello is bound to its TLS channel: forwarded to another one, or sent again later, it is worth nothing.
#[test]
fn a_hello_cannot_be_relayed_or_replayed() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let middle = Stranger::new();
    let victim = a.dial("b@127.0.0.1", middle.endpoint.local_addr().unwrap().port());
    let hello = middle.runtime.block_on(async {
        let connection = middle.endpoint.accept().await.unwrap().await.unwrap();
        let (_send, mut recv) = connection.accept_bi().await.unwrap();
        let hello = recv.read_to_end(5000).await.unwrap();
        // Keep the victim waiting while its hello is used elsewhere.
        tokio::spawn(async move { connection.closed().await });
        hello
    });
    for _ in 0..2 {
        let code = middle.say(b.address(), &hello);
        assert_eq!(barrel_p2p_base::CloseCode::from_wire(code).name(), "bad_signature");
    }
    assert_eq!(b.identity.pins(), vec![]);
    assert_eq!(a.identity.pins(), vec![]);
    drop(middle);
    victim.expect_failed();
}

#[test]
fn a_frame_that_claims_too_much_ends_its_channel_and_no_other() {
    let (a, b) = (TestNode::start("a@127.0.0.1"), TestNode::start("b@127.0.0.1"));
    let (bad, at_b) = a.connect(&b);
    let (good, also_at_b) = a.connect(&b);
    bad.channel.send(1, [bytes::Bytes::from_static(&[0xff; 8])]);
    assert_eq!(at_b.expect_closed(), "protocol_error");
    good.send(b"still here");
    assert_eq!(also_at_b.expect_bytes(14), b"\0\0\0\x0astill here");
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
