// SPDX-License-Identifier: Apache-2.0
//! Stores and logs as Erlang knows them: the process that owns one, entries, places in a store.

use crate::resource::{LogRes, StoreRes};
use crate::{atoms, encode, mailbox};
use barrel_p2p_node::log::{Event, LogError};
use barrel_p2p_node::proto::hlc::Timestamp;
use barrel_p2p_node::proto::store::{Cursor, Entry};
use barrel_p2p_node::stores::{Owner, Refused};
use barrel_p2p_node::NodeName;
use rustler::{Atom, Binary, Encoder, Env, Error, LocalPid, NewBinary, NifResult, ResourceArc, Term};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The process that owns a store. It holds the handle, so that every message names the store by the term that the process knows.
pub(crate) struct OwnerProcess {
    pub(crate) store: ResourceArc<StoreRes>,
    pub(crate) process: LocalPid,
}

impl OwnerProcess {
    fn tell(&self, message: impl for<'a> FnOnce(Env<'a>) -> Term<'a>) {
        mailbox::send(&self.process, |env| store_message(env, &self.store, message(env)));
    }
}

impl Owner for OwnerProcess {
    fn staged(&self) {
        self.tell(|env| atoms::staged().encode(env));
    }

    fn synced(&self, up_to: u64) {
        self.tell(|env| synced(env, up_to));
    }

    fn failed(&self, error: &LogError) {
        self.tell(|env| failed(env, error));
    }
}

/// What the owner of a store hears.
pub(crate) fn store_message<'a>(env: Env<'a>, store: &ResourceArc<StoreRes>, message: Term<'a>) -> Term<'a> {
    (atoms::barrel_p2p_store(), store.clone(), message).encode(env)
}

/// What the owner of a log hears.
pub(crate) fn log_message<'a>(env: Env<'a>, log: &ResourceArc<LogRes>, event: &Event) -> Term<'a> {
    let message = match event {
        Event::Synced(up_to) => synced(env, *up_to),
        Event::Failed(error) => failed(env, error),
        Event::SnapshotDue => atoms::snapshot_due().encode(env),
        Event::SnapshotDone { .. } => atoms::snapshot_done().encode(env),
        Event::SnapshotFailed(error) => (atoms::snapshot_failed(), encode::atom(env, error.code())).encode(env),
    };
    (atoms::barrel_p2p_log(), log.clone(), message).encode(env)
}

fn synced(env: Env<'_>, up_to: u64) -> Term<'_> {
    (atoms::synced(), up_to).encode(env)
}

fn failed<'a>(env: Env<'a>, error: &LogError) -> Term<'a> {
    (atoms::failed(), encode::atom(env, error.code())).encode(env)
}

/// A refusal as Erlang reads it.
pub(crate) fn refused(env: Env<'_>, refused: Refused) -> Term<'_> {
    let word = match refused {
        Refused::Busy => atoms::busy(),
        Refused::Closed => atoms::closed(),
        Refused::TooLarge => atoms::too_large(),
    };
    (atoms::error(), word).encode(env)
}

/// The number to wait for, or the refusal.
pub(crate) fn written(env: Env<'_>, result: Result<u64, Refused>) -> Term<'_> {
    match result {
        Ok(seq) => (atoms::ok(), seq).encode(env),
        Err(error) => refused(env, error),
    }
}

pub(crate) fn entries<'a>(env: Env<'a>, entries: &[Entry]) -> Vec<Term<'a>> {
    entries.iter().map(|at| entry(env, at)).collect()
}

pub(crate) fn entry<'a>(env: Env<'a>, entry: &Entry) -> Term<'a> {
    let value = entry.bytes().map_or_else(|| atoms::removed().encode(env), |bytes| encode::binary(env, bytes));
    // Members, who have proved that they know the cookie, said it; Erlang would make the same atom of it.
    let origin = match entry.origin() {
        Some(name) => encode::atom(env, name.as_str()),
        None => atoms::undefined().encode(env),
    };
    let stamp = entry.stamp();
    (encode::binary(env, entry.key()), value, origin, (stamp.wall_ms, stamp.logical)).encode(env)
}

/// An entry as [`entry`] writes it; none when it is larger than one can be, or when its origin is no node.
pub(crate) fn to_entry(term: Term<'_>) -> NifResult<Option<Entry>> {
    let (key, value, origin, (wall_ms, logical)): (Binary<'_>, Term<'_>, Atom, (u64, u32)) = term.decode()?;
    let stamp = Timestamp { wall_ms, logical };
    let made = if value.is_atom() && value.decode::<Atom>()? == atoms::removed() {
        Entry::tombstone(&key, stamp)
    } else {
        let value: Binary<'_> = value.decode()?;
        let Ok(origin) = node(term.get_env(), origin) else { return Ok(None) };
        Entry::value(&key, &value, &origin, stamp)
    };
    Ok(made.ok())
}

/// A node name. Nearly always the same one, that of this node, so each thread remembers the last.
pub(crate) fn node(env: Env<'_>, atom: Atom) -> NifResult<NodeName> {
    thread_local! {
        static LAST: RefCell<Option<(Atom, NodeName)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((known, name)) if *known == atom => Ok(name.clone()),
        _ => {
            let text = atom.to_term(env).atom_to_string()?;
            let name = NodeName::parse(text.as_bytes()).map_err(|_| Error::BadArg)?;
            *last = Some((atom, name.clone()));
            Ok(name)
        }
    })
}

/// A place in a store is a key behind one byte, since the beginning has no bytes.
pub(crate) fn cursor<'a>(env: Env<'a>, cursor: Option<&Cursor>) -> Term<'a> {
    let Some(cursor) = cursor else { return atoms::done().encode(env) };
    let key = cursor.key();
    let mut binary = NewBinary::new(env, 1 + key.len());
    binary.as_mut_slice()[0] = CURSOR_TAG;
    binary.as_mut_slice()[1..].copy_from_slice(key);
    binary.into()
}

/// A place as [`cursor`] writes it.
pub(crate) fn to_cursor(bytes: &[u8]) -> NifResult<Option<Cursor>> {
    match bytes {
        [] => Ok(None),
        [CURSOR_TAG, key @ ..] => Ok(Some(Cursor::new(key))),
        _ => Err(Error::BadArg),
    }
}

const CURSOR_TAG: u8 = 1;

/// The directory that the bytes name.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}
