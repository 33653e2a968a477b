%% SPDX-License-Identifier: Apache-2.0
-module(ormap_histories).
-moduledoc """
Generated OR-maps and histories, from few keys, times, nodes and values, so that everything collides with everything. The times are recent: a
native store does not take a tombstone that is past its time to live.
""".

-export([seed/0, any_map/0, play/2]).

-define(KEYS, [1, 1.0, a, <<"a">>, "a", {a, 1}, [], #{a => 1}]).
-define(VALUES, [0, 1, 1.0, a, <<"a">>, {a, [1, 2]}, #{1 => 2, 1.0 => 3}]).
-define(NODES, ['a@h', 'b@h', 'ab@h']).

%% Seeds the random numbers of this process and sets its time.
-spec seed() -> integer().
seed() ->
    Seed = case os:getenv("BARREL_P2P_SEED") of
               false -> erlang:phash2({os:getpid(), erlang:system_time()});
               Text -> list_to_integer(Text)
           end,
    _ = rand:seed(exsss, Seed),
    _ = put(?MODULE, erlang:system_time(millisecond)),
    Seed.

%% Up to eight keys, as somebody might send them.
-spec any_map() -> barrel_p2p_ormap:ormap().
any_map() ->
    maps:from_list([{one_of(?KEYS), any_entry()} || _ <- lists:seq(1, rand:uniform(9) - 1)]).

any_entry() ->
    Stamp = {timestamp, get(?MODULE) - rand:uniform(3), rand:uniform(2) - 1},
    case rand:uniform(3) of
        1 -> {tombstone, Stamp};
        _ -> {value, one_of(?VALUES), #{{one_of(?NODES), Stamp} => true}}
    end.

%% So many replicas after so many random writes and merges.
-spec play(pos_integer(), non_neg_integer()) -> [barrel_p2p_ormap:ormap()].
play(Replicas, Steps) ->
    tuple_to_list(lists:foldl(fun(_, All) -> step(All) end, erlang:make_tuple(Replicas, barrel_p2p_ormap:new()), lists:seq(1, Steps))).

step(All) ->
    Which = rand:uniform(tuple_size(All)),
    Map = element(Which, All),
    Next = case rand:uniform(4) of
               1 -> barrel_p2p_ormap:add(one_of(?KEYS), one_of(?VALUES), Map);
               2 -> barrel_p2p_ormap:remove(one_of(?KEYS), Map);
               3 -> barrel_p2p_ormap:merge(Map, element(rand:uniform(tuple_size(All)), All));
               4 -> barrel_p2p_ormap:merge(Map, any_map())
           end,
    setelement(Which, All, Next).

one_of(List) ->
    lists:nth(rand:uniform(length(List)), List).
