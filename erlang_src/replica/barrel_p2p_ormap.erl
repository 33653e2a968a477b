%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_ormap).
-moduledoc """
A map that nodes can change independently and merge: the last write of each key wins.

An entry is a value with the one dot that wrote it, node and timestamp, or a tombstone with its timestamp, so its size does not depend on its
history. Of two entries for one key the later timestamp wins; at the same timestamp a value wins over a tombstone, then the greater node name,
then the greater bytes of the value. That order is total and the same as in the native stores: merging is commutative, associative and idempotent.

Dots come from the clock of the node, `barrel_p2p_hlc`. Old versions kept several dots in one entry, of which the greatest counts;
`barrel_p2p_crdt_wire` brings those into the form with one.
""".

-export([new/0, add/3, remove/2, get/2, keys/1, to_list/1, merge/2, is_empty/1, get_entry/2, absorb_clock/1, gc_tombstones/2]).
-export([single/1, stamp/1]).
-export_type([ormap/0, entry/0, timestamp/0]).

-type timestamp() :: barrel_p2p_hlc:timestamp().
-type dots() :: #{{node(), timestamp()} => true}.
-type entry() :: {value, term(), dots()} | {tombstone, timestamp()}.
-type ormap() :: #{term() => entry()}.

%% As many stamps has one millisecond; the next one belongs to the next millisecond.
-define(STAMPS_PER_MS, 16#100000).

-spec new() -> #{}.
new() ->
    #{}.

%% Writes a value. It wins over what the map holds for the key, whatever clock that came from.
-spec add(Key :: term(), Value :: term(), ormap()) -> ormap().
add(Key, Value, Map) ->
    Map#{Key => {value, Value, #{{node(), later_than(Key, Map)} => true}}}.

%% Writes a tombstone, also for a key that the map does not have: others may have it.
-spec remove(Key :: term(), ormap()) -> ormap().
remove(Key, Map) ->
    Map#{Key => {tombstone, later_than(Key, Map)}}.

-spec get(Key :: term(), ormap()) -> {ok, Value :: term()} | not_found.
get(Key, Map) ->
    case Map of
        #{Key := {value, Value, _}} -> {ok, Value};
        #{} -> not_found
    end.

%% Keys that have a value.
-spec keys(ormap()) -> [term()].
keys(Map) ->
    [Key || {Key, _} <- to_list(Map)].

-spec to_list(ormap()) -> [{Key :: term(), Value :: term()}].
to_list(Map) ->
    [{Key, Value} || {Key, {value, Value, _}} <- maps:to_list(Map)].

%% What both know together. The time it takes follows the smaller map.
-spec merge(ormap(), ormap()) -> ormap().
merge(A, B) when map_size(A) < map_size(B) ->
    maps:fold(fun absorb/3, B, A);
merge(A, B) ->
    maps:fold(fun absorb/3, A, B).

%% Without any value; there may be tombstones.
-spec is_empty(ormap()) -> boolean().
is_empty(Map) ->
    to_list(Map) =:= [].

-spec get_entry(Key :: term(), ormap()) -> {ok, entry()} | not_found.
get_entry(Key, Map) ->
    case Map of
        #{Key := Entry} -> {ok, Entry};
        #{} -> not_found
    end.

%% Brings the clock past everything in the map, except for timestamps that are too far ahead to be believed.
-spec absorb_clock(ormap()) -> ok.
absorb_clock(Map) ->
    lists:foreach(fun(Entry) -> barrel_p2p_hlc:update(stamp(Entry)) end, maps:values(Map)).

%% Without the tombstones that are older than a wall time in milliseconds. A node that comes back after longer than that with the removed key
%% brings the key back.
-spec gc_tombstones(ormap(), CutoffMs :: integer()) -> ormap().
gc_tombstones(Map, CutoffMs) ->
    maps:filter(fun(_Key, {tombstone, {timestamp, Wall, _}}) -> Wall >= CutoffMs;
                   (_Key, {value, _, _}) -> true
                end, Map).

%% With the winning dot only.
-spec single(entry()) -> entry().
single({value, Value, Dots}) when map_size(Dots) > 1 -> {value, Value, #{winning(Dots) => true}};
single(Entry) -> Entry.

%% When the entry was written.
-spec stamp(entry()) -> timestamp().
stamp({value, _, Dots}) -> element(2, winning(Dots));
stamp({tombstone, Stamp}) -> Stamp.

-spec later_than(term(), ormap()) -> timestamp().
later_than(Key, Map) ->
    Now = barrel_p2p_hlc:now(),
    case Map of
        #{Key := Entry} -> max(Now, successor(stamp(Entry)));
        #{} -> Now
    end.

-spec successor(timestamp()) -> timestamp().
successor({timestamp, Wall, Logical}) when Logical + 1 >= ?STAMPS_PER_MS -> {timestamp, Wall + 1, 0};
successor({timestamp, Wall, Logical}) -> {timestamp, Wall, Logical + 1}.

-spec absorb(term(), entry(), ormap()) -> ormap().
absorb(Key, Entry, Map) ->
    case Map of
        #{Key := Known} -> Map#{Key := winner(Known, Entry)};
        #{} -> Map#{Key => Entry}
    end.

-spec winner(entry(), entry()) -> entry().
winner(A, A) ->
    A;
winner(A, B) ->
    case {rank(A), rank(B)} of
        {Rank, Rank} -> greater_value(A, B);
        {RankA, RankB} when RankA > RankB -> A;
        _ -> B
    end.

%% What decides between entries, all but the bytes of the value.
-spec rank(entry()) -> {timestamp(), 0 | 1, atom()}.
rank({tombstone, Stamp}) ->
    {Stamp, 0, ''};
rank({value, _, Dots}) ->
    {Node, Stamp} = winning(Dots),
    {Stamp, 1, Node}.

%% One dot and two values: somebody lies, and everybody still comes to the same.
-spec greater_value(entry(), entry()) -> entry().
greater_value({value, ValueA, _} = A, {value, ValueB, _} = B) ->
    case barrel_p2p_store:value(ValueA) >= barrel_p2p_store:value(ValueB) of
        true -> A;
        false -> B
    end;
greater_value(A, _) ->
    A.

-spec winning(dots()) -> {node(), timestamp()}.
winning(Dots) ->
    {Stamp, Node} = lists:max([{Stamp, Node} || {Node, Stamp} <- maps:keys(Dots)]),
    {Node, Stamp}.
