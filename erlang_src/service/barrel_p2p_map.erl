%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map).
-moduledoc """
Replicated maps: every node that has opened one holds all of it, writes to its own copy, and reads without asking anybody.

The last write of a key wins, by the hybrid clock. A map is opened on each node that should have it and kept equal by the native stores: changes
go out at once, and what a node has missed is found by comparison. Any term can be key or value; 1 and 1.0 are two keys.

Reads run in the caller. A write goes through the owner of the map on this node. Subscribers get `{barrel_p2p_map, Name, {put, Key, Value}}` or
`{barrel_p2p_map, Name, {remove, Key}}`: always for a local write, for a change of another node when a reader can see it. The callbacks of
`barrel_p2p_replica` are here for what speaks the documented shape of the content.
""".

-behaviour(barrel_p2p_replica).
-export([new/1, new/2, delete_map/1, put/3, remove/2, delete/2, get/2, keys/1, to_list/1, subscribe/1, subscribe/2, unsubscribe/1, unsubscribe/2]).
-export([owner_name/1, replica_name/1, tab_name/1]).
-export([replica_merge_delta/2, replica_apply_full_sync/2, replica_full_sync_snapshot/1, replica_remove_node/2, replica_anti_entropy/0]).
-export_type([opts/0, refusal/0]).

-type opts() :: barrel_p2p_map_options:given().
%% Beside `invalid_value` and `no_such_map`: `too_large` above 64 KiB for a key and 512 KiB for a value; `busy` when the disk did not keep up for
%% seconds; or what the disk said, see barrel_p2p_reason, when a persistent write is not known to be safe.
-type refusal() :: {error, no_such_map | too_large | busy | atom()}.

%% How long a write waits for an owner that starts again, or for a log that is full.
-define(PATIENCE_MS, 5_000).
-define(STEP_MS, 10).

-spec new(Name :: atom()) -> {ok, pid()} | {error, term()}.
new(Name) ->
    new(Name, #{}).

%% Opens the map on this node. One that is open stays as it is, whatever the options.
-spec new(Name :: atom(), opts()) -> {ok, pid()} | {error, term()}.
new(Name, Given) ->
    case barrel_p2p_map_options:check(Name, Given) of
        {ok, Options} -> opened(Name, barrel_p2p_map_sup:start_map(Name, Options));
        {error, _} = Error -> Error
    end.

%% Ends the map on this node, with its files. Other nodes keep theirs, and a map of that name that is opened here later gets their content.
-spec delete_map(Name :: atom()) -> ok | {error, atom() | {atom(), binary()}}.
delete_map(Name) when is_atom(Name) ->
    case barrel_p2p_map_table:map(Name) of
        {ok, {_, _, Owner, _} = Map} ->
            Deleted = call(fun() -> barrel_p2p_map_owner:delete(Owner) end, Map),
            ok = barrel_p2p_map_table:forget(Name),
            ok = barrel_p2p_map_sup:stop_map(Name),
            ok = barrel_p2p_events:forget({map, Name}),
            Deleted;
        {error, no_such_map} ->
            ok
    end.

-spec put(Name :: atom(), Key :: term(), Value :: term()) -> ok | {error, invalid_value} | refusal().
put(Name, Key, Value) ->
    case barrel_p2p_map_table:map(Name) of
        {ok, {_, _, Owner, Options} = Map} ->
            case barrel_p2p_map_options:accepts(Value, Options) of
                true ->
                    {KeyBytes, ValueBytes} = {barrel_p2p_store:key(Key), barrel_p2p_store:value(Value)},
                    call(fun() -> barrel_p2p_map_owner:put(Owner, KeyBytes, ValueBytes, Key, Value) end, Map);
                false ->
                    {error, invalid_value}
            end;
        {error, no_such_map} = Error ->
            Error
    end.

%% Also of a key that this node does not have: others may.
-spec remove(Name :: atom(), Key :: term()) -> ok | refusal().
remove(Name, Key) ->
    case barrel_p2p_map_table:map(Name) of
        {ok, {_, _, Owner, _} = Map} ->
            KeyBytes = barrel_p2p_store:key(Key),
            call(fun() -> barrel_p2p_map_owner:remove(Owner, KeyBytes, Key) end, Map);
        {error, no_such_map} = Error ->
            Error
    end.

-spec delete(Name :: atom(), Key :: term()) -> ok | refusal().
delete(Name, Key) ->
    remove(Name, Key).

-spec get(Name :: atom(), Key :: term()) -> {ok, Value :: term()} | not_found.
get(Name, Key) ->
    barrel_p2p_map_table:get(Name, Key).

%% Unordered; none of a map that is not open.
-spec keys(Name :: atom()) -> [term()].
keys(Name) ->
    barrel_p2p_map_table:keys(Name).

-spec to_list(Name :: atom()) -> [{Key :: term(), Value :: term()}].
to_list(Name) ->
    barrel_p2p_map_table:to_list(Name).

-spec subscribe(Name :: atom()) -> ok | {error, no_such_map}.
subscribe(Name) ->
    subscribe(Name, self()).

%% Pid is told of every change until it dies, unsubscribes or the map is deleted. Idempotent.
-spec subscribe(Name :: atom(), pid()) -> ok | {error, no_such_map}.
subscribe(Name, Pid) ->
    if_open(Name, fun() -> barrel_p2p_events:subscribe({map, Name}, Pid) end).

-spec unsubscribe(Name :: atom()) -> ok | {error, no_such_map}.
unsubscribe(Name) ->
    unsubscribe(Name, self()).

-spec unsubscribe(Name :: atom(), pid()) -> ok | {error, no_such_map}.
unsubscribe(Name, Pid) ->
    if_open(Name, fun() -> barrel_p2p_events:unsubscribe({map, Name}, Pid) end).

%% Names made of the name of a map.

-spec owner_name(Name :: atom()) -> atom().
owner_name(Name) -> list_to_atom("barrel_p2p_map$" ++ atom_to_list(Name)).

%% Under which the nodes exchange the content.
-spec replica_name(Name :: atom()) -> atom().
replica_name(Name) -> list_to_atom("barrel_p2p_map_replica$" ++ atom_to_list(Name)).

-spec tab_name(Name :: atom()) -> atom().
tab_name(Name) -> list_to_atom("barrel_p2p_map_tab$" ++ atom_to_list(Name)).

%% The content in the shape of barrel_p2p_ormap.

%% As if another node had sent it; invalid entries are left out.
-spec replica_merge_delta(Name :: atom(), Delta :: term()) -> ok.
replica_merge_delta(Name, Delta) ->
    case store(Name) of
        {ok, Store} -> staged(Store, barrel_p2p_crdt_wire:accept(Delta, fun(_) -> true end));
        {error, no_such_map} -> ok
    end.

-spec replica_apply_full_sync(Name :: atom(), Snapshot :: term()) -> ok.
replica_apply_full_sync(Name, Snapshot) ->
    replica_merge_delta(Name, Snapshot).

%% With the tombstones, so that deletions travel also when there is nothing else.
-spec replica_full_sync_snapshot(Name :: atom()) -> {sync, barrel_p2p_ormap:ormap()} | empty.
replica_full_sync_snapshot(Name) ->
    case store(Name) of
        {ok, Store} ->
            case barrel_p2p_store:to_ormap(Store) of
                Content when map_size(Content) =:= 0 -> empty;
                Content -> {sync, Content}
            end;
        {error, no_such_map} ->
            empty
    end.

%% The owner follows the membership by itself.
-spec replica_remove_node(Name :: atom(), node()) -> ok.
replica_remove_node(_Name, _Node) ->
    ok.

-spec replica_anti_entropy() -> true.
replica_anti_entropy() ->
    true.

%% What could not be opened has left its name behind.
-spec opened(atom(), {ok, pid()} | {error, term()}) -> {ok, pid()} | {error, term()}.
opened(_Name, {ok, Pid}) ->
    {ok, Pid};
opened(Name, {error, _} = Error) ->
    ok = barrel_p2p_map_table:forget(Name),
    Error.

-spec if_open(atom(), fun(() -> ok)) -> ok | {error, no_such_map}.
if_open(Name, Do) ->
    case barrel_p2p_map_table:map(Name) of
        {ok, _} -> Do();
        {error, no_such_map} = Error -> Error
    end.

-spec store(atom()) -> {ok, barrel_p2p_store:store()} | {error, no_such_map}.
store(Name) ->
    case barrel_p2p_map_table:map(Name) of
        {ok, {_, _, Owner, _} = Map} ->
            case call(fun() -> {ok, barrel_p2p_map_owner:store(Owner)} end, Map) of
                {ok, Store} -> {ok, Store};
                {error, _} -> {error, no_such_map}
            end;
        {error, no_such_map} = Error ->
            Error
    end.

%% While there is no room the owner is taking what was staged before.
-spec staged(barrel_p2p_store:store(), barrel_p2p_ormap:ormap()) -> ok.
staged(Store, Content) ->
    case barrel_p2p_store:stage_ormap(Store, Content) of
        busy -> receive after ?STEP_MS -> staged(Store, Content) end;
        _ -> ok
    end.

%% An owner that ends under the call, or is not there, starts again as long as the map is open. Writing once more does no harm.
-spec call(fun(() -> Result), barrel_p2p_map_table:map_row()) -> Result | {error, no_such_map | busy}
              when Result :: ok | {ok, barrel_p2p_store:store()} | {error, atom() | {atom(), binary()}}.
call(Do, Map) ->
    call(Do, Map, erlang:monotonic_time(millisecond) + ?PATIENCE_MS).

-spec call(fun(() -> Result), barrel_p2p_map_table:map_row(), integer()) -> Result | {error, no_such_map | busy}.
call(Do, Map, Deadline) ->
    try Do() of
        {error, busy} -> again(Do, Map, Deadline);
        Result -> Result
    catch
        exit:{_, {gen_server, call, _}} -> again(Do, Map, Deadline)
    end.

-spec again(fun(() -> Result), barrel_p2p_map_table:map_row(), integer()) -> Result | {error, no_such_map | busy}.
again(Do, Map, Deadline) ->
    case {barrel_p2p_map_table:is_alive(Map), erlang:monotonic_time(millisecond) < Deadline} of
        {true, true} -> receive after ?STEP_MS -> call(Do, Map, Deadline) end;
        {true, false} -> {error, busy};
        {false, _} -> {error, no_such_map}
    end.
