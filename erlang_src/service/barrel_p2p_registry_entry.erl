%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_entry).
-moduledoc """
A registration as the replicated store has it: encoding, and what is accepted from other nodes.

The key is `{Name, Node}`. The value carries the life of the node, the incarnation that its peers proved when they linked to it: what an earlier life
has registered ended with it, whatever name and pid it has.
""".

-export([key/2, value/2, parse/3]).
-export_type([life/0, life_of/0]).

-include("barrel_p2p.hrl").

%% Lives of one node are in order.
-type life() :: {StartedMs :: non_neg_integer(), Random :: non_neg_integer()}.
%% unknown: whoever wrote it did not say, so it is as good as the node itself.
-type life_of() :: life() | unknown.

-spec key(Name :: term(), node()) -> binary().
key(Name, Node) ->
    barrel_p2p_store:key({Name, Node}).

-spec value(#service_entry{}, life_of()) -> binary().
value(#service_entry{pid = Pid, meta = Meta}, Life) ->
    barrel_p2p_store:value({Pid, Meta, Life}).

%% Only the node itself may say what it has. The pid may be one of another node, as for any registration.
-spec parse(Key :: term(), Value :: term(), Origin :: node()) -> {ok, #service_entry{}, life_of()} | malformed.
parse({Name, Node}, {Pid, Meta, Life}, Node) when is_atom(Node), is_pid(Pid), is_map(Meta) ->
    case is_life(Life) of
        true -> {ok, #service_entry{name = Name, pid = Pid, node = Node, meta = Meta}, Life};
        false -> malformed
    end;
parse(_Key, _Value, _Origin) ->
    malformed.

-spec is_life(term()) -> boolean().
is_life({Started, Random}) -> is_integer(Started) andalso Started >= 0 andalso is_integer(Random) andalso Random >= 0;
is_life(Life) -> Life =:= unknown.
