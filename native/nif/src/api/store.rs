// SPDX-License-Identifier: Apache-2.0
//! Replicated stores. Those that open and end one wait for the disk; all others take a bounded step in memory.

use crate::resource::StoreRes;
use crate::store::{self, OwnerProcess};
use crate::{atoms, encode, stores};
use barrel_p2p_node::stores::{Handle, Options, Pulled};
use rustler::{
    Atom, Binary, Encoder, Env, Error, ListIterator, LocalPid, NifMap, NifResult, NifUntaggedEnum, ResourceArc, Term,
};
use std::sync::Arc;

#[derive(NifUntaggedEnum)]
enum Place<'a> {
    Files(Binary<'a>),
    None(Atom),
}

#[derive(NifMap)]
struct Settings<'a> {
    tombstone_ttl_ms: u64,
    persist: Place<'a>,
}

#[rustler::nif(schedule = "DirtyIo")]
fn store_open<'a>(env: Env<'a>, name: Binary<'a>, owner: LocalPid, settings: Settings<'a>) -> NifResult<Term<'a>> {
    let place = match settings.persist {
        Place::Files(path) => Some(store::path(&path)),
        Place::None(atom) if atom == atoms::none() => None,
        Place::None(_) => return Err(Error::BadArg),
    };
    let options = Options { tombstone_ttl_ms: settings.tombstone_ttl_ms, place };
    let mut resource = None;
    let opened = stores::all().open(&name, options, |handle: &Arc<Handle>| {
        let store = ResourceArc::new(StoreRes { handle: handle.clone(), owner });
        resource = Some(store.clone());
        Arc::new(OwnerProcess { store, process: owner })
    });
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok(encode::failure(env, error.code(), &error.detail())),
    };
    match resource {
        Some(resource) if env.monitor(&resource, &owner).is_some() => {
            if opened.has_staged {
                tell_staged(env, &resource);
            }
            Ok((atoms::ok(), resource).encode(env))
        }
        _ => {
            opened.handle.abandon();
            Err(Error::BadArg)
        }
    }
}

// From here, since a scheduler must not send the way our threads do.
fn tell_staged(env: Env<'_>, store: &ResourceArc<StoreRes>) {
    let _ = env.send(&store.owner, store::store_message(env, store, atoms::staged().encode(env)));
}

#[rustler::nif(schedule = "DirtyIo")]
fn store_close(store: ResourceArc<StoreRes>) -> Atom {
    store.handle.close();
    atoms::ok()
}

#[rustler::nif(schedule = "DirtyIo")]
fn store_delete(env: Env<'_>, store: ResourceArc<StoreRes>) -> Term<'_> {
    match store.handle.delete() {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => encode::failure(env, error.code(), &error.detail()),
    }
}

#[rustler::nif]
fn store_put<'a>(
    env: Env<'a>,
    store: ResourceArc<StoreRes>,
    key: Binary<'a>,
    value: Binary<'a>,
    node: Atom,
) -> NifResult<Term<'a>> {
    let origin = store::node(env, node)?;
    Ok(store::written(env, store.handle.put(&key, &value, &origin)))
}

#[rustler::nif]
fn store_restore<'a>(
    env: Env<'a>,
    store: ResourceArc<StoreRes>,
    key: Binary<'a>,
    value: Binary<'a>,
    node: Atom,
) -> NifResult<Term<'a>> {
    let origin = store::node(env, node)?;
    Ok(store::written(env, store.handle.restore(&key, &value, &origin)))
}

#[rustler::nif]
fn store_remove<'a>(env: Env<'a>, store: ResourceArc<StoreRes>, key: Binary<'a>) -> Term<'a> {
    store::written(env, store.handle.remove(&key))
}

#[rustler::nif]
fn store_prune<'a>(
    env: Env<'a>,
    store: ResourceArc<StoreRes>,
    node: Atom,
    before_ms: u64,
    cursor: Binary<'a>,
) -> NifResult<Term<'a>> {
    let (origin, after) = (store::node(env, node)?, store::to_cursor(&cursor)?);
    Ok(match store.handle.prune(&origin, before_ms, after.as_ref()) {
        Ok(pruned) => {
            let keys: Vec<Term<'_>> = pruned.entries.iter().map(|entry| encode::binary(env, entry.key())).collect();
            (atoms::ok(), pruned.seq, keys, store::cursor(env, pruned.next.as_ref())).encode(env)
        }
        Err(refused) => store::refused(env, refused),
    })
}

#[rustler::nif]
fn store_pull(env: Env<'_>, store: ResourceArc<StoreRes>) -> (Vec<Term<'_>>, Atom) {
    let Pulled { entries, has_more } = store.handle.pull();
    (store::entries(env, &entries), if has_more { atoms::more() } else { atoms::last() })
}

#[rustler::nif]
fn store_commit<'a>(env: Env<'a>, store: ResourceArc<StoreRes>, rejected: Vec<Binary<'a>>) -> Term<'a> {
    let rejected: Vec<&[u8]> = rejected.iter().map(Binary::as_slice).collect();
    store::written(env, store.handle.commit(&rejected))
}

#[rustler::nif]
fn store_stage<'a>(env: Env<'a>, store: ResourceArc<StoreRes>, entries: ListIterator<'a>) -> NifResult<Atom> {
    let entries = entries.map(store::to_entry).collect::<NifResult<Vec<_>>>()?;
    let Ok(staging) = store.handle.stage(entries) else { return Ok(atoms::closed()) };
    if staging.has_news {
        tell_staged(env, &store);
    }
    Ok(if staging.is_full { atoms::busy() } else { atoms::ok() })
}

#[rustler::nif]
fn store_get<'a>(env: Env<'a>, store: ResourceArc<StoreRes>, key: Binary<'a>) -> Term<'a> {
    store.handle.get(&key).map_or_else(|| atoms::none().encode(env), |entry| store::entry(env, &entry))
}

#[rustler::nif]
fn store_scan<'a>(
    env: Env<'a>,
    store: ResourceArc<StoreRes>,
    cursor: Binary<'a>,
) -> NifResult<(Vec<Term<'a>>, Term<'a>)> {
    let after = store::to_cursor(&cursor)?;
    let (entries, next) = store.handle.scan(after.as_ref());
    Ok((store::entries(env, &entries), store::cursor(env, next.as_ref())))
}

#[rustler::nif]
fn store_info(env: Env<'_>, store: ResourceArc<StoreRes>) -> Term<'_> {
    let info = store.handle.info();
    encode::map(
        env,
        &[
            (atoms::name(), encode::binary(env, info.name.as_bytes())),
            (atoms::values(), info.values.encode(env)),
            (atoms::tombstones(), info.tombstones.encode(env)),
            (atoms::bytes(), info.bytes.encode(env)),
            (atoms::staged(), info.has_staged.encode(env)),
            (atoms::persistent(), info.is_persistent.encode(env)),
            (atoms::open(), info.is_open.encode(env)),
            (atoms::writes(), info.writes.encode(env)),
            (atoms::merged(), info.merged.encode(env)),
            (atoms::rejected(), info.rejected.encode(env)),
        ],
    )
}
