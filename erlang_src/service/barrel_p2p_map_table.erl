%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_table).
-moduledoc """
The tables that reads of maps look into: one that knows the maps of this node, and one with the content of each.

A read is two lookups in the process that reads. The table of a map belongs to its supervisor and is written by its owner only, so it can be read
while the owner starts again. Writing tells whether something changed for a reader.
""".

-export([new_index/0, new/3, forget/1, maps/0, map/1, is_alive/1, get/2, keys/1, to_list/1]).
-export([set/3, put/4, take/2, is_own/2, own/2, of_origin/2]).
-export_type([map_row/0, continuation/0]).

-define(INDEX, barrel_p2p_maps).
%% Rows looked at in one step of a walk.
-define(STEP, 1_000).

%% Where the content is, and what a writer has to know.
-type map_row() :: {Name :: atom(), ets:table(), Owner :: atom(), barrel_p2p_map_options:options()}.
-type continuation() :: term().

%% The caller becomes the owner of the index.
-spec new_index() -> ok.
new_index() ->
    ?INDEX = ets:new(?INDEX, [public, named_table, {read_concurrency, true}]),
    ok.

%% The caller becomes the owner of the content of a map.
-spec new(atom(), Owner :: atom(), barrel_p2p_map_options:options()) -> ets:table().
new(Name, Owner, Options) ->
    Table = barrel_p2p_map:tab_name(Name),
    ok = wait_for_the_end_of(ets:info(Table, owner)),
    Table = ets:new(Table, [public, named_table, {read_concurrency, true}]),
    Id = ets:whereis(Table),
    true = ets:insert(?INDEX, {Name, Id, Owner, Options}),
    Id.

%% From now on there is no such map.
-spec forget(Name :: atom()) -> ok.
forget(Name) ->
    true = ets:delete(?INDEX, Name),
    ok.

%% Every map that was opened here and not deleted.
-spec maps() -> [{Name :: atom(), barrel_p2p_map_options:options()}].
maps() ->
    [{Name, Options} || {Name, _, _, Options} <- ets:tab2list(?INDEX)].

-spec map(Name :: term()) -> {ok, map_row()} | {error, no_such_map}.
map(Name) ->
    try ets:lookup(?INDEX, Name) of
        [Row] -> {ok, Row};
        [] -> {error, no_such_map}
    catch
        error:badarg -> {error, no_such_map}
    end.

%% Its supervisor runs, whatever its owner does right now.
-spec is_alive(map_row()) -> boolean().
is_alive({_, Table, _, _}) ->
    ets:info(Table, size) =/= undefined.

-spec get(Name :: term(), Key :: term()) -> {ok, term()} | not_found.
get(Name, Key) ->
    try ets:lookup(ets:lookup_element(?INDEX, Name, 2), Key) of
        [{_, Value, _}] -> {ok, Value};
        [] -> not_found
    catch
        error:badarg -> not_found
    end.

-spec keys(Name :: term()) -> [term()].
keys(Name) ->
    select(Name, '$1').

-spec to_list(Name :: term()) -> [{Key :: term(), Value :: term()}].
to_list(Name) ->
    select(Name, {{'$1', '$2'}}).

%% What this node writes.
-spec set(ets:table(), Key :: term(), Value :: term()) -> ok.
set(Table, Key, Value) ->
    true = ets:insert(Table, {Key, Value, node()}),
    ok.

%% Whether the value is another one now than before.
-spec put(ets:table(), Key :: term(), Value :: term(), Origin :: node()) -> boolean().
put(Table, Key, Value, Origin) ->
    case ets:lookup(Table, Key) of
        [{_, Value, Origin}] -> false;
        [{_, Value, _}] -> true = ets:insert(Table, {Key, Value, Origin}), false;
        _ -> ets:insert(Table, {Key, Value, Origin})
    end.

%% Whether there was one.
-spec take(ets:table(), Key :: term()) -> boolean().
take(Table, Key) ->
    ets:member(Table, Key) andalso ets:delete(Table, Key).

%% Whether this node has written what is shown.
-spec is_own(ets:table(), Key :: term()) -> boolean().
is_own(Table, Key) ->
    own(Table, Key) =/= none.

-spec own(ets:table(), Key :: term()) -> {ok, Value :: term()} | none.
own(Table, Key) ->
    case ets:lookup(Table, Key) of
        [{_, Value, Origin}] when Origin =:= node() -> {ok, Value};
        _ -> none
    end.

%% Some of the keys whose value this node has written, and where to go on. The caller fixes the table meanwhile.
-spec of_origin(ets:table(), {from, node()} | continuation()) -> {[term()], continuation()} | '$end_of_table'.
of_origin(Table, {from, Node}) ->
    ets:select(Table, [{{'$1', '_', Node}, [], ['$1']}], ?STEP);
of_origin(_Table, Continuation) ->
    ets:select(Continuation).

%% The map before, when its supervisor was killed.
-spec wait_for_the_end_of(pid() | undefined) -> ok.
wait_for_the_end_of(undefined) ->
    ok;
wait_for_the_end_of(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

-spec select(term(), '$1' | {{'$1', '$2'}}) -> [term()].
select(Name, Result) ->
    try ets:select(ets:lookup_element(?INDEX, Name, 2), [{{'$1', '$2', '_'}, [], [Result]}])
    catch error:badarg -> []
    end.
