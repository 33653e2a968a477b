%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_rotate).
-moduledoc """
New certificate, new identity, without a restart.

What is replaced is first copied to `<dir>/backups/<UTC time>/`. A certificate counts from the next TLS handshake on. A new identity counts from
the next hello on and carries a statement signed by the old key, so peers that pinned the old key take the new one over, unless they have
`auth_accept_rotation` off or have missed two rotations: there an operator calls `barrel_p2p_dist_keys:delete_key/1` or `store_key/2`.
Rotate one node at a time, and again only after its peers have seen it.
""".

-export([rotate_cert/0, rotate_cert/1, rotate_identity/0, rotate_identity/1]).
-export_type([rotated/0]).

%% For an identity cert_file is node.pub and key_file is node.key.
-type rotated() :: #{cert_file := file:filename(), key_file := file:filename(), backup_dir := file:filename(), restart_required := false}.

-spec rotate_cert() -> {ok, rotated()} | barrel_p2p_native:error().
rotate_cert() ->
    rotate_cert(#{}).

%% cert_dir: another directory than the one of this node.
-spec rotate_cert(#{cert_dir => file:name_all()}) -> {ok, rotated()} | barrel_p2p_native:error().
rotate_cert(Options) ->
    KeyDir = barrel_p2p_config:get(auth_key_dir),
    CertDir = directory(cert_dir, Options, quic_cert_dir),
    with_identity(KeyDir, CertDir, fun(Identity) ->
        rotate(CertDir, {"node.crt", "node.key"}, fun(Backup) ->
            logged(barrel_p2p_nif:certificate_rotate(Identity, Backup), fun() -> #{event => certificate_rotated, backup_dir => text(Backup)} end)
        end)
    end).

-spec rotate_identity() -> {ok, rotated()} | barrel_p2p_native:error().
rotate_identity() ->
    rotate_identity(#{}).

%% key_dir: another directory than the one of this node.
-spec rotate_identity(#{key_dir => file:name_all()}) -> {ok, rotated()} | barrel_p2p_native:error().
rotate_identity(Options) ->
    KeyDir = directory(key_dir, Options, auth_key_dir),
    CertDir = barrel_p2p_config:get(quic_cert_dir),
    with_identity(KeyDir, CertDir, fun(Identity) ->
        rotate(KeyDir, {"node.pub", "node.key"}, fun(Backup) ->
            logged(barrel_p2p_nif:identity_rotate(Identity, Backup), fun() ->
                #{fingerprint := Fingerprint} = barrel_p2p_nif:identity_info(Identity),
                #{event => identity_rotated, fingerprint => Fingerprint, backup_dir => text(Backup)}
            end)
        end)
    end).

-spec directory(cert_dir | key_dir, map(), atom()) -> binary().
directory(Option, Options, Key) ->
    case Options of
        #{Option := Directory} -> {ok, Path} = barrel_p2p_config_schema:check(path, Directory), Path;
        #{} -> barrel_p2p_config:get(Key)
    end.

-spec with_identity(binary(), binary(), fun((barrel_p2p_nif:identity()) -> Result)) -> Result | barrel_p2p_native:error().
with_identity(KeyDir, CertDir, Do) ->
    case barrel_p2p_native:open_identity(KeyDir, CertDir) of
        {ok, Identity} -> Do(Identity);
        {error, _} = Error -> Error
    end.

-spec rotate(binary(), {string(), string()}, fun((binary()) -> ok | barrel_p2p_native:error())) -> {ok, rotated()} | barrel_p2p_native:error().
rotate(Directory, {CertFile, KeyFile}, Do) ->
    Backup = backup_dir(Directory),
    case Do(Backup) of
        ok -> {ok, #{cert_file => text(filename:join(Directory, CertFile)), key_file => text(filename:join(Directory, KeyFile)),
                     backup_dir => text(Backup), restart_required => false}};
        {error, _} = Error -> Error
    end.

%% Named by the second, or by the microsecond when that second is taken. The core makes it, and never writes over an earlier backup.
-spec backup_dir(binary()) -> binary().
backup_dir(Directory) ->
    Now = os:system_time(microsecond),
    {{Year, Month, Day}, {Hour, Minute, Second}} = calendar:system_time_to_universal_time(Now, microsecond),
    Time = io_lib:format("~4..0b~2..0b~2..0bT~2..0b~2..0b~2..0b", [Year, Month, Day, Hour, Minute, Second]),
    Named = fun(Fraction) -> filename:join([Directory, <<"backups">>, iolist_to_binary([Time, Fraction, "Z"])]) end,
    case filelib:is_file(Named("")) of
        false -> Named("");
        true -> Named(io_lib:format(".~6..0b", [Now rem 1000000]))
    end.

-spec logged(Result, fun(() -> barrel_p2p_log:event())) -> Result when Result :: ok | barrel_p2p_native:error().
logged(ok, Event) -> barrel_p2p_log:report(notice, Event());
logged({error, _} = Error, _Event) -> Error.

-spec text(binary()) -> file:filename().
text(Path) ->
    unicode:characters_to_list(Path).
