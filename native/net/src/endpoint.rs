// SPDX-License-Identifier: Apache-2.0
//! The endpoint: one UDP socket, one I/O thread, all links of the node.

use crate::accept;
use crate::channel::Channel;
use crate::coalescing;
use crate::config::{Config, MAX_UDP_PAYLOAD_BYTES};
use crate::congestion;
use crate::core::Core;
use crate::dial::{self, Request};
use crate::host::{Host, Keeper};
use crate::link::Link;
use crate::local::Local;
use crate::peer::Peer;
use crate::reason::Reason;
use crate::runtime::QuinnRuntime;
use crate::settings::Settings;
use crate::tls::UnusableCertificate;
use barrel_p2p_base::{CloseCode, Incarnation};
use quinn::VarInt;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// How long a stop waits for links to be closed in an orderly way. Enough for a round trip to another continent.
const STOP_GRACE: Duration = Duration::from_millis(300);

/// How long a halting VM waits so that its peers hear of it. The farewell packets are sent at once; nobody's answer matters any more.
const HALT_GRACE: Duration = Duration::from_millis(15);

/// Socket buffers asked for; the kernel gives what it allows. Large enough for one full window in each direction.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Why no endpoint was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The UDP port cannot be bound for another reason.
    #[error("UDP port {port}: {error}")]
    Bind {
        /// The port asked for.
        port: u16,
        /// What the system said.
        error: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] UnusableCertificate),
    /// The port needs a privilege that this process lacks.
    #[error("UDP port {0}: permission denied")]
    PortForbidden(u16),
    /// Somebody else has the port.
    #[error("UDP port {0}: address already in use")]
    PortInUse(u16),
    /// The I/O thread or its runtime could not be made.
    #[error("I/O thread: {0}")]
    Thread(io::Error),
}

/// One link, as it stands.
#[derive(Clone, Debug)]
pub struct LinkInfo {
    /// The other end.
    pub peer: Peer,
    /// Open channels.
    pub channels: usize,
    /// Age of the link.
    pub up_for: Duration,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Congestion window in bytes.
    pub congestion_window_bytes: u64,
    /// Largest UDP payload in use, in bytes.
    pub mtu_bytes: u16,
    /// Packets lost since the start.
    pub lost_packets: u64,
    /// UDP bytes sent.
    pub sent_bytes: u64,
    /// UDP bytes received.
    pub received_bytes: u64,
}

/// The endpoint, as it stands.
#[derive(Clone, Debug)]
pub struct Info {
    /// The UDP port in use.
    pub port: u16,
    /// This start of the node.
    pub incarnation: Incarnation,
    /// Peers that have not yet proved themselves.
    pub pending: usize,
    /// Dials and hellos refused since the start.
    pub refused: u64,
    /// All links.
    pub links: Vec<LinkInfo>,
}

/// A running endpoint. Dropping it stops it.
pub struct Endpoint {
    running: Mutex<Option<Running>>,
}

struct Running {
    core: Arc<Core>,
    runtime: Handle,
    stop: oneshot::Sender<(CloseCode, Duration)>,
    stopped: mpsc::Receiver<()>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("info", &self.info()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Binds the port and starts the I/O thread.
    pub fn start(config: Config, keeper: Arc<dyn Keeper>, host: Arc<dyn Host>) -> Result<Self, StartError> {
        let settings = Settings::new(&config, keeper.as_ref())?;
        let socket = bind(config.port)?;
        let mut runtime = Builder::new_current_thread();
        runtime.enable_io().enable_time().on_thread_park(coalescing::rest);
        let runtime = runtime.build().map_err(StartError::Thread)?;
        let quinn = {
            let _entered = runtime.enter();
            let mut endpoint = quinn::EndpointConfig::default();
            // Only fails below 1200 bytes.
            let _ = endpoint.max_udp_payload_size(MAX_UDP_PAYLOAD_BYTES);
            let server = config.listen.then(|| settings.any_server());
            quinn::Endpoint::new(endpoint, server, socket, Arc::new(QuinnRuntime)).map_err(StartError::Thread)?
        };
        let port = quinn.local_addr().map_err(StartError::Thread)?.port();
        let core = Arc::new(Core::new(config, keeper, host, (quinn, settings), port));
        let handle = runtime.handle().clone();
        let (stop, stop_wanted) = oneshot::channel();
        let (report_stopped, stopped) = mpsc::channel();
        let thread_core = core.clone();
        std::thread::Builder::new()
            .name("barrel_p2p_io".to_owned())
            .spawn(move || {
                serve(runtime, thread_core, stop_wanted);
                let _ = report_stopped.send(());
            })
            .map_err(StartError::Thread)?;
        Ok(Self { running: Mutex::new(Some(Running { core, runtime: handle, stop, stopped })) })
    }

    /// Opens a channel to a peer, dialling it where there is no link. The channel's owner hears the result.
    pub fn connect(&self, channel: Arc<Channel>, request: Request, timeout: Duration) -> Result<(), Reason> {
        let (core, runtime) = self.running().ok_or(Reason::Stopped)?;
        runtime.spawn(connect(core, channel, request, timeout));
        Ok(())
    }

    /// Starts a task on the I/O thread, which ends with the endpoint at the latest. It must not block.
    pub fn spawn<F>(&self, task: impl FnOnce(Local) -> F) -> Result<(), Reason>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (core, runtime) = self.running().ok_or(Reason::Stopped)?;
        runtime.spawn(task(Local::new(core)));
        Ok(())
    }

    /// Closes all links, stops the thread and frees the port. Bounded by a second.
    pub fn stop(&self) {
        self.end(CloseCode::Shutdown, STOP_GRACE);
    }

    /// As [`Self::stop`], for a VM that is about to vanish.
    pub fn halt(&self) {
        self.end(CloseCode::Halted, HALT_GRACE);
    }

    fn end(&self, code: CloseCode, grace: Duration) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { core, stop, stopped, .. }) = running {
            drop(core);
            let _ = stop.send((code, grace));
            let _ = stopped.recv_timeout(grace + Duration::from_millis(500));
        }
    }

    /// The present state; `None` after a stop.
    pub fn info(&self) -> Option<Info> {
        let (core, _) = self.running()?;
        let links = core.links().iter().map(|link| describe(link)).collect();
        let pending = core.strangers().count();
        let refused = core.refusals().total();
        Some(Info { port: core.port, incarnation: core.incarnation, pending, refused, links })
    }

    /// Why a node was last not reached or not let in, and how long ago.
    pub fn last_error(&self, node: &str) -> Option<(Reason, Duration)> {
        let (core, _) = self.running()?;
        let last = core.refusals().last(node);
        last.map(|(reason, at)| (reason, at.elapsed()))
    }

    fn running(&self) -> Option<(Arc<Core>, Handle)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| (running.core.clone(), running.runtime.clone()))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

fn describe(link: &Link) -> LinkInfo {
    let stats = link.connection.stats();
    LinkInfo {
        peer: link.peer.clone(),
        channels: link.channels(),
        up_for: link.since.elapsed(),
        rtt: stats.path.rtt,
        congestion_window_bytes: stats.path.cwnd,
        mtu_bytes: stats.path.current_mtu,
        lost_packets: stats.path.lost_packets,
        sent_bytes: stats.udp_tx.bytes,
        received_bytes: stats.udp_rx.bytes,
    }
}

/// Opens a channel; its owner hears the result.
pub(crate) async fn connect(core: Arc<Core>, channel: Arc<Channel>, request: Request, timeout: Duration) {
    if let Err(reason) = open(&core, &channel, &request, timeout).await {
        channel.fail(reason);
    }
}

async fn open(core: &Arc<Core>, channel: &Arc<Channel>, request: &Request, timeout: Duration) -> Result<(), Reason> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let link =
            tokio::time::timeout(left, dial::link_to(core, request)).await.unwrap_or(Err(Reason::DialTimeout))?;
        if channel.is_closing() {
            return Ok(());
        }
        match link.open(channel.clone(), core.config.dist_lanes).await {
            // The peer gave up the link just when we took it; a new one is at hand.
            Err(Reason::Code(CloseCode::Idle | CloseCode::Duplicate)) if Instant::now() < deadline => {}
            result => return result,
        }
    }
}

fn serve(runtime: Runtime, core: Arc<Core>, stop_wanted: oneshot::Receiver<(CloseCode, Duration)>) {
    runtime.block_on(async {
        if core.config.listen {
            tokio::spawn(accept::run(core.clone()));
        }
        let (code, grace) = stop_wanted.await.unwrap_or((CloseCode::Shutdown, STOP_GRACE));
        core.links().iter().for_each(|link| congestion::open_window(&link.connection));
        core.quinn.close(VarInt::from_u32(code.to_wire()), code.name().as_bytes());
        let _ = tokio::time::timeout(grace, core.quinn.wait_idle()).await;
    });
    drop(core);
    // Whatever still waits for the disk (a pin) may finish; tasks are dropped, and with them the socket.
    runtime.shutdown_timeout(Duration::from_millis(200));
}

/// One socket for both families where the host has IPv6, else IPv4 alone.
fn bind(port: u16) -> Result<UdpSocket, StartError> {
    let six = || {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(false)?;
        finish_bind(socket, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
    };
    let four = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        finish_bind(socket, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    };
    let result = match six() {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => four(),
        result => result,
    };
    result.map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            StartError::PortInUse(port)
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            StartError::PortForbidden(port)
        } else {
            StartError::Bind { port, error }
        }
    })
}

fn finish_bind(socket: Socket, address: SocketAddr) -> io::Result<UdpSocket> {
    // Best effort: the kernel caps them, and small buffers cost speed only.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
