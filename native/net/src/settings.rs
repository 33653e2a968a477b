// SPDX-License-Identifier: Apache-2.0
//! TLS and transport settings of a new link: by who dials, and by what lies in between.

use crate::config::{Config, Path};
use crate::host::Keeper;
use crate::tls::{self, UnusableCertificate};
use quinn::{ClientConfig, ServerConfig, TransportConfig};
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) struct Settings {
    client: ClientConfig,
    server: ServerConfig,
    config: Config,
}

impl Settings {
    pub(crate) fn new(config: &Config, keeper: &dyn Keeper) -> Result<Self, UnusableCertificate> {
        let mut server = tls::server(keeper.certificate())?;
        server.transport_config(Arc::new(config.transport(Path::Network)));
        Ok(Self { client: tls::client()?, server, config: config.clone() })
    }

    /// To dial an address.
    pub(crate) fn client(&self, to: SocketAddr) -> ClientConfig {
        let mut client = self.client.clone();
        client.transport_config(self.transport(to));
        client
    }

    /// To answer an address.
    pub(crate) fn server(&self, from: SocketAddr) -> Arc<ServerConfig> {
        let mut server = self.server.clone();
        server.transport_config(self.transport(from));
        Arc::new(server)
    }

    /// For what an endpoint does before it answers, such as sending somebody away.
    pub(crate) fn any_server(&self) -> ServerConfig {
        self.server.clone()
    }

    /// Each link has its own, as the controllers of its paths belong together.
    fn transport(&self, peer: SocketAddr) -> Arc<TransportConfig> {
        Arc::new(self.config.transport(Path::to(peer)))
    }
}
