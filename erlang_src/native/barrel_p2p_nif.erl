%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_nif).
-moduledoc """
Stubs of the native core, nothing else.

Only `barrel_p2p_native` calls this module. The library is loaded by an explicit call to `load/1`, never by `-on_load`: on OTP 25 a
postponed on_load handler leaves every function undefined while distribution starts.
""".

-export([load/1]).
-export([identity_open/3, identity_info/1, identity_rotate/2, certificate_rotate/2]).
-export([trust_list/1, trust_lookup/2, trust_put/4, trust_delete/2, trust_mode/1, set_trust_mode/2, cookie_only/2]).
-export([endpoint_start/3, endpoint_stop/1, endpoint_info/1, hello_cookie/2, last_error/2, publish/3, unpublish/2]).
-export([channel_connect/4, channel_accept/2, channel_send/2, channel_ack/2, channel_tick/1, channel_stat/1, channel_close/2, channel_peer/1]).

-nifs([identity_open/3, identity_info/1, identity_rotate/2, certificate_rotate/2,
       trust_list/1, trust_lookup/2, trust_put/4, trust_delete/2, trust_mode/1, set_trust_mode/2, cookie_only/2,
       endpoint_start/3, endpoint_stop/1, endpoint_info/1, hello_cookie/2, last_error/2, publish/3, unpublish/2,
       channel_connect/4, channel_accept/2, channel_send/2, channel_ack/2, channel_tick/1, channel_stat/1, channel_close/2,
       channel_peer/1]).

-export_type([identity/0, endpoint/0, channel/0, ticket/0, error/0]).

-type identity() :: reference().
-type endpoint() :: reference().
-type channel() :: reference().
-type ticket() :: reference().
%% Code is one of the atoms that barrel_p2p_native:format_error/1 knows; the binary names the path, address or value concerned.
-type error() :: {error, {Code :: atom(), Detail :: binary()}}.

-spec load(file:filename()) -> ok | {error, {bad_lib | load | load_failed | old_code | reload | upgrade, string()}}.
load(Path) ->
    erlang:load_nif(Path, 0).

%% Opens (creating on first use) key pair, pins and certificate. Options: #{auth_enabled := boolean(), trust_mode := tofu | strict,
%% cookie_only := [binary()], accept_rotation := boolean(), common_name := binary()}.
-spec identity_open(KeyDir :: binary(), CertDir :: binary(), Options :: map()) -> {ok, identity()} | error().
identity_open(_KeyDir, _CertDir, _Options) -> erlang:nif_error(not_loaded).

%% #{public_key, fingerprint, key_dir, cert_dir, warnings := [binary()]}; a warning is a line about something odd in the key directory.
-spec identity_info(identity()) -> map().
identity_info(_Identity) -> erlang:nif_error(not_loaded).

%% New key pair, signed by the old one; files backed up below BackupDir. Takes effect with the next hello.
-spec identity_rotate(identity(), BackupDir :: binary()) -> ok | error().
identity_rotate(_Identity, _BackupDir) -> erlang:nif_error(not_loaded).

%% New certificate; takes effect with the next TLS handshake of a running endpoint.
-spec certificate_rotate(identity(), BackupDir :: binary()) -> ok | error().
certificate_rotate(_Identity, _BackupDir) -> erlang:nif_error(not_loaded).

-spec trust_list(identity()) -> [{Node :: binary(), PublicKey :: binary(), Level :: permanent | tofu, AddedMs :: non_neg_integer()}].
trust_list(_Identity) -> erlang:nif_error(not_loaded).

-spec trust_lookup(identity(), Node :: binary()) -> not_pinned | {pinned, PublicKey :: binary()}.
trust_lookup(_Identity, _Node) -> erlang:nif_error(not_loaded).

%% `replace` overwrites, `if_new` answers {error, {key_mismatch, Node}} when another key is pinned.
-spec trust_put(identity(), Node :: binary(), PublicKey :: binary(), replace | if_new) -> ok | error().
trust_put(_Identity, _Node, _PublicKey, _How) -> erlang:nif_error(not_loaded).

-spec trust_delete(identity(), Node :: binary()) -> ok | error().
trust_delete(_Identity, _Node) -> erlang:nif_error(not_loaded).

-spec trust_mode(identity()) -> tofu | strict.
trust_mode(_Identity) -> erlang:nif_error(not_loaded).

-spec set_trust_mode(identity(), tofu | strict) -> ok.
set_trust_mode(_Identity, _Mode) -> erlang:nif_error(not_loaded).

%% Does a cookie_only_nodes pattern match this name?
-spec cookie_only(identity(), Node :: binary()) -> boolean().
cookie_only(_Identity, _Node) -> erlang:nif_error(not_loaded).

%% Binds the UDP socket and starts the I/O thread. Options: #{name := binary() (<<>> when dynamic), port := inet:port_number(), listen := boolean(),
%% hello_timeout_ms, dial_timeout_ms, keepalive_ms, idle_timeout_ms := pos_integer()}. Listener gets
%% {barrel_p2p_hello, Ticket, Node :: binary()} (answer with hello_cookie/2), {barrel_p2p_incoming, Channel, Peer} and
%% {barrel_p2p_refused, inbound | outbound, Peer, Reason}.
-spec endpoint_start(identity(), Listener :: pid(), Options :: map()) -> {ok, endpoint(), inet:port_number()} | error().
endpoint_start(_Identity, _Listener, _Options) -> erlang:nif_error(not_loaded).

%% Closes all links with code `shutdown`, frees the socket, withdraws published files. Returns when all of that is done (bounded).
-spec endpoint_stop(endpoint()) -> ok.
endpoint_stop(_Endpoint) -> erlang:nif_error(not_loaded).

%% #{port, name, incarnation, pending, refused, links => [Peer#{channels, srtt_us, ...}]}.
-spec endpoint_info(endpoint()) -> map().
endpoint_info(_Endpoint) -> erlang:nif_error(not_loaded).

-spec hello_cookie(ticket(), Cookie :: binary()) -> ok.
hello_cookie(_Ticket, _Cookie) -> erlang:nif_error(not_loaded).

%% Why the last dial of, or hello from, Node failed.
-spec last_error(endpoint(), Node :: binary()) -> none | {Reason :: atom(), AgoMs :: non_neg_integer()}.
last_error(_Endpoint, _Node) -> erlang:nif_error(not_loaded).

%% Writes a file atomically (directory made when missing) and removes it when the endpoint stops or the VM halts.
-spec publish(endpoint(), Path :: binary(), Content :: binary()) -> ok | error().
publish(_Endpoint, _Path, _Content) -> erlang:nif_error(not_loaded).

-spec unpublish(endpoint(), Path :: binary()) -> ok | error().
unpublish(_Endpoint, _Path) -> erlang:nif_error(not_loaded).

%% Dials (or reuses the link to) Request := #{node, own_name (<<>> while dynamic), cookie := binary(), addresses := [{Host :: binary(), Port}]}
%% and opens a dist channel. The caller is the channel's controller and hears {barrel_p2p_connected, Peer} or {barrel_p2p_failed, Reason}, later
%% barrel_p2p_writable; its death ends the channel. Input gets {barrel_p2p_frames, Batch}, where Batch is (Length:32, Frame:Length/binary)* of
%% whole frames, and last {barrel_p2p_closed, Reason}.
-spec channel_connect(endpoint(), Input :: pid(), Request :: map(), TimeoutMs :: pos_integer()) -> {ok, channel()} | error().
channel_connect(_Endpoint, _Input, _Request, _TimeoutMs) -> erlang:nif_error(not_loaded).

%% Takes over an incoming channel: the caller becomes its controller.
-spec channel_accept(channel(), Input :: pid()) -> ok | closed.
channel_accept(_Channel, _Input) -> erlang:nif_error(not_loaded).

%% Queues whole frames, each an iovec. `busy`: queued, but send no more before {barrel_p2p_writable, Channel}.
-spec channel_send(channel(), [erlang:iovec() | binary()]) -> ok | busy | closed.
channel_send(_Channel, _Frames) -> erlang:nif_error(not_loaded).

%% Gives back byte credit after the input process has consumed a batch of that size.
-spec channel_ack(channel(), Bytes :: non_neg_integer()) -> ok.
channel_ack(_Channel, _Bytes) -> erlang:nif_error(not_loaded).

-spec channel_tick(channel()) -> ok.
channel_tick(_Channel) -> erlang:nif_error(not_loaded).

%% Frames and ticks received, frames and ticks sent, frames waiting.
-spec channel_stat(channel()) -> {non_neg_integer(), non_neg_integer(), non_neg_integer()}.
channel_stat(_Channel) -> erlang:nif_error(not_loaded).

%% `graceful` delivers what was queued (bounded, in the background); `abort` does not. Idempotent.
-spec channel_close(channel(), graceful | abort) -> ok.
channel_close(_Channel, _How) -> erlang:nif_error(not_loaded).

-spec channel_peer(channel()) -> map().
channel_peer(_Channel) -> erlang:nif_error(not_loaded).
