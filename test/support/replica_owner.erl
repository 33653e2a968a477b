%% SPDX-License-Identifier: Apache-2.0
-module(replica_owner).
-moduledoc """
A state of an application over `barrel_p2p_replica`: an OR-map in a process, with what it was told besides. Fails and dawdles on request.
""".

-behaviour(barrel_p2p_replica).
-behaviour(gen_server).
-export([start/1, stop/1, add/3, remove/2, map/1, removed_nodes/1, customs/1, misbehave/2]).
-export([replica_merge_delta/2, replica_apply_full_sync/2, replica_full_sync_snapshot/1, replica_remove_node/2, replica_merge_custom/2,
         replica_anti_entropy/0]).
-export([init/1, handle_call/3, handle_cast/2]).

%% The owner and then its instance, neither linked to the caller.
start(Name) ->
    {ok, Owner} = gen_server:start({local, owner(Name)}, ?MODULE, [], []),
    Self = self(),
    Parent = spawn(fun() ->
                       {ok, Replica} = barrel_p2p_replica:start_link(#{name => Name, callback => ?MODULE}),
                       Self ! {started, self(), Replica},
                       receive never -> ok end
                   end),
    receive {started, Parent, Replica} -> {Owner, Replica} end.

stop(Name) ->
    exit(whereis(Name), kill),
    gen_server:stop(owner(Name)).

add(Name, Key, Value) ->
    ok = gen_server:call(owner(Name), {update, fun(Map) -> barrel_p2p_ormap:add(Key, Value, Map) end}),
    barrel_p2p_replica:broadcast_update(Name, {add, Key, Value}).

remove(Name, Key) ->
    ok = gen_server:call(owner(Name), {update, fun(Map) -> barrel_p2p_ormap:remove(Key, Map) end}),
    barrel_p2p_replica:broadcast_update(Name, {remove, Key}).

map(Name) -> gen_server:call(owner(Name), map, infinity).

removed_nodes(Name) -> gen_server:call(owner(Name), {told, removed}).

customs(Name) -> gen_server:call(owner(Name), {told, custom}).

%% crash: every callback fails. {dawdle, Ms}: making a snapshot takes so long.
misbehave(Name, How) ->
    persistent_term:put({?MODULE, Name}, How).

replica_merge_delta(Name, Delta) ->
    well(Name),
    gen_server:cast(owner(Name), {ingest, Delta}).

replica_apply_full_sync(Name, Snapshot) ->
    well(Name),
    gen_server:cast(owner(Name), {ingest, Snapshot}).

replica_full_sync_snapshot(Name) ->
    well(Name),
    case persistent_term:get({?MODULE, Name}, well) of
        {dawdle, Ms} -> receive after Ms -> ok end;
        well -> ok
    end,
    case map(Name) of
        Map when map_size(Map) =:= 0 -> empty;
        Map -> {sync, Map}
    end.

replica_remove_node(Name, Node) ->
    well(Name),
    gen_server:cast(owner(Name), {told, removed, Node}).

replica_merge_custom(Name, Payload) ->
    well(Name),
    gen_server:cast(owner(Name), {told, custom, Payload}).

replica_anti_entropy() ->
    true.

init([]) ->
    {ok, #{map => barrel_p2p_ormap:new(), removed => [], custom => []}}.

handle_call({update, Fun}, _From, #{map := Map} = State) -> {reply, ok, State#{map := Fun(Map)}};
handle_call(map, _From, #{map := Map} = State) -> {reply, Map, State};
handle_call({told, What}, _From, State) -> {reply, lists:reverse(maps:get(What, State)), State}.

handle_cast({ingest, Incoming}, #{map := Map} = State) ->
    {Merged, _} = barrel_p2p_crdt_wire:ingest(Map, Incoming, fun(_) -> true end),
    {noreply, State#{map := Merged}};
handle_cast({told, What, Term}, State) ->
    {noreply, maps:update_with(What, fun(Told) -> [Term | Told] end, State)}.

owner(Name) -> list_to_atom(atom_to_list(Name) ++ "_owner").

well(Name) ->
    case persistent_term:get({?MODULE, Name}, well) of
        crash -> error(asked_to);
        _ -> ok
    end.
