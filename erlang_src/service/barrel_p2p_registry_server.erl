%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_server).
-moduledoc """
The one process that writes what the registry knows; registered as `barrel_p2p_registry`.

What is registered here goes to the replicated store and to the tables that readers use, what others have registered comes from the store. The tables
outlive this process: a successor watches the local services again, lets go of those that died meanwhile, and compares the rest with the store.

Keeps: each change is told once. This node decides about its own registrations, whatever anyone else writes under its name: an entry that is not
here, be it of a former life, is removed everywhere, and one that is missing in the store is written again. Without distribution everything works
and nothing is written to the store.
""".

-behaviour(gen_server).
-export([start_link/0, register/1, unregister/1, judge/1, store/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("barrel_p2p.hrl").

%% As whom this node registers: none while it is not distributed.
-type identity() :: {node(), barrel_p2p_registry_entry:life()} | none.
-type encoded() :: {identity(), KeyBytes :: binary(), ValueBytes :: binary()}.

-record(state, {
    store :: barrel_p2p_store:store(),
    identity :: identity(),
    %% Where the local registrations are said to be.
    node :: node(),
    %% {Name, Monitor}; a table, since a map of 100,000 keeps the garbage collector busy.
    monitors :: ets:table(),
    others :: barrel_p2p_registry_remote:index(),
    absence = barrel_p2p_registry_absence:new() :: barrel_p2p_registry_absence:absence()
}).

-define(SERVER, barrel_p2p_registry).
-define(IDENTITY, {?MODULE, identity}).

%% How often it is checked who is a member, in case that a crash has swallowed the news.
-define(AUDIT_MS, 5_000).
%% How long entries of an absent node are kept for its return at least, and tombstones for those who have not heard of them.
-define(KEPT_MS, 3_600_000).
%% What the native store takes, less what the name of a node and its life may add to a registration that is made without distribution.
-define(MARGIN_BYTES, 1_024).
-define(KEY_BYTES, 65_536 - ?MARGIN_BYTES).
-define(VALUE_BYTES, 524_288 - ?MARGIN_BYTES).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?SERVER}, ?MODULE, [], []).

%% The caller does the encoding, so that this process does not do it for everybody.
-spec register(#service_entry{}) -> ok | {error, already_registered | too_large}.
register(Entry) ->
    gen_server:call(?SERVER, {register, Entry, encoded(Entry, persistent_term:get(?IDENTITY, none))}, infinity).

-spec unregister(Name :: term()) -> ok.
unregister(Name) ->
    gen_server:call(?SERVER, {unregister, Name}, infinity).

%% Hides or shows what the node has registered, according to whether it is a member now.
-spec judge(node()) -> ok.
judge(Node) ->
    gen_server:call(?SERVER, {judge, Node}, infinity).

-spec store() -> barrel_p2p_store:store().
store() ->
    gen_server:call(?SERVER, store, infinity).

-spec init([]) -> {ok, #state{}} | {stop, barrel_p2p_native:error()}.
init([]) ->
    process_flag(trap_exit, true),
    ok = barrel_p2p_events:subscribe(members, self()),
    %% Tells of this node as well: when distribution starts and when it stops.
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    case barrel_p2p_store:open(?SERVER, #{tombstone_ttl_ms => ?KEPT_MS}) of
        {ok, Store} ->
            ok = barrel_p2p_registry_table:mend(),
            Empty = #state{store = Store, identity = none, node = node(), monitors = ets:new(monitors, [private]),
                           others = barrel_p2p_registry_remote:new()},
            lists:foreach(fun(Entry) -> watch(Entry, Empty) end, barrel_p2p_registry_table:locals()),
            State = identified(own_identity(), Empty),
            ok = scanned(barrel_p2p_store:scan(Store, start), State),
            ok = barrel_p2p_registry_remote:forget_unconfirmed(State#state.others),
            audit_later(),
            {ok, pulled(State)};
        {error, Error} ->
            {stop, {error, Error}}
    end.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call({register, Entry, Encoded}, _From, State) ->
    ok = freed(Entry, State),
    {reply, registered(Entry, Encoded, State), State};
handle_call({unregister, Name}, _From, State) ->
    {reply, ended(Name, unregistered, State), State};
handle_call({judge, Node}, _From, State) ->
    {reply, barrel_p2p_registry_remote:judge(State#state.others, Node, nodedown), State};
handle_call(store, _From, State) ->
    {reply, State#state.store, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({{down, Name}, Monitor, process, _, Reason}, #state{monitors = Monitors} = State) ->
    _ = [ok = ended(Name, {down, Reason}, State) || ets:lookup(Monitors, Name) =:= [{Name, Monitor}]],
    {noreply, State};
handle_info({barrel_p2p_store, Store, staged}, #state{store = Store} = State) ->
    {noreply, pulled(State)};
handle_info({barrel_p2p_member, Node, What}, #state{others = Others} = State) ->
    ok = barrel_p2p_registry_remote:judge(Others, Node, case What of left -> left; _ -> nodedown end),
    {noreply, State};
handle_info({What, Node, _}, #state{node = Own} = State) when What =:= nodeup, Node =:= node(); What =:= nodedown, Node =:= Own ->
    {noreply, identified(State)};
handle_info(audit, State) ->
    audit_later(),
    {noreply, audited(identified(State))};
handle_info(_Other, State) ->
    {noreply, State}.

%% Whoever stops the application takes this node out of the cluster; a crash leaves everything to a successor.
-spec terminate(term(), #state{}) -> ok.
terminate(shutdown, #state{store = Store}) ->
    _ = persistent_term:erase(?IDENTITY),
    barrel_p2p_store:close(Store);
terminate(_Reason, _State) ->
    ok.

%% Local registrations.

%% A process that has just died must not keep its name from its successor.
-spec freed(#service_entry{}, #state{}) -> ok.
freed(#service_entry{name = Name}, #state{monitors = Monitors} = State) ->
    case barrel_p2p_registry_table:local(Name) of
        {ok, #service_entry{pid = Pid}} when node(Pid) =:= node() ->
            case is_process_alive(Pid) of
                true ->
                    ok;
                false ->
                    [{_, Monitor}] = ets:lookup(Monitors, Name),
                    receive {{down, Name}, Monitor, process, _, Reason} -> ended(Name, {down, Reason}, State) end
            end;
        _ ->
            ok
    end.

-spec registered(#service_entry{}, encoded(), #state{}) -> ok | {error, already_registered | too_large}.
registered(#service_entry{name = Name} = Given, Encoded, #state{node = Node, monitors = Monitors} = State) ->
    Entry = Given#service_entry{node = Node},
    case ets:member(Monitors, Name) orelse published(Entry, Encoded, State) of
        true ->
            {error, already_registered};
        ok ->
            ok = watch(Entry, State),
            ok = barrel_p2p_registry_table:insert_local(Entry),
            barrel_p2p_service_events:notify({service_registered, Name, Node});
        {error, too_large} ->
            {error, too_large}
    end.

-spec ended(Name :: term(), unregistered | {down, Reason :: term()}, #state{}) -> ok.
ended(Name, Why, #state{monitors = Monitors} = State) ->
    case {barrel_p2p_registry_table:local(Name), ets:take(Monitors, Name)} of
        {{ok, #service_entry{node = Node} = Entry}, [{_, Monitor}]} ->
            true = demonitor(Monitor, [flush]),
            ok = withdrawn(Name, Node, State),
            ok = barrel_p2p_registry_table:delete_local(Entry),
            barrel_p2p_service_events:notify(case Why of
                                                 unregistered -> {service_unregistered, Name, Node};
                                                 {down, Reason} -> {service_down, Name, Node, Reason}
                                             end);
        {none, []} ->
            ok
    end.

-spec watch(#service_entry{}, #state{}) -> ok.
watch(#service_entry{name = Name, pid = Pid}, #state{monitors = Monitors}) ->
    true = ets:insert(Monitors, {Name, monitor(process, Pid, [{tag, {down, Name}}])}),
    ok.

%% The own part of the store.

%% For a node that is still the same when it is written.
-spec encoded(#service_entry{}, identity()) -> encoded().
encoded(#service_entry{name = Name} = Entry, none) ->
    {none, barrel_p2p_registry_entry:key(Name, nonode@nohost), barrel_p2p_registry_entry:value(Entry, unknown)};
encoded(#service_entry{name = Name} = Entry, {Node, Life} = Identity) ->
    {Identity, barrel_p2p_registry_entry:key(Name, Node), barrel_p2p_registry_entry:value(Entry, Life)}.

%% What nobody could be told later is not taken now either.
-spec published(#service_entry{}, encoded() | outdated, #state{}) -> ok | {error, too_large}.
published(_Entry, {none, KeyBytes, ValueBytes}, #state{identity = none}) ->
    case byte_size(KeyBytes) =< ?KEY_BYTES andalso byte_size(ValueBytes) =< ?VALUE_BYTES of
        true -> ok;
        false -> {error, too_large}
    end;
published(_Entry, {Identity, KeyBytes, ValueBytes}, #state{identity = Identity, store = Store}) ->
    case barrel_p2p_store:put(Store, KeyBytes, ValueBytes) of
        {ok, _} -> ok;
        {error, too_large} -> {error, too_large}
    end;
published(Entry, _Outdated, #state{identity = Identity} = State) ->
    published(Entry, encoded(Entry, Identity), State).

-spec withdrawn(Name :: term(), node(), #state{}) -> ok.
withdrawn(_Name, nonode@nohost, _State) ->
    ok;
withdrawn(Name, Node, #state{store = Store}) ->
    case barrel_p2p_store:remove(Store, barrel_p2p_registry_entry:key(Name, Node)) of
        {ok, _} -> ok;
        %% So it never was there.
        {error, too_large} -> ok
    end.

%% Who this node is now. After a change of that everything here is registered under the new name and nothing under the old one; the members of the
%% old cluster are gone.
-spec identified(#state{}) -> #state{}.
identified(#state{identity = Former, others = Others} = State) ->
    case own_identity() of
        Former ->
            State;
        Identity ->
            New = identified(Identity, State),
            lists:foreach(fun(Node) -> barrel_p2p_registry_remote:judge(Others, Node, nodedown) end, barrel_p2p_registry_remote:owners(Others)),
            New
    end.

-spec identified(identity(), #state{}) -> #state{}.
identified(Identity, State) ->
    persistent_term:put(?IDENTITY, Identity),
    New = State#state{identity = Identity, node = node()},
    lists:foreach(fun(Entry) -> settled(Entry, New) end, barrel_p2p_registry_table:locals()),
    New.

-spec own_identity() -> identity().
own_identity() ->
    case {is_alive(), barrel_p2p_native:endpoint_info()} of
        {true, {ok, #{incarnation := Life}}} -> {node(), Life};
        _ -> none
    end.

%% One local registration of a node that may have become another one.
-spec settled(#service_entry{}, #state{}) -> ok.
settled(#service_entry{name = Name, node = Node}, #state{node = Node, identity = Identity, store = Store} = State) ->
    case Identity of
        none -> ok;
        _ -> defended(Name, barrel_p2p_store:get(Store, barrel_p2p_registry_entry:key(Name, Node)), State)
    end;
settled(#service_entry{name = Name, node = Former} = Entry, #state{node = Node} = State) ->
    Moved = Entry#service_entry{node = Node},
    ok = withdrawn(Name, Former, State),
    %% One that became too large with its new name stays known here.
    _ = published(Moved, outdated, State),
    ok = barrel_p2p_registry_table:insert_local(Moved),
    ok = barrel_p2p_service_events:notify({service_unregistered, Name, Former}),
    barrel_p2p_service_events:notify({service_registered, Name, Node}).

%% Nobody but this node says what it has.
-spec defended(Name :: term(), barrel_p2p_store:content() | none, #state{}) -> ok.
defended(Name, Content, #state{identity = {Own, Life}} = State) ->
    case {barrel_p2p_registry_table:local(Name), Content} of
        {{ok, #service_entry{pid = Pid, meta = Meta}}, {value, {Pid, Meta, Life}, Own}} -> ok;
        {{ok, Entry}, _} -> _ = published(Entry, outdated, State), ok;
        {none, {value, _, _}} -> withdrawn(Name, Own, State);
        {none, _} -> ok
    end.

%% The parts of others.

-spec scanned({[barrel_p2p_store:change()], barrel_p2p_store:cursor() | done}, #state{}) -> ok.
scanned({Changes, Next}, #state{store = Store} = State) ->
    _ = applied(Changes, State),
    ok = defended(Changes, State),
    case Next of
        done -> ok;
        _ -> scanned(barrel_p2p_store:scan(Store, Next), State)
    end.

%% One bounded batch; callers that wait have their turn before the next one.
-spec pulled(#state{}) -> #state{}.
pulled(#state{store = Store} = State) ->
    {Changes, Malformed, More} = barrel_p2p_store:pull(Store),
    Rejected = applied(Changes, State) ++ Malformed,
    lists:foreach(fun(_) -> barrel_p2p_service_stats:add(rejected) end, Rejected),
    {ok, _} = barrel_p2p_store:commit(Store, Rejected),
    ok = defended(Changes, State),
    _ = [self() ! {barrel_p2p_store, Store, staged} || More =:= more],
    State.

-spec defended([barrel_p2p_store:change()], #state{}) -> ok.
defended(_Changes, #state{identity = none}) ->
    ok;
defended(Changes, #state{node = Own} = State) ->
    lists:foreach(fun({_, {Name, Node}, Content}) when Node =:= Own -> defended(Name, Content, State);
                     (_) -> ok
                  end, Changes).

%% Returns the keys of what makes no sense.
-spec applied([barrel_p2p_store:change()], #state{}) -> Rejected :: [binary()].
applied(Changes, #state{others = Others, node = Own}) ->
    Lives = barrel_p2p_registry_remote:lives([Node || {_, {_, Node}, {value, _, Node}} <- Changes]),
    lists:append([applied(Change, Others, Lives) || {_, Key, _} = Change <- Changes, not is_of(Own, Key)]).

-spec is_of(node(), Key :: term()) -> boolean().
is_of(Node, {_, Node}) -> true;
is_of(_, _) -> false.

-spec applied(barrel_p2p_store:change(), barrel_p2p_registry_remote:index(), barrel_p2p_registry_remote:lives()) -> [binary()].
applied({KeyBytes, {_, Node}, removed}, Others, _Lives) when is_atom(Node) ->
    ok = barrel_p2p_registry_remote:remove(Others, KeyBytes, Node),
    [];
applied({KeyBytes, Key, {value, Value, Origin}}, Others, Lives) ->
    case barrel_p2p_registry_entry:parse(Key, Value, Origin) of
        {ok, Entry, Life} -> ok = barrel_p2p_registry_remote:put(Others, {KeyBytes, Entry}, Life, Lives), [];
        malformed -> [KeyBytes]
    end;
applied({KeyBytes, _, removed}, _Others, _Lives) ->
    [KeyBytes].

%% Who is there.

-spec audit_later() -> ok.
audit_later() ->
    _ = erlang:send_after(?AUDIT_MS, self(), audit),
    ok.

%% Hides what belongs to nodes that were no members the last time either: between a crash of the membership process and its return nobody is. Removes,
%% the same way everywhere, what belongs to nodes that have been away for so long that the cluster has forgotten what they missed.
-spec audited(#state{}) -> #state{}.
audited(#state{identity = Identity, others = Others, absence = Before} = State) ->
    Lives = barrel_p2p_registry_remote:lives(barrel_p2p_registry_remote:owners(Others)),
    HasNeighbour = Identity =/= none andalso barrel_p2p_gossip:active_view() =/= [],
    Patience = max(?KEPT_MS, barrel_p2p_config:get(tombstone_max_age_ms)),
    {Changed, Lost, Absence} = barrel_p2p_registry_absence:audited([Node || {Node, gone} <- maps:to_list(Lives)], HasNeighbour,
                                                                   erlang:monotonic_time(millisecond), Patience, Before),
    lists:foreach(fun(Node) -> barrel_p2p_registry_remote:judge(Others, Node, nodedown) end, Changed),
    lists:foreach(fun(Node) -> pruned(Node, State) end, Lost),
    State#state{absence = Absence}.

-spec pruned(node(), #state{}) -> ok.
pruned(Node, #state{store = Store, others = Others}) ->
    {ok, _, Removed} = barrel_p2p_store:prune(Store, Node, infinity),
    lists:foreach(fun(KeyBytes) -> barrel_p2p_registry_remote:remove(Others, KeyBytes, Node) end, Removed).
