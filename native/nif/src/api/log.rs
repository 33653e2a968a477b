// SPDX-License-Identifier: Apache-2.0
//! Logs of opaque records, for stores that Erlang merges itself.

use crate::resource::LogRes;
use crate::{atoms, encode, mailbox, store};
use barrel_p2p_node::disk::RealDisk;
use barrel_p2p_node::log::{AppendError, Event, Log};
use bytes::Bytes;
use rustler::{Atom, Binary, Encoder, Env, Error, LocalPid, NifResult, ResourceArc, Term};
use std::str::from_utf8;
use std::sync::{Arc, Mutex, OnceLock};

#[rustler::nif(schedule = "DirtyIo")]
fn log_open<'a>(env: Env<'a>, dir: Binary<'a>, name: Binary<'a>, owner: LocalPid) -> NifResult<Term<'a>> {
    let name = from_utf8(&name).map_err(|_| Error::BadArg)?;
    // The handle is made of the log and the log tells through the handle.
    let handle: Arc<OnceLock<ResourceArc<LogRes>>> = Arc::default();
    let teller = handle.clone();
    let tell = move |event: Event| {
        if let Some(log) = teller.get() {
            mailbox::send(&owner, |env| store::log_message(env, log, &event));
        }
    };
    let mut records = Vec::new();
    let mut each = |record: Bytes| records.push(record);
    let (log, recovery) = match Log::open(Arc::new(RealDisk), &store::path(&dir), name, &mut each, tell) {
        Ok(opened) => opened,
        Err(error) => return Ok(encode::failure(env, error.code(), &error.detail())),
    };
    let log = ResourceArc::new(LogRes(Mutex::new(Some(log))));
    let _ = handle.set(log.clone());
    if env.monitor(&log, &owner).is_none() {
        drop(log.take());
        return Err(Error::BadArg);
    }
    if recovery.snapshot_due {
        let _ = env.send(&owner, store::log_message(env, &log, &Event::SnapshotDue));
    }
    let records: Vec<Term<'_>> = records.iter().map(|record| encode::binary(env, record)).collect();
    Ok((atoms::ok(), log, records).encode(env))
}

// A record may be large, and is copied.
#[rustler::nif(schedule = "DirtyCpu")]
fn log_append<'a>(env: Env<'a>, log: ResourceArc<LogRes>, record: Term<'a>) -> NifResult<Term<'a>> {
    let record = Bytes::copy_from_slice(&Binary::from_iolist(record)?);
    Ok(match log.with(|log| log.append(record)) {
        Ok(seq) => (atoms::ok(), seq).encode(env),
        Err(error) => refused(env, error),
    })
}

// Copies as much as there is.
#[rustler::nif(schedule = "DirtyCpu")]
fn log_snapshot<'a>(env: Env<'a>, log: ResourceArc<LogRes>, records: Vec<Binary<'a>>) -> Term<'a> {
    let records: Vec<Bytes> = records.iter().map(|record| Bytes::copy_from_slice(record)).collect();
    match log.with(|log| log.snapshot(Box::new(records.into_iter()))) {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => refused(env, error),
    }
}

fn refused(env: Env<'_>, error: AppendError) -> Term<'_> {
    (atoms::error(), encode::atom(env, error.code())).encode(env)
}

#[rustler::nif(schedule = "DirtyIo")]
fn log_close(log: ResourceArc<LogRes>) -> Atom {
    if let Some(log) = log.take() {
        // What could not be written was told to the owner.
        let _ = log.close();
    }
    atoms::ok()
}

#[rustler::nif(schedule = "DirtyIo")]
fn log_delete<'a>(env: Env<'a>, dir: Binary<'a>, name: Binary<'a>) -> NifResult<Term<'a>> {
    let name = from_utf8(&name).map_err(|_| Error::BadArg)?;
    Ok(match Log::delete(&RealDisk, &store::path(&dir), name) {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => encode::failure(env, error.code(), &error.detail()),
    })
}
