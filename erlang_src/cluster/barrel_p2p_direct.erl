%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_direct).
-moduledoc """
One term to one member, over gossip: no dist channel is opened for it.

Meant for the services of this library. Delivery is best effort: what a member that cannot be reached should have got is lost. Two messages to
one member may overtake each other only when the link between them was lost in between.
""".

-export([send/3, subscribe/2, unsubscribe/2]).
-export([deliver/2]).

%% Subscribers of Tag on Node get {barrel_p2p_direct, From, Tag, Payload}. `unknown`: no member of that name.
-spec send(node(), Tag :: term(), Payload :: term()) -> ok | {error, busy | too_large | unknown}.
send(Node, Tag, Payload) when Node =:= node() ->
    publish(node(), Tag, Payload);
send(Node, Tag, Payload) ->
    case barrel_p2p_gossip:handle() of
        {ok, Gossip} -> sent(barrel_p2p_nif:gossip_send(Gossip, atom_to_binary(Node), barrel_p2p_payload:encode(Tag, Payload)));
        {error, not_distributed} -> {error, unknown}
    end.

-spec subscribe(Tag :: term(), pid()) -> ok.
subscribe(Tag, Pid) ->
    barrel_p2p_events:subscribe({direct, Tag}, Pid).

-spec unsubscribe(Tag :: term(), pid()) -> ok.
unsubscribe(Tag, Pid) ->
    barrel_p2p_events:unsubscribe({direct, Tag}, Pid).

%% What another node sent, for the subscribers here.
-spec deliver(From :: node(), binary()) -> ok | {error, malformed}.
deliver(From, Bytes) ->
    case barrel_p2p_payload:decode(Bytes) of
        {ok, {Tag, Payload}} -> publish(From, Tag, Payload);
        error -> {error, malformed}
    end.

-spec sent(ok | busy | unknown | too_large | stopped) -> ok | {error, busy | too_large | unknown}.
sent(ok) -> ok;
sent(stopped) -> {error, unknown};
sent(Error) -> {error, Error}.

-spec publish(node(), term(), term()) -> ok.
publish(From, Tag, Payload) ->
    barrel_p2p_events:publish({direct, Tag}, {barrel_p2p_direct, From, Tag, Payload}).
