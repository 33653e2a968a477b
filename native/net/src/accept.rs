// SPDX-License-Identifier: Apache-2.0
//! Letting peers in: limits on strangers, the hello, and then a link.

use crate::channel::copies;
use crate::core::Core;
use crate::guarded::Guarded;
use crate::hello;
use crate::host::Direction;
use crate::link::Link;
use crate::peer::Role;
use crate::reason::Reason;
use crate::strangers::{Admission, Place};
use barrel_p2p_base::CloseCode;
use quinn::Incoming;
use std::sync::Arc;
use std::time::Instant;

/// Accepts until the endpoint is closed.
pub(crate) async fn run(core: Arc<Core>) {
    while let Some(incoming) = core.quinn.accept().await {
        let admission =
            core.strangers().admit(incoming.remote_address().ip(), incoming.remote_address_validated(), Instant::now());
        match admission {
            Admission::Accept => {
                let place = core.strangers().enter();
                tokio::spawn(greet(core.clone(), incoming, place));
            }
            Admission::Retry => {
                // Fails only for an address that is validated already.
                let _ = incoming.retry();
            }
            Admission::Refuse => incoming.refuse(),
        }
    }
}

async fn greet(core: Arc<Core>, incoming: Incoming, place: Place) {
    let address = incoming.remote_address();
    let mut claimed = String::new();
    let result = tokio::select! {
        result = tokio::time::timeout(core.config.hello_timeout, connect(&core, incoming, &mut claimed)) => {
            result.unwrap_or(Err(Reason::Code(CloseCode::HelloTimeout)))
        }
        () = place.evicted.notified() => Err(Reason::Code(CloseCode::Overloaded)),
    };
    core.strangers().leave(&place);
    match result {
        Ok(link) => {
            if let Some(name) = &link.peer.name {
                core.refusals().forget(name.as_str());
            }
            link.clone().run(core.clone()).await;
            // The dialler judges last: it may reject our hello after we have let it in.
            if let Some(reason) = link.rejection() {
                core.refused(Direction::Inbound, &claimed, Some(address), reason);
            }
        }
        // The dialler reached us at another address first.
        Err(Reason::Code(CloseCode::Duplicate)) => {}
        Err(reason) => core.refused(Direction::Inbound, &claimed, Some(address), reason),
    }
}

async fn connect(core: &Arc<Core>, incoming: Incoming, claimed: &mut String) -> Result<Arc<Link>, Reason> {
    let address = incoming.remote_address();
    let accepted = match incoming.accept_with(core.settings.server(address)) {
        Ok(connecting) => connecting.await,
        Err(error) => Err(error),
    };
    let connection = accepted.map_err(|error| Reason::of_connection(&error))?;
    // Dropped by a timeout or an eviction, it tells the peer so; any other end sets its own code.
    let guarded = Guarded::new(connection.clone(), CloseCode::HelloTimeout);
    let hello = hello::accept(core, &connection, claimed, |greeting| {
        let link = Arc::new(Link::new(connection.clone(), greeting.into_peer(address, Role::Accepted), Instant::now()));
        core.links().add(&link)?;
        Ok(link)
    });
    let result = copies::discard_while(&connection, hello).await;
    guarded.release();
    result.map_err(|refusal| refusal.settle(&connection))
}
