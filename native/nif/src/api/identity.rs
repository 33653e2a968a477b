// SPDX-License-Identifier: Apache-2.0
//! Identity and trust. All may touch the disk or wait for somebody who does, except the plain reads.

use crate::resource::IdentityRes;
use crate::{atoms, encode};
use barrel_p2p_node::identity::Existing;
use barrel_p2p_node::{
    fingerprint, AuthMode, Identity, IdentityError, NodeName, Pattern, PinLevel, Policy, PublicKey, TrustMode,
};
use rustler::{Atom, Binary, Encoder, Env, Error, NifMap, NifResult, NifUnitEnum, ResourceArc, Term};
use std::path::Path;
use std::sync::Arc;

#[derive(NifUnitEnum)]
enum Mode {
    Strict,
    Tofu,
}

#[derive(NifUnitEnum)]
enum How {
    IfNew,
    Replace,
}

#[derive(NifMap)]
struct Options {
    auth_enabled: bool,
    trust_mode: Mode,
    cookie_only: Vec<String>,
    accept_rotation: bool,
    common_name: String,
}

impl From<Mode> for TrustMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Strict => Self::Strict,
            Mode::Tofu => Self::Tofu,
        }
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn identity_open<'a>(env: Env<'a>, key_dir: &str, cert_dir: &str, options: Options) -> Term<'a> {
    let policy = Policy {
        mode: options.trust_mode.into(),
        auth: if options.auth_enabled { AuthMode::Signed } else { AuthMode::ProofOnly },
        accept_rotation: options.accept_rotation,
        cookie_only: options.cookie_only.into_iter().map(Pattern::new).collect(),
    };
    match Identity::open(Path::new(key_dir), Path::new(cert_dir), &options.common_name, policy) {
        Ok(identity) => (atoms::ok(), ResourceArc::new(IdentityRes(Arc::new(identity)))).encode(env),
        Err(error) => encode::failure(env, error.code(), &error.to_string()),
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn identity_info(env: Env<'_>, identity: ResourceArc<IdentityRes>) -> Term<'_> {
    let key = identity.0.public_key();
    let warnings = identity.0.warnings().iter().map(|warning| encode::binary(env, warning.to_string().as_bytes()));
    let warnings: Vec<Term<'_>> = warnings.collect();
    let path = |path: &Path| encode::binary(env, path.to_string_lossy().as_bytes());
    encode::map(
        env,
        &[
            (atoms::public_key(), encode::binary(env, &key.0)),
            (atoms::fingerprint(), encode::binary(env, &fingerprint(&key).0)),
            (atoms::key_dir(), path(identity.0.key_dir())),
            (atoms::cert_dir(), path(identity.0.cert_dir())),
            (atoms::warnings(), warnings.encode(env)),
        ],
    )
}

#[rustler::nif(schedule = "DirtyIo")]
fn identity_rotate<'a>(env: Env<'a>, identity: ResourceArc<IdentityRes>, backup_dir: &str) -> Term<'a> {
    done(env, identity.0.rotate_keys(Path::new(backup_dir)))
}

#[rustler::nif(schedule = "DirtyIo")]
fn certificate_rotate<'a>(env: Env<'a>, identity: ResourceArc<IdentityRes>, backup_dir: &str) -> Term<'a> {
    done(env, identity.0.rotate_certificate(Path::new(backup_dir)))
}

#[rustler::nif(schedule = "DirtyIo")]
fn trust_list(env: Env<'_>, identity: ResourceArc<IdentityRes>) -> Vec<Term<'_>> {
    let pins = identity.0.pins().into_iter().map(|(name, pin)| {
        let level = match pin.level {
            PinLevel::Permanent => atoms::permanent(),
            PinLevel::Tofu => atoms::tofu(),
        };
        (encode::binary(env, name.as_str().as_bytes()), encode::binary(env, &pin.key.0), level, pin.added_ms)
            .encode(env)
    });
    pins.collect()
}

#[rustler::nif(schedule = "DirtyIo")]
fn trust_lookup<'a>(env: Env<'a>, identity: ResourceArc<IdentityRes>, node: Binary<'a>) -> Term<'a> {
    let pin = NodeName::parse(&node).ok().and_then(|name| identity.0.pin_of(&name));
    match pin {
        Some(pin) => (atoms::pinned(), encode::binary(env, &pin.key.0)).encode(env),
        None => atoms::not_pinned().encode(env),
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn trust_put<'a>(
    env: Env<'a>,
    identity: ResourceArc<IdentityRes>,
    node: Binary<'a>,
    key: Binary<'a>,
    how: How,
) -> NifResult<Term<'a>> {
    let Ok(name) = NodeName::parse(&node) else {
        return Ok(encode::failure(env, "invalid_name", &String::from_utf8_lossy(&node)));
    };
    let key: [u8; 32] = key.as_slice().try_into().map_err(|_| Error::BadArg)?;
    let existing = match how {
        How::IfNew => Existing::Keep,
        How::Replace => Existing::Replace,
    };
    Ok(done(env, identity.0.pin(name, PublicKey(key), existing)))
}

#[rustler::nif(schedule = "DirtyIo")]
fn trust_delete<'a>(env: Env<'a>, identity: ResourceArc<IdentityRes>, node: Binary<'a>) -> Term<'a> {
    match NodeName::parse(&node) {
        Ok(name) => done(env, identity.0.unpin(&name)),
        // No such pin can be there.
        Err(_) => atoms::ok().encode(env),
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn trust_mode(identity: ResourceArc<IdentityRes>) -> Mode {
    match identity.0.trust_mode() {
        TrustMode::Strict => Mode::Strict,
        TrustMode::Tofu => Mode::Tofu,
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn set_trust_mode(identity: ResourceArc<IdentityRes>, mode: Mode) -> Atom {
    identity.0.set_trust_mode(mode.into());
    atoms::ok()
}

#[rustler::nif(schedule = "DirtyIo")]
fn cookie_only(identity: ResourceArc<IdentityRes>, node: Binary<'_>) -> bool {
    NodeName::parse(&node).is_ok_and(|name| identity.0.is_cookie_only(&name))
}

fn done(env: Env<'_>, result: Result<(), IdentityError>) -> Term<'_> {
    match result {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => encode::failure(env, error.code(), &error.to_string()),
    }
}
