%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry).
-moduledoc """
The service registry: which processes offer which names, on which nodes.

Every node knows every registration of the cluster and answers from its own tables, in the process that asks. Changes go through one process per
node, `barrel_p2p_registry_server`; while it restarts, after a crash, whoever looks still finds everything.

Any term is a name; 1 and 1.0 are two. A name may be registered once per node, and on as many nodes as there are.
""".

-export([register_service/2, register_service/3, unregister_service/1]).
-export([lookup/1, lookup_local/1, list_services/0, whereis_service/1, whereis_service/2, whereis_name/1, entry/2, overlay_lookup/1]).
-export([get_all_local/0, get_local_ormap/0, merge_remote/1, remove_entry/2, remove_node_entries/1]).
-export([replica_merge_delta/2, replica_apply_full_sync/2, replica_full_sync_snapshot/1, replica_remove_node/2]).
-export([ensure_proxy/2, get_proxy/1]).
-export_type([found/0]).

-include("barrel_p2p.hrl").

-type found() :: {ok, pid()} | {ok, node(), pid()} | {error, not_found}.

%% The waits between two attempts of whereis_service/2 begin with this and double up to that.
-define(FIRST_WAIT_MS, 100).
-define(LONGEST_WAIT_MS, 2_000).
-define(RETRIES, 3).

%% Registers the caller.
-spec register_service(Name :: term(), Meta :: map()) -> ok | {error, already_registered | too_large}.
register_service(Name, Meta) ->
    register_service(Name, self(), Meta).

%% The registration ends with unregister_service/1, with the process, and with this node. The process may be one of another node.
-spec register_service(Name :: term(), pid(), Meta :: map()) -> ok | {error, already_registered | too_large}.
register_service(Name, Pid, Meta) when is_pid(Pid), is_map(Meta) ->
    barrel_p2p_registry_server:register(#service_entry{name = Name, pid = Pid, node = node(), meta = Meta}).

%% Any process may do that.
-spec unregister_service(Name :: term()) -> ok.
unregister_service(Name) ->
    barrel_p2p_registry_server:unregister(Name).

%% What is here first, then the others by the name of their node.
-spec lookup(Name :: term()) -> {ok, [#service_entry{}, ...]} | {error, not_found}.
lookup(Name) ->
    case barrel_p2p_registry_table:lookup(Name) of
        [] -> {error, not_found};
        Entries -> {ok, Entries}
    end.

-spec lookup_local(Name :: term()) -> {ok, pid()} | {error, not_found}.
lookup_local(Name) ->
    case barrel_p2p_registry_table:local(Name) of
        {ok, #service_entry{pid = Pid}} -> {ok, Pid};
        none -> {error, not_found}
    end.

%% Sorted, each name once.
-spec list_services() -> [Name :: term()].
list_services() ->
    lists:sort(barrel_p2p_registry_table:names()).

-spec whereis_service(Name :: term()) -> found().
whereis_service(Name) ->
    whereis_service(Name, #{}).

%% The first attempt looks only here. The further ones, after waits in the caller, also ask neighbours.
-spec whereis_service(Name :: term(), #{retries => non_neg_integer()}) -> found().
whereis_service(Name, Options) ->
    case find(Name) of
        {error, not_found} -> retry(Name, maps:get(retries, Options, ?RETRIES), ?FIRST_WAIT_MS);
        Found -> Found
    end.

%% For `via`: what is known here, at once. A process of this node that is dead is not found, even if nobody has noticed yet, so that whoever
%% restarts it can register its successor.
-spec whereis_name(Name :: term()) -> pid() | undefined.
whereis_name(Name) ->
    case barrel_p2p_registry_table:find(Name) of
        {local, Pid} when node(Pid) =:= node() -> case is_process_alive(Pid) of true -> Pid; false -> undefined end;
        {_, Pid} -> Pid;
        none -> undefined
    end.

%% The registration on that node.
-spec entry(Name :: term(), node()) -> {ok, #service_entry{}} | {error, not_found}.
entry(Name, Node) ->
    case [Entry || #service_entry{node = At} = Entry <- barrel_p2p_registry_table:lookup(Name), At =:= Node] of
        [Entry | _] -> {ok, Entry};
        [] -> {error, not_found}
    end.

%% What neighbours know about a name, for the time until it has arrived here.
-spec overlay_lookup(Name :: term()) -> {ok, node(), pid()} | {error, not_found}.
overlay_lookup(Name) ->
    case barrel_p2p_router:find_service(Name) of
        {found, Node, Pid} when Node =/= node() -> {ok, Node, Pid};
        _ -> {error, not_found}
    end.

-spec get_all_local() -> [#service_entry{}].
get_all_local() ->
    barrel_p2p_registry_table:locals().

%% The replicated registrations in the documented exchange form, keys {Name, Node} and values #service_entry{}.

%% Those of this node; none while it is not distributed.
-spec get_local_ormap() -> barrel_p2p_store:ormap().
get_local_ormap() ->
    All = barrel_p2p_store:to_ormap(barrel_p2p_registry_server:store()),
    maps:map(fun({Name, Node}, {value, {Pid, Meta, _Life}, Dots}) ->
                     {value, #service_entry{name = Name, pid = Pid, node = Node, meta = Meta}, Dots}
             end, maps:filter(fun({_, Node}, Entry) -> Node =:= node() andalso element(1, Entry) =:= value end, All)).

%% Takes entries as if a node had sent them; what has not the form is left out.
-spec merge_remote(term()) -> ok | busy | closed.
merge_remote(Entries) ->
    Formed = barrel_p2p_crdt_wire:accept(Entries, fun(Value) -> is_record(Value, service_entry) end),
    Values = maps:map(fun(_, {value, #service_entry{pid = Pid, meta = Meta}, Dots}) -> {value, {Pid, Meta, unknown}, Dots};
                         (_, {tombstone, _} = Tombstone) -> Tombstone
                      end, Formed),
    barrel_p2p_store:stage_ormap(barrel_p2p_registry_server:store(), Values).

%% Removes one registration everywhere. If it is in force, its node puts it back.
-spec remove_entry(Name :: term(), node()) -> ok | busy | closed.
remove_entry(Name, Node) ->
    merge_remote(#{{Name, Node} => {tombstone, barrel_p2p_hlc:now()}}).

%% Hides what a node has registered if it is gone. Done by itself when a member goes.
-spec remove_node_entries(node()) -> ok.
remove_node_entries(Node) ->
    barrel_p2p_registry_server:judge(Node).

-spec replica_merge_delta(atom(), term()) -> ok | busy | closed.
replica_merge_delta(_Instance, Delta) ->
    merge_remote(Delta).

-spec replica_apply_full_sync(atom(), term()) -> ok | busy | closed.
replica_apply_full_sync(_Instance, Snapshot) ->
    merge_remote(Snapshot).

-spec replica_full_sync_snapshot(atom()) -> {sync, barrel_p2p_store:ormap()} | empty.
replica_full_sync_snapshot(_Instance) ->
    case get_local_ormap() of
        None when map_size(None) =:= 0 -> empty;
        Snapshot -> {sync, Snapshot}
    end.

-spec replica_remove_node(atom(), node()) -> ok.
replica_remove_node(_Instance, Node) ->
    remove_node_entries(Node).

%% A process of this node that stands for a service on another one, see barrel_p2p_service_proxy.
-spec ensure_proxy(Name :: term(), node()) -> {ok, pid()} | {error, not_found}.
ensure_proxy(Name, Node) ->
    barrel_p2p_proxy_sup:start_proxy(Name, Node).

-spec get_proxy(Name :: term()) -> {ok, pid()} | not_found.
get_proxy(Name) ->
    barrel_p2p_proxy_sup:get_proxy(Name).

-spec find(Name :: term()) -> found().
find(Name) ->
    case barrel_p2p_registry_table:find(Name) of
        {local, Pid} -> {ok, Pid};
        {Node, Pid} -> {ok, Node, Pid};
        none -> {error, not_found}
    end.

-spec retry(Name :: term(), Left :: non_neg_integer(), WaitMs :: pos_integer()) -> found().
retry(_Name, 0, _Wait) ->
    {error, not_found};
retry(Name, Left, Wait) ->
    receive after Wait + rand:uniform(Wait div 2) -> ok end,
    case find(Name) of
        {error, not_found} ->
            case overlay_lookup(Name) of
                {error, not_found} -> retry(Name, Left - 1, min(2 * Wait, ?LONGEST_WAIT_MS));
                Found -> Found
            end;
        Found ->
            Found
    end.
