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
-export([channel_connect/4, channel_accept/2, channel_send/2, channel_send_signals/2, channel_let_go/1, channel_take/1, channel_take_first/1,
         channel_tick/1, channel_stat/1, channel_close/2, channel_peer/1]).
-export([channel_activity/1]).
-export([gossip_start/3, gossip_stop/1, gossip_join/4, gossip_leave/1, gossip_block/2, gossip_unblock/1]).
-export([gossip_views/1, gossip_members/1, gossip_member/2, gossip_stats/1, gossip_broadcast/3, gossip_send/3, gossip_ack/2]).
-export([hlc_now/0, hlc_update/2]).
-export([store_open/3, store_close/1, store_delete/1, store_put/4, store_restore/4, store_remove/2, store_prune/4]).
-export([store_pull/1, store_commit/2, store_stage/2, store_get/2, store_scan/2, store_info/1]).
-export([log_open/3, log_append/2, log_snapshot/2, log_close/1, log_delete/2]).

-nifs([identity_open/3, identity_info/1, identity_rotate/2, certificate_rotate/2,
       trust_list/1, trust_lookup/2, trust_put/4, trust_delete/2, trust_mode/1, set_trust_mode/2, cookie_only/2,
       endpoint_start/3, endpoint_stop/1, endpoint_info/1, hello_cookie/2, last_error/2, publish/3, unpublish/2,
       channel_connect/4, channel_accept/2, channel_send/2, channel_send_signals/2, channel_let_go/1, channel_take/1, channel_take_first/1,
       channel_tick/1, channel_stat/1, channel_close/2,
       channel_peer/1, channel_activity/1,
       gossip_start/3, gossip_stop/1, gossip_join/4, gossip_leave/1, gossip_block/2, gossip_unblock/1,
       gossip_views/1, gossip_members/1, gossip_member/2, gossip_stats/1, gossip_broadcast/3, gossip_send/3, gossip_ack/2,
       hlc_now/0, hlc_update/2,
       store_open/3, store_close/1, store_delete/1, store_put/4, store_restore/4, store_remove/2, store_prune/4,
       store_pull/1, store_commit/2, store_stage/2, store_get/2, store_scan/2, store_info/1,
       log_open/3, log_append/2, log_snapshot/2, log_close/1, log_delete/2]).

-export_type([identity/0, endpoint/0, channel/0, ticket/0, gossip/0, gossip_event/0, error/0]).
-export_type([store/0, store_entry/0, store_cursor/0, stamp/0, log/0]).

-type identity() :: reference().
-type endpoint() :: reference().
-type channel() :: reference().
-type ticket() :: reference().
-type gossip() :: reference().
-type gossip_event() ::
        {peer_up, Node :: binary()}
      | {peer_down, Node :: binary(), graceful | dropped | nodedown | connect_failed | blocked}
      | joined | left
      | {member_up, Node :: binary()}
      | {member_down, Node :: binary(), down | left}
      | {broadcast, Payload :: binary()}
      | {direct, From :: binary(), Payload :: binary()}.
-type store() :: reference().
-type stamp() :: {WallMs :: non_neg_integer(), Logical :: non_neg_integer()}.
%% Origin is the node that wrote the value, `undefined` for what is removed.
-type store_entry() :: {Key :: binary(), Value :: binary() | removed, Origin :: node() | undefined, stamp()}.
%% A place in a store's own order, which stays good while the store changes; `<<>>` is the beginning.
-type store_cursor() :: binary().
-type log() :: reference().
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
%% {barrel_p2p_writable}; its death ends the channel. Input gets {barrel_p2p_frames} when there is something to take, and again only after it
%% took nothing, and last {barrel_p2p_closed, Reason}.
-spec channel_connect(endpoint(), Input :: pid(), Request :: map(), TimeoutMs :: pos_integer()) -> {ok, channel()} | error().
channel_connect(_Endpoint, _Input, _Request, _TimeoutMs) -> erlang:nif_error(not_loaded).

%% Takes over an incoming channel: the caller becomes its controller.
-spec channel_accept(channel(), Input :: pid()) -> ok | closed.
channel_accept(_Channel, _Input) -> erlang:nif_error(not_loaded).

%% Queues a packet of the handshake.
-spec channel_send(channel(), Packet :: binary()) -> ok | busy | closed.
channel_send(_Channel, _Packet) -> erlang:nif_error(not_loaded).

%% Queues signals, each an iovec. `busy`: queued, but send no more before {barrel_p2p_writable}. `hold`: queued, but these local processes,
%% <0.Number.Serial>, have sent so much that they should send no more before {barrel_p2p_writable}.
-spec channel_send_signals(channel(), [erlang:iovec() | binary()]) ->
          ok | busy | closed | {hold, [{Number :: non_neg_integer(), Serial :: non_neg_integer()}]}.
channel_send_signals(_Channel, _Signals) -> erlang:nif_error(not_loaded).

%% Nobody is held any more. busy when nothing more is to be sent before {barrel_p2p_writable}.
-spec channel_let_go(channel()) -> ok | busy.
channel_let_go(_Channel) -> erlang:nif_error(not_loaded).

%% Takes what arrived: whole frames, (Length:32, Frame:Length/binary)*, in the order in which they are to be given to the emulator.
-spec channel_take(channel()) -> binary() | none.
channel_take(_Channel) -> erlang:nif_error(not_loaded).

%% The same for packets of the handshake, which come before all signals.
-spec channel_take_first(channel()) -> binary() | none.
channel_take_first(_Channel) -> erlang:nif_error(not_loaded).

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

%% Frames received and sent without ticks: what changes only when somebody uses the channel.
-spec channel_activity(channel()) -> {Received :: non_neg_integer(), Sent :: non_neg_integer()}.
channel_activity(_Channel) -> erlang:nif_error(not_loaded).

%% Starts membership and broadcast on a running endpoint that has a name. Events hears {barrel_p2p_gossip, Gossip, [gossip_event()]}, in order, and
%% as the last message {barrel_p2p_gossip_stopped, Gossip}. At most 1,000 events are on their way before gossip_ack/2 gives some back; what
%% waits meanwhile is kept for peers and members, and counted and dropped above 8 MiB for payloads. Ends with Events, with the endpoint, or
%% by gossip_stop/1.
%% Options: #{active_size, passive_size, arwl, prwl, shuffle_length, shuffle_period_ms, max_fail_count, base_backoff_ms,
%% pending_timeout_ms, passive_max_age_ms, member_heartbeat_ms, max_clock_skew_ms, replica_anti_entropy_ms (0: none), tombstone_max_age_ms :=
%% non_neg_integer()}; an absent key means its default.
%% Errors: {not_started, _} (endpoint stopped), {no_name, _} (dynamic name), {already_started, _}, {invalid_option, Key}.
-spec gossip_start(endpoint(), Events :: pid(), Options :: #{atom() => non_neg_integer()}) -> {ok, gossip()} | error().
gossip_start(_Endpoint, _Events, _Options) -> erlang:nif_error(not_loaded).

%% Ends it without a word to the neighbours (gossip_leave/1 first, to be remembered as left). Idempotent.
-spec gossip_stop(gossip()) -> ok.
gossip_stop(_Gossip) -> erlang:nif_error(not_loaded).

%% Joins through one contact: by name and addresses, by name alone when it is a member already, or by addresses alone with node => <<>>. The caller
%% hears {barrel_p2p_joined, Ref, ok | {error, Reason}} once: ok when a neighbour has accepted us (or the contact is one already); Reason as in
%% barrel_p2p_failed, or timeout, stopped, no_address, busy.
-spec gossip_join(gossip(), Target :: #{node := binary(), addresses := [{Host :: binary(), inet:port_number()}]}, Ref :: reference(),
                  TimeoutMs :: pos_integer()) -> ok.
gossip_join(_Gossip, _Target, _Ref, _TimeoutMs) -> erlang:nif_error(not_loaded).

%% Says goodbye to all neighbours; the event `left` follows. A later join comes back.
-spec gossip_leave(gossip()) -> ok | busy.
gossip_leave(_Gossip) -> erlang:nif_error(not_loaded).

%% Refuses these peers from now on, in place of those blocked before; current neighbours among them go down with reason blocked.
-spec gossip_block(gossip(), [Node :: binary()]) -> ok | busy.
gossip_block(_Gossip, _Nodes) -> erlang:nif_error(not_loaded).

-spec gossip_unblock(gossip()) -> ok | busy.
gossip_unblock(_Gossip) -> erlang:nif_error(not_loaded).

-spec gossip_views(gossip()) -> {Active :: [binary()], Passive :: [binary()]}.
gossip_views(_Gossip) -> erlang:nif_error(not_loaded).

%% Alive and suspect members, this node included, sorted.
-spec gossip_members(gossip()) -> [binary()].
gossip_members(_Gossip) -> erlang:nif_error(not_loaded).

-spec gossip_member(gossip(), Node :: binary()) ->
          none | #{state := alive | suspect | down | left, addresses := [{inet:ip_address(), inet:port_number()}],
                   incarnation := {StartedMs :: non_neg_integer(), Random :: non_neg_integer()}, remembers_since_ms := non_neg_integer(),
                   public_key := binary()}.
gossip_member(_Gossip, _Node) -> erlang:nif_error(not_loaded).

%% Metric names of this layer (binaries with dots) with counters and gauges.
-spec gossip_stats(gossip()) -> #{binary() => non_neg_integer()}.
gossip_stats(_Gossip) -> erlang:nif_error(not_loaded).

%% Id: 16 bytes that name the broadcast for good, or <<>> for a random one. `busy`: nothing was sent, try later.
-spec gossip_broadcast(gossip(), Id :: binary(), Payload :: iodata()) -> ok | duplicate | too_large | busy | stopped.
gossip_broadcast(_Gossip, _Id, _Payload) -> erlang:nif_error(not_loaded).

%% One message to one member. Lost when the member cannot be reached; `unknown`: no such member.
-spec gossip_send(gossip(), To :: binary(), Payload :: iodata()) -> ok | busy | unknown | too_large | stopped.
gossip_send(_Gossip, _To, _Payload) -> erlang:nif_error(not_loaded).

%% Gives back credit after the events process has handled that many events.
-spec gossip_ack(gossip(), Count :: non_neg_integer()) -> ok.
gossip_ack(_Gossip, _Count) -> erlang:nif_error(not_loaded).

%% The hybrid logical clock of this VM: strictly increasing.
-spec hlc_now() -> stamp().
hlc_now() -> erlang:nif_error(not_loaded).

%% Takes a remote stamp into account and answers a greater one.
-spec hlc_update(WallMs :: non_neg_integer(), Logical :: non_neg_integer()) ->
          {ok, stamp()} | {error, too_far_ahead}.
hlc_update(_WallMs, _Logical) -> erlang:nif_error(not_loaded).

%% Puts a store on the shelf of this VM, where gossip finds it, and makes Owner its only writer. With persist := Dir it is first read from, and from
%% then on logged to, files there. A store that is on the shelf already keeps its content (and time to live) and is handed to Owner; it is then
%% `closed` for the owner before. The death of the owner leaves it on the shelf for the next one; only if that one wants files elsewhere, or none,
%% it is closed first. Options: #{tombstone_ttl_ms := non_neg_integer(), persist := none | binary()}.
%% Owner hears {barrel_p2p_store, Store, Message}, where Message is
%%   staged           changes of others wait for store_pull/1; told once, and again after store_pull/1 has said `last`
%%   {synced, Seq}    what was answered with a number up to Seq is on the disk
%%   {failed, Reason} the disk refuses: what waits is not safe now. It is kept and tried again; {synced, _} tells when that worked
%% Errors: {invalid_name, _} (1 to 255 bytes of UTF-8), {already_open, _} (with files elsewhere, or none), and those of the files.
-spec store_open(Name :: binary(), Owner :: pid(), Options :: map()) -> {ok, store()} | error().
store_open(_Name, _Owner, _Options) -> erlang:nif_error(not_loaded).

%% Takes it off the shelf. A persistent one is on the disk when this returns. Idempotent.
-spec store_close(store()) -> ok.
store_close(_Store) -> erlang:nif_error(not_loaded).

%% Closes it and deletes its files.
-spec store_delete(store()) -> ok | error().
store_delete(_Store) -> erlang:nif_error(not_loaded).

%% Node is node(). Seq 0: there is no disk to wait for. `busy`: nothing was written, try again after the next {synced, _}.
-spec store_put(store(), Key :: binary(), Value :: binary(), Node :: node()) ->
          {ok, Seq :: non_neg_integer()} | {error, too_large | busy | closed}.
store_put(_Store, _Key, _Value, _Node) -> erlang:nif_error(not_loaded).

%% Like store_put/4, but with the stamp that follows the one of what is there.
-spec store_restore(store(), Key :: binary(), Value :: binary(), Node :: node()) ->
          {ok, Seq :: non_neg_integer()} | {error, too_large | busy | closed}.
store_restore(_Store, _Key, _Value, _Node) -> erlang:nif_error(not_loaded).

-spec store_remove(store(), Key :: binary()) -> {ok, Seq :: non_neg_integer()} | {error, too_large | busy | closed}.
store_remove(_Store, _Key) -> erlang:nif_error(not_loaded).

%% Removes what Node has written before that time, the same way on every node that does it, in a bounded part of the store. Keys are those removed.
-spec store_prune(store(), Node :: node(), BeforeMs :: non_neg_integer(), store_cursor()) ->
          {ok, Seq :: non_neg_integer(), [Key :: binary()], Next :: store_cursor() | done} | {error, busy | closed}.
store_prune(_Store, _Node, _BeforeMs, _Cursor) -> erlang:nif_error(not_loaded).

%% The next changes of others, at most 256 entries and about 64 KiB. The same again until store_commit/2. `more`: there are others behind them.
-spec store_pull(store()) -> {[store_entry()], more | last}.
store_pull(_Store) -> erlang:nif_error(not_loaded).

%% Merges what the last store_pull/1 gave, except for Rejected, which are not offered by anybody again.
-spec store_commit(store(), Rejected :: [Key :: binary()]) -> {ok, Seq :: non_neg_integer()} | {error, busy | closed}.
store_commit(_Store, _Rejected) -> erlang:nif_error(not_loaded).

%% Treats entries as if a peer had sent them. `busy`: not all had room; give them again after a commit. Stamps too far ahead, origins that are no
%% node names, and what is too large, are dropped and counted as rejected.
-spec store_stage(store(), [store_entry()]) -> ok | busy | closed.
store_stage(_Store, _Entries) -> erlang:nif_error(not_loaded).

-spec store_get(store(), Key :: binary()) -> store_entry() | none.
store_get(_Store, _Key) -> erlang:nif_error(not_loaded).

%% At most 256 entries and about 64 KiB from Cursor on.
-spec store_scan(store(), store_cursor()) -> {[store_entry()], Next :: store_cursor() | done}.
store_scan(_Store, _Cursor) -> erlang:nif_error(not_loaded).

%% #{name, values, tombstones, bytes, staged (boolean), persistent (boolean), open (boolean), ...}.
-spec store_info(store()) -> map().
store_info(_Store) -> erlang:nif_error(not_loaded).

%% Opens a log of opaque records, with what it recovered. Owner hears {barrel_p2p_log, Log, Message}: {synced, Seq} and
%% {failed, Reason} as with store_open/3, snapshot_due when log_snapshot/2 would make the files smaller, snapshot_done, {snapshot_failed, Reason}.
%% Its death closes the log. Errors: {invalid_name, _}, {in_use, _}, and those of the files.
-spec log_open(Dir :: binary(), Name :: binary(), Owner :: pid()) -> {ok, log(), [Record :: binary()]} | error().
log_open(_Dir, _Name, _Owner) -> erlang:nif_error(not_loaded).

%% Never waits for the disk. `busy`: nothing was taken, try again after the next {synced, _}.
-spec log_append(log(), Record :: iodata()) -> {ok, Seq :: pos_integer()} | {error, too_large | busy | closed}.
log_append(_Log, _Record) -> erlang:nif_error(not_loaded).

%% Replaces, in the background, everything before this call by these records. What is appended meanwhile stays.
-spec log_snapshot(log(), [Record :: binary()]) -> ok | {error, busy | closed}.
log_snapshot(_Log, _Records) -> erlang:nif_error(not_loaded).

%% Everything appended is on the disk when this returns. Idempotent.
-spec log_close(log()) -> ok.
log_close(_Log) -> erlang:nif_error(not_loaded).

%% Deletes the files of a log that is not open.
-spec log_delete(Dir :: binary(), Name :: binary()) -> ok | error().
log_delete(_Dir, _Name) -> erlang:nif_error(not_loaded).
