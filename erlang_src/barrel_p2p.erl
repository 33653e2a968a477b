%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p).
-moduledoc """
The front door: membership of a cluster, and what an operator asks a running node.

A node is member of a cluster as soon as another one has let it in. It keeps a few neighbours, the active view, to gossip with; that view is
neither the cluster (`members/0`) nor the nodes with an open dist channel (`nodes/0`): a message to any member opens a channel by itself.

On a node without distribution the functions work as for a cluster of one.
""".

-export([join/1, join/2, leave/0, active_view/0, passive_view/0, members/0]).
-export([subscribe/0, subscribe/1, unsubscribe/0, unsubscribe/1]).
-export([info/0, last_error/1]).
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
