%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p).
-moduledoc """
The front door: membership of a cluster, named services, replicated maps, and what an operator asks a running node.

A node is member of a cluster as soon as another one has let it in. It keeps a few neighbours, the active view, to gossip with; that view is
neither the cluster (`members/0`) nor the nodes with an open dist channel (`nodes/0`): a message to any member opens a channel by itself.

On a node without distribution the functions work as for a cluster of one.
""".

-export([join/1, join/2, leave/0, active_view/0, passive_view/0, members/0]).
-export([subscribe/0, subscribe/1, unsubscribe/0, unsubscribe/1]).
-export([register_service/1, register_service/2, register_service/3, unregister_service/1]).
-export([lookup/1, lookup_local/1, list_services/0, whereis_service/1, whereis_service/2]).
-export([subscribe_services/0, subscribe_services/1, unsubscribe_services/1]).
-export([register_name/2, unregister_name/1, whereis_name/1, send/2]).
-export([global_register/1, get_proxy/1, start_service_holder/1, stop_service_holder/1]).
-export([new_map/1, new_map/2, delete_map/1, map_put/3, map_remove/2, map_get/2, map_keys/1, map_to_list/1]).
-export([subscribe_map/1, subscribe_map/2, unsubscribe_map/1, unsubscribe_map/2]).
-export([info/0, last_error/1]).
-include("barrel_p2p.hrl").

-export_type([info/0, link_info/0, event/0]).

%% Subscribers get {barrel_p2p_event, event()}. `joined`: this node has a neighbour and had none. `left`: it called leave/0.
%% Why a neighbour is one no more: `graceful` one of the two said goodbye, `dropped` this node made room for another, `nodedown` it is not there
%% any more, `connect_failed` it could not be reached, `blocked` by a test.
-type event() :: {peer_up, node()} | {peer_down, node(), graceful | dropped | nodedown | connect_failed | blocked} | joined | left.

-type link_info() :: #{peer := binary(), fingerprint := binary(), address := {inet:ip_address(), inet:port_number()},
                       role := dialled | accepted, atom() => term()}.
-type info() :: #{node := node(), port := inet:port_number() | undefined, fingerprint := binary() | undefined,
                  auth_enabled := boolean(), trust_mode := tofu | strict | undefined, links := [link_info()]}.

%% Joins the cluster of a node that discovery knows, of a node at an address, or of whoever answers at an address, {Host, Port}. Returns at
%% once; {peer_up, Node} tells when it went well, the log when not.
-spec join(barrel_p2p_join:target()) -> ok | {error, cannot_join_self | not_distributed}.
join(Target) ->
    barrel_p2p_membership:join(Target).

%% The same, but waits until a neighbour has let this node in, or says why none did: cannot_join_self, not_distributed, timeout, no_address, or the
%% reason why the dial failed. Also ok when the node is a neighbour already.
-spec join(barrel_p2p_join:target(), #{timeout := pos_integer()}) -> ok | {error, barrel_p2p_join:reason()}.
join(Target, #{timeout := Milliseconds}) ->
    barrel_p2p_membership:join(Target, Milliseconds).

%% Leaves the cluster: says goodbye to the neighbours, and every member forgets this node. Dist channels stay open. The node stays alone, whatever
%% contacts are configured, until it joins again.
-spec leave() -> ok.
leave() ->
    barrel_p2p_membership:leave().

%% The neighbours of this node: those it gossips with.
-spec active_view() -> [node()].
active_view() ->
    barrel_p2p_gossip:active_view().

%% Nodes in reserve, to replace a neighbour that is lost.
-spec passive_view() -> [node()].
passive_view() ->
    barrel_p2p_gossip:passive_view().

%% Every node of the cluster that is not known to be gone, this one included, sorted.
-spec members() -> [node(), ...].
members() ->
    barrel_p2p_gossip:members().

-spec subscribe() -> ok.
subscribe() ->
    subscribe(self()).

%% Pid gets {barrel_p2p_event, event()} until it dies or is unsubscribed. Idempotent.
-spec subscribe(pid()) -> ok.
subscribe(Pid) ->
    barrel_p2p_events:subscribe(view, Pid).

-spec unsubscribe() -> ok.
unsubscribe() ->
    unsubscribe(self()).

-spec unsubscribe(pid()) -> ok.
unsubscribe(Pid) ->
    barrel_p2p_events:unsubscribe(view, Pid).

%% Services. Any term is a name, 1 and 1.0 are two.

%% Registers the caller.
-spec register_service(Name :: term()) -> ok | {error, already_registered | too_large}.
register_service(Name) ->
    register_service(Name, #{}).

-spec register_service(Name :: term(), Meta :: map()) -> ok | {error, already_registered | too_large}.
register_service(Name, Meta) ->
    barrel_p2p_registry:register_service(Name, Meta).

%% A name may be registered once per node, and on as many nodes as there are. The registration ends with unregister_service/1, with the process,
%% and with this node. Meta comes along with lookup/1; keep it small, every node has a copy.
-spec register_service(Name :: term(), pid(), Meta :: map()) -> ok | {error, already_registered | too_large}.
register_service(Name, Pid, Meta) ->
    barrel_p2p_registry:register_service(Name, Pid, Meta).

%% Ends the registration of this node, whoever calls; ok if there is none.
-spec unregister_service(Name :: term()) -> ok.
unregister_service(Name) ->
    barrel_p2p_registry:unregister_service(Name).

%% All registrations of the name in the cluster, that of this node first.
-spec lookup(Name :: term()) -> {ok, [#service_entry{}, ...]} | {error, not_found}.
lookup(Name) ->
    barrel_p2p_registry:lookup(Name).

%% The registration of this node.
-spec lookup_local(Name :: term()) -> {ok, pid()} | {error, not_found}.
lookup_local(Name) ->
    barrel_p2p_registry:lookup_local(Name).

%% The names that are registered anywhere, sorted, each once.
-spec list_services() -> [Name :: term()].
list_services() ->
    barrel_p2p_registry:list_services().

%% One process for the name: {ok, Pid} for that of this node if there is one, otherwise {ok, Node, Pid}. A name that is known is found at once. For
%% one that is not the caller waits and looks again, three times, and asks neighbours: up to 2.6 seconds.
-spec whereis_service(Name :: term()) -> {ok, pid()} | {ok, node(), pid()} | {error, not_found}.
whereis_service(Name) ->
    barrel_p2p_registry:whereis_service(Name).

%% The same with another number of retries; with none it answers at once.
-spec whereis_service(Name :: term(), #{retries => non_neg_integer()}) -> {ok, pid()} | {ok, node(), pid()} | {error, not_found}.
whereis_service(Name, Options) ->
    barrel_p2p_registry:whereis_service(Name, Options).

-spec subscribe_services() -> ok.
subscribe_services() ->
    subscribe_services(self()).

%% Pid gets {barrel_p2p_service_event, barrel_p2p_service_events:event()} until it dies or is unsubscribed. Idempotent. For the events of some
%% names only there is barrel_p2p_service_events:subscribe/2, of which this one takes the place.
-spec subscribe_services(pid()) -> ok.
subscribe_services(Pid) ->
    barrel_p2p_service_events:subscribe(Pid).

-spec unsubscribe_services(pid()) -> ok.
unsubscribe_services(Pid) ->
    barrel_p2p_service_events:unsubscribe(Pid).

%% Callbacks for {via, barrel_p2p, Name}. Names are unique per node, not in the cluster.

-spec register_name(Name :: term(), pid()) -> yes | no.
register_name(Name, Pid) ->
    case register_service(Name, Pid, #{}) of
        ok -> yes;
        {error, _} -> no
    end.

-spec unregister_name(Name :: term()) -> ok.
unregister_name(Name) ->
    unregister_service(Name).

%% From what is known on this node, at once.
-spec whereis_name(Name :: term()) -> pid() | undefined.
whereis_name(Name) ->
    barrel_p2p_registry:whereis_name(Name).

%% Raises {badarg, {Name, Message}} if nobody has that name.
-spec send(Name :: term(), Message :: term()) -> pid().
send(Name, Message) ->
    case whereis_name(Name) of
        undefined -> error({badarg, {Name, Message}});
        Pid -> Pid ! Message, Pid
    end.

%% Registers a service of any node as global name of this one, by a proxy if it runs elsewhere.
-spec global_register(Name :: term()) -> {ok, pid()} | {error, already_registered | not_found}.
global_register(Name) ->
    barrel_p2p_global:register(Name).

%% The proxy of this node for the service, if there is one.
-spec get_proxy(Name :: term()) -> {ok, pid()} | not_found.
get_proxy(Name) ->
    barrel_p2p_registry:get_proxy(Name).

%% For tests: a process that does nothing but hold a registration, until it is stopped.
-spec start_service_holder(Name :: term()) -> {ok, pid()} | {error, term()}.
start_service_holder(Name) ->
    barrel_p2p_service_holder:start(Name).

-spec stop_service_holder(pid()) -> ok.
stop_service_holder(Pid) ->
    barrel_p2p_service_holder:stop(Pid).

%% Replicated maps, see barrel_p2p_map.

-spec new_map(Name :: atom()) -> {ok, pid()} | {error, term()}.
new_map(Name) ->
    barrel_p2p_map:new(Name).

%% Opens a map on this node; the other nodes that should have it open it too. Idempotent: one that is open stays as it is. Options: `validator`, a
%% fun or {Module, Function} that answers true for good values; `tombstone_ttl_ms`, how long a removed key is remembered at least; `persist`;
%% `prune_on_peer_down`, whether values of nodes that are gone are hidden; `scan_ms`, how often those are looked for.
-spec new_map(Name :: atom(), barrel_p2p_map:opts()) -> {ok, pid()} | {error, term()}.
new_map(Name, Options) ->
    barrel_p2p_map:new(Name, Options).

%% Ends the map on this node and deletes its files; other nodes keep theirs.
-spec delete_map(Name :: atom()) -> ok | {error, atom() | {atom(), binary()}}.
delete_map(Name) ->
    barrel_p2p_map:delete_map(Name).

%% In a persistent map, ok means that the write is on the disk; the reason of the disk means that nobody knows yet.
-spec map_put(Name :: atom(), Key :: term(), Value :: term()) -> ok | {error, invalid_value} | barrel_p2p_map:refusal().
map_put(Name, Key, Value) ->
    barrel_p2p_map:put(Name, Key, Value).

-spec map_remove(Name :: atom(), Key :: term()) -> ok | barrel_p2p_map:refusal().
map_remove(Name, Key) ->
    barrel_p2p_map:remove(Name, Key).

%% Reads run in the caller; a map that is not open is empty.
-spec map_get(Name :: atom(), Key :: term()) -> {ok, Value :: term()} | not_found.
map_get(Name, Key) ->
    barrel_p2p_map:get(Name, Key).

-spec map_keys(Name :: atom()) -> [term()].
map_keys(Name) ->
    barrel_p2p_map:keys(Name).

-spec map_to_list(Name :: atom()) -> [{Key :: term(), Value :: term()}].
map_to_list(Name) ->
    barrel_p2p_map:to_list(Name).

-spec subscribe_map(Name :: atom()) -> ok | {error, no_such_map}.
subscribe_map(Name) ->
    barrel_p2p_map:subscribe(Name).

%% Pid gets {barrel_p2p_map, Name, {put, Key, Value} | {remove, Key}} for every local write, and for changes of others that a reader can see.
-spec subscribe_map(Name :: atom(), pid()) -> ok | {error, no_such_map}.
subscribe_map(Name, Pid) ->
    barrel_p2p_map:subscribe(Name, Pid).

-spec unsubscribe_map(Name :: atom()) -> ok | {error, no_such_map}.
unsubscribe_map(Name) ->
    barrel_p2p_map:unsubscribe(Name).

-spec unsubscribe_map(Name :: atom(), pid()) -> ok | {error, no_such_map}.
unsubscribe_map(Name, Pid) ->
    barrel_p2p_map:unsubscribe(Name, Pid).

%% What this node is and whom it is linked to; a link also tells rtt_us, up_for_ms and byte counts. Fingerprints are lower-case hexadecimal.
%% `undefined` stands for what is not there: the port without distribution, fingerprint and mode when the identity cannot be opened.
-spec info() -> info().
info() ->
    {Port, Links} = endpoint(),
    {Fingerprint, TrustMode} = identity(),
    #{node => node(), port => Port, fingerprint => Fingerprint, trust_mode => TrustMode,
      auth_enabled => barrel_p2p_config:get(auth_enabled), links => Links}.

%% Why the last dial of the node, or its last attempt to connect to us, failed, and how many milliseconds ago; none if it went well.
%% `net_kernel:connect_node/1` only says false; this is the reason, and `barrel_p2p_native:format_error/1` puts it in words.
-spec last_error(node() | binary()) -> none | {Reason :: atom(), AgoMs :: non_neg_integer()}.
last_error(Node) when is_atom(Node) -> barrel_p2p_native:last_error(atom_to_binary(Node));
last_error(Node) when is_binary(Node) -> barrel_p2p_native:last_error(Node).

-spec endpoint() -> {inet:port_number() | undefined, [link_info()]}.
endpoint() ->
    case barrel_p2p_native:endpoint_info() of
        {ok, #{port := Port, links := Links}} -> {Port, [link_info(Link) || Link <- Links]};
        {error, not_started} -> {undefined, []}
    end.

-spec link_info(map()) -> link_info().
link_info(#{node := Peer, fingerprint := Fingerprint} = Link) ->
    (maps:without([node, public_key], Link))#{peer => Peer, fingerprint => barrel_p2p_log:fingerprint(Fingerprint)}.

-spec identity() -> {Fingerprint :: binary() | undefined, tofu | strict | undefined}.
identity() ->
    case barrel_p2p_dist_auth:get_public_key() of
        {ok, Key} -> {barrel_p2p_log:fingerprint(barrel_p2p_dist_keys:fingerprint(Key)), barrel_p2p_dist_keys:get_trust_mode()};
        {error, _} -> {undefined, undefined}
    end.
