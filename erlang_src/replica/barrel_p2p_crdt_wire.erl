%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_crdt_wire).
-moduledoc """
The gate for `barrel_p2p_ormap` entries that come from other nodes: any term may be given to any function here, and only what is an entry in
every detail gets through.

Whether a value means something to the application is for the leaf function to say: what it does not answer `true` for is rejected, an exception
included.
""".

-export([valid_entry/1, valid_entry/2, accept/2, ingest/3]).
-export_type([leaf/0]).

-type leaf() :: fun((Value :: term()) -> boolean()).

%% What a timestamp can be in the native stores and on the wire: one integer of 64 bits, 44 for the time, 20 for the order within a millisecond.
-define(MAX_WALL_MS, 16#fffffffffff).
-define(MAX_LOGICAL, 16#fffff).

-spec valid_entry(term()) -> boolean().
valid_entry(Entry) ->
    valid_entry(Entry, fun(_) -> true end).

%% A value with at least one dot, nothing but dots, and a leaf function that agrees; or a tombstone.
-spec valid_entry(term(), leaf()) -> boolean().
valid_entry({value, Value, Dots}, Leaf) when map_size(Dots) > 0 ->
    lists:all(fun is_dot/1, maps:to_list(Dots)) andalso is_leaf(Value, Leaf);
valid_entry({tombstone, Stamp}, _Leaf) ->
    is_timestamp(Stamp);
valid_entry(_, _Leaf) ->
    false.

%% The valid entries of the payload, each with its winning dot; none of something that is no map.
-spec accept(term(), leaf()) -> barrel_p2p_ormap:ormap().
accept(Payload, Leaf) when is_map(Payload) ->
    maps:from_list([{Key, barrel_p2p_ormap:single(Entry)} || {Key, Entry} <- maps:to_list(Payload), valid_entry(Entry, Leaf)]);
accept(_, _Leaf) ->
    #{}.

%% Takes what is valid, and not too far in the future to be believed, into the local map, and brings the clock past it. Accepted is what was
%% taken, whether or not it won.
-spec ingest(barrel_p2p_ormap:ormap(), term(), leaf()) -> {Merged :: barrel_p2p_ormap:ormap(), Accepted :: barrel_p2p_ormap:ormap()}.
ingest(Local, Incoming, Leaf) ->
    Accepted = maps:filter(fun(_Key, Entry) -> is_believed(Entry) end, accept(Incoming, Leaf)),
    {barrel_p2p_ormap:merge(Local, Accepted), Accepted}.

-spec is_believed(barrel_p2p_ormap:entry()) -> boolean().
is_believed(Entry) ->
    barrel_p2p_hlc:update(barrel_p2p_ormap:stamp(Entry)) =/= {error, too_far_ahead}.

-spec is_dot({term(), term()}) -> boolean().
is_dot({{Node, Stamp}, true}) when is_atom(Node) -> is_timestamp(Stamp);
is_dot(_) -> false.

-spec is_timestamp(term()) -> boolean().
is_timestamp({timestamp, Wall, Logical}) ->
    is_integer(Wall) andalso Wall >= 0 andalso Wall =< ?MAX_WALL_MS
        andalso is_integer(Logical) andalso Logical >= 0 andalso Logical =< ?MAX_LOGICAL;
is_timestamp(_) ->
    false.

-spec is_leaf(term(), leaf()) -> boolean().
is_leaf(Value, Leaf) ->
    try Leaf(Value) of
        Answer -> Answer =:= true
    catch
        _:_ -> false
    end.
