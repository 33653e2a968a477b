// SPDX-License-Identifier: Apache-2.0
//! The Erlang boundary: each NIF decodes, makes one call, encodes.
//!
//! * `api`: the NIFs, one file per thing they act on
//! * `mailbox`, `owner`, `host`: what native code tells Erlang processes, always from our own threads
//! * `gossip`, `hlc`, `store`: membership, clock, stores and logs as Erlang knows them
//! * `stores`: the stores of this VM
//! * `payload`: frames between iovecs and bytes
//! * `lent`: memory of the emulator that they kept, on its way back
//! * `resource`: the handles that Erlang holds
//! * `halt`: farewell to the peers when the VM exits
//!
//! Keeps: no NIF blocks a scheduler (those that touch the disk are dirty), nothing is sent from a scheduler thread through an owned
//! environment, and a panic becomes an Erlang exception.

mod api;
mod atoms;
mod encode;
mod gossip;
mod halt;
mod hlc;
mod host;
mod lent;
mod mailbox;
mod owner;
mod payload;
mod resource;
mod store;
mod stores;

fn on_load(_env: rustler::Env<'_>, _info: rustler::Term<'_>) -> bool {
    halt::install();
    true
}

rustler::init!("barrel_p2p_nif", load = on_load);
