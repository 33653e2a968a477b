%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_plumtree).
-moduledoc """
Broadcast: one term to every subscriber on every node of the cluster.

Delivery is best effort and in no order, but for what one node broadcasts to itself. Every broadcast is delivered at most once per node; one that
a node missed is fetched from a neighbour as long as somebody keeps it, so what must not be lost belongs in a replicated store.
""".

-export([broadcast/2, broadcast/3, subscribe/1, unsubscribe/1, get_stats/0]).
-export([deliver/1]).

%% To everyone, this node included: subscribers get {plumtree_broadcast, {Tag, Payload}}. `too_large`: more than 1 MiB as external term.
%% `busy`: nothing was sent because too much waits to be sent; try later.
-spec broadcast(Tag :: term(), Payload :: term()) -> ok | {error, too_large | busy}.
broadcast(Tag, Payload) ->
    send(<<>>, Tag, Payload).

%% The same under a name: a second broadcast with the same name is dropped wherever the first one is still remembered.
-spec broadcast(Tag :: term(), Payload :: term(), Id :: binary()) -> ok | {error, too_large | busy}.
broadcast(Tag, Payload, <<_:16/binary>> = Id) ->
    send(Id, Tag, Payload);
broadcast(Tag, Payload, Id) when is_binary(Id) ->
    send(binary:part(crypto:hash(sha256, Id), 0, 16), Tag, Payload).

%% Pid gets the broadcasts of every tag until it dies. Idempotent.
-spec subscribe(pid()) -> ok.
subscribe(Pid) ->
    barrel_p2p_events:subscribe(broadcast, Pid).

-spec unsubscribe(pid()) -> ok.
unsubscribe(Pid) ->
    barrel_p2p_events:unsubscribe(broadcast, Pid).

%% Sizes of the tree as it is now and of what is kept, and how many messages of each kind were sent since the node joined.
-spec get_stats() -> #{eager_peers | lazy_peers | cached_messages | pending_ihaves | gossip_sent | gossip_received | ihave_sent | graft_sent
                       | prune_sent := non_neg_integer()}.
get_stats() ->
    Stats = barrel_p2p_gossip:stats(),
    maps:from_list([{Key, maps:get(<<"barrel_p2p.plumtree.", Name/binary>>, Stats, 0)}
                    || {Key, Name} <- [{eager_peers, <<"eager_peers">>}, {lazy_peers, <<"lazy_peers">>},
                                       {cached_messages, <<"cached_messages">>}, {pending_ihaves, <<"pending_ihaves">>},
                                       {gossip_sent, <<"gossip.sent">>}, {gossip_received, <<"gossip.received">>},
                                       {ihave_sent, <<"ihave.sent">>}, {graft_sent, <<"graft.sent">>}, {prune_sent, <<"prune.sent">>}]]).

%% What another node broadcast, for the subscribers here.
-spec deliver(binary()) -> ok | {error, malformed}.
deliver(Bytes) ->
    case barrel_p2p_payload:decode(Bytes) of
        {ok, {Tag, Payload}} -> publish(Tag, Payload);
        error -> {error, malformed}
    end.

-spec send(binary(), term(), term()) -> ok | {error, too_large | busy}.
send(Id, Tag, Payload) ->
    case barrel_p2p_gossip:handle() of
        {ok, Gossip} -> sent(barrel_p2p_nif:gossip_broadcast(Gossip, Id, barrel_p2p_payload:encode(Tag, Payload)), Tag, Payload);
        {error, not_distributed} -> publish(Tag, Payload)
    end.

-spec sent(ok | duplicate | too_large | busy | stopped, term(), term()) -> ok | {error, too_large | busy}.
sent(ok, Tag, Payload) -> publish(Tag, Payload);
sent(stopped, Tag, Payload) -> publish(Tag, Payload);
sent(duplicate, _Tag, _Payload) -> ok;
sent(Error, _Tag, _Payload) -> {error, Error}.

-spec publish(term(), term()) -> ok.
publish(Tag, Payload) ->
    Message = {plumtree_broadcast, {Tag, Payload}},
    ok = barrel_p2p_events:publish(broadcast, Message),
    barrel_p2p_events:publish({broadcast, Tag}, Message).
