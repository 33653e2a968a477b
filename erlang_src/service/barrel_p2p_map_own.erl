%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_own).
-moduledoc """
What this node has written to a map and others have removed only because they took it for gone.

With `prune_on_peer_down` a node that was away for very long, or has started anew, is taken to have lost what it wrote in an earlier life. If it has
it still, in the memory of this VM or on its disk, it puts it back. Such a removal has the stamp that follows the one of the value, and no other
removal of a value from an earlier life can have that. What is put back has the stamp after that: what others have written since the value was
written stands, whether they knew of the removal or not.
""".

-export([held/4, taken/2]).
-export_type([held/0]).

%% Own values that a removal is about to beat, with their stamps.
-type held() :: [{KeyBytes :: binary(), barrel_p2p_store:stamp()}].

%% To be asked before the changes are merged.
-spec held([barrel_p2p_store:change()], ets:table(), barrel_p2p_store:store(), Persists :: boolean()) -> held().
held(Changes, Table, Store, Persists) ->
    case [KeyBytes || {KeyBytes, Key, removed} <- Changes, barrel_p2p_map_table:is_own(Table, Key)] of
        [] -> [];
        Keys -> of_earlier_lives(Keys, Store, Persists, barrel_p2p_native:endpoint_info())
    end.

%% To be asked afterwards: those that are to be put back.
-spec taken(held(), barrel_p2p_store:store()) -> [KeyBytes :: binary()].
taken(Held, Store) ->
    [KeyBytes || {KeyBytes, Stamp} <- Held, barrel_p2p_store:stamp(Store, KeyBytes) =:= {ok, barrel_p2p_store:next_stamp(Stamp)}].

-spec of_earlier_lives([binary()], barrel_p2p_store:store(), boolean(), {ok, map()} | {error, not_started}) -> held().
of_earlier_lives(Keys, Store, Persists, {ok, #{incarnation := {StartedMs, _}}}) ->
    From = case Persists of true -> 0; false -> started_ms() end,
    [{KeyBytes, Stamp} || KeyBytes <- Keys, {ok, {Wall, _} = Stamp} <- [barrel_p2p_store:stamp(Store, KeyBytes)], Wall >= From, Wall < StartedMs];
of_earlier_lives(_Keys, _Store, _Persists, _Undistributed) ->
    [].

%% When this VM did. What others give back of what an earlier one wrote is no value that this one has.
-spec started_ms() -> integer().
started_ms() ->
    erlang:convert_time_unit(erlang:system_info(start_time) + erlang:time_offset(), native, millisecond).
