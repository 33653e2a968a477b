// SPDX-License-Identifier: Apache-2.0
//! The NIFs. What each one means to Erlang stands at its stub in `barrel_p2p_nif.erl`.

mod channel;
mod endpoint;
mod gossip;
mod hlc;
mod identity;
mod log;
mod store;
