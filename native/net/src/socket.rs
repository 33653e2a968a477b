// SPDX-License-Identifier: Apache-2.0
//! The UDP socket, as quinn wants it.
//!
//! tokio's own socket asks the kernel to report room for writing as well, and on loopback every packet sent makes room: the I/O thread was
//! woken twice as often as there was something to read, once for each packet that another thread had sent. Here it is asked for only after
//! a packet found no room.
//!
//! What is fed by a thread of this machine is read empty before it is filled again, and to sleep and be woken for each packet costs both
//! threads more than the packet. So after large packets, which come over loopback only, the processor is offered to others once before we go
//! to sleep: bulk on two cores gained a sixth (2.9 instead of 2.4 GB/s, medians of nine rounds).

use crate::coalescing;
use crate::config::{Path, NETWORK_MTU};
use quinn::udp::{RecvMeta, Transmit, UdpSocketState, BATCH_SIZE};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;
use tokio::runtime::Handle;

#[derive(Debug)]
pub(crate) struct Socket {
    socket: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    /// Something was read that another process of this machine goes on sending.
    is_fed: AtomicBool,
    /// The last packet found no room. Whoever looks at it has to wait for room.
    full: AtomicBool,
    runtime: Handle,
}

impl Socket {
    /// To be called within a runtime.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let socket = watched(socket, Interest::READABLE)?;
        let (is_fed, full) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { socket, state, is_fed, full, runtime: Handle::current() })
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types whose descriptor may change; a UDP socket's never does"
)]
fn watched(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room { socket: self, awaited: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.state.send(self.socket.get_ref().into(), transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.full.store(true, Ordering::Release);
        }
        if sent.is_ok() && Path::to(transmit.destination) == Path::Network {
            coalescing::sent(transmit.contents.len());
        }
        sent
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let most = buffers.len().min(meta.len()).min(BATCH_SIZE);
        loop {
            let mut readable = ready!(self.socket.poll_read_ready(context))?;
            match self.state.recv(self.socket.get_ref().into(), buffers, meta) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.is_fed.swap(false, Ordering::Relaxed) {
                        std::thread::yield_now();
                    } else {
                        readable.clear_ready();
                    }
                }
                received => {
                    if let Ok(count) = received {
                        let packets = meta[..count].iter().filter(|packet| Path::to(packet.addr) == Path::Network);
                        coalescing::read(packets.map(|packet| packet.len).sum());
                    }
                    if received.is_ok() && meta[0].len > usize::from(NETWORK_MTU) {
                        self.is_fed.store(true, Ordering::Relaxed);
                    } else if received.as_ref().is_ok_and(|count| *count < most) {
                        // The kernel stopped because there was no more: no need to ask again.
                        readable.clear_ready();
                    }
                    return Poll::Ready(received);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        // Of the largest size, see `MAX_UDP_PAYLOAD_BYTES`: more than one the kernel never joins.
        1
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// Waits for room in the socket, for one connection.
#[derive(Debug)]
struct Room {
    socket: Arc<Socket>,
    /// The same socket under another descriptor, watched for room, while there is none.
    awaited: Option<AsyncFd<UdpSocket>>,
}

impl UdpPoller for Room {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.awaited.is_none() && self.socket.full.swap(false, Ordering::AcqRel) {
            let other = self.socket.socket.get_ref().try_clone()?;
            let _entered = self.socket.runtime.enter();
            let awaited = watched(other, Interest::WRITABLE)?;
            self.awaited = Some(awaited);
        }
        if let Some(awaited) = &self.awaited {
            let _ = ready!(awaited.poll_write_ready(context))?;
            self.awaited = None;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    const PACKET: [u8; 1400] = [7; 1400];

    fn send(socket: &Socket, to: SocketAddr) -> io::Result<()> {
        socket.try_send(&Transmit { destination: to, ecn: None, contents: &PACKET, segment_size: None, src_ip: None })
    }

    fn pair() -> (Arc<Socket>, Arc<Socket>, SocketAddr) {
        let new = || Arc::new(Socket::new(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap());
        let (from, to) = (new(), new());
        let address = to.local_addr().unwrap();
        (from, to, address)
    }

    async fn receive(socket: &Socket) -> usize {
        let mut space = [0; 2048];
        let mut meta = [RecvMeta::default()];
        let count = poll_fn(|context| socket.poll_recv(context, &mut [IoSliceMut::new(&mut space)], &mut meta));
        let count = tokio::time::timeout(Duration::from_secs(5), count).await.expect("nothing arrived").unwrap();
        assert_eq!((count, meta[0].len), (1, PACKET.len()));
        count
    }

    #[tokio::test]
    async fn packets_that_come_while_others_are_read_are_read_too() {
        let (from, to, address) = pair();
        for _ in 0..3 {
            send(&from, address).unwrap();
            receive(&to).await;
            send(&from, address).unwrap();
            send(&from, address).unwrap();
            receive(&to).await;
            receive(&to).await;
        }
    }

    #[tokio::test]
    async fn room_is_awaited_only_when_there_was_none() {
        let (from, _to, address) = pair();
        let mut room = from.clone().create_io_poller();
        poll_fn(|context| room.as_mut().poll_writable(context)).await.unwrap();
        // As if the kernel had said so: loopback never does.
        from.full.store(true, Ordering::Release);
        let waited = poll_fn(|context| room.as_mut().poll_writable(context));
        tokio::time::timeout(Duration::from_secs(5), waited).await.expect("no room").unwrap();
        assert!(!from.full.load(Ordering::Acquire));
        send(&from, address).unwrap();
    }
}
