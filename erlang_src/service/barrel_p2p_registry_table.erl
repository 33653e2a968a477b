%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_table).
-moduledoc """
What the registry knows, for everyone to read: tables that readers look into without asking any process.

Keeps: whoever looks finds a name as long as one registration of it is there, and finds each registration once. The tables belong to a supervisor,
so they outlive the registry process, the only one that writes. One of them has one row per known name, so finding a process costs the
same however many nodes offer the service. Leaves to others: what may be seen, and who is told.
""".

-export([new/0, find/1, lookup/1, local/1, locals/0, remotes/0, names/0, sizes/0]).
-export([insert_local/1, delete_local/1, insert_remote/1, delete_remote/1, mend/0]).

-include("barrel_p2p.hrl").

%% Sets and bags, since for them 1 and 1.0 are two names.
-define(LOCAL, barrel_p2p_registry_local).
-define(REMOTE, barrel_p2p_registry_remote).
%% {Name, local | node(), pid()}: the local registration if there is one, otherwise the remote one that has been known for the longest time.
-define(BEST, barrel_p2p_registry_best).

-spec new() -> ok.
new() ->
    Shared = [public, named_table, {read_concurrency, true}],
    ?LOCAL = ets:new(?LOCAL, [set, {keypos, #service_entry.name} | Shared]),
    %% No entry is inserted twice, so there is no need to compare it with all others of the name.
    ?REMOTE = ets:new(?REMOTE, [duplicate_bag, {keypos, #service_entry.name} | Shared]),
    ?BEST = ets:new(?BEST, [set | Shared]),
    ok.

-spec find(Name :: term()) -> {local | node(), pid()} | none.
find(Name) ->
    case ets:lookup(?BEST, Name) of
        [{_, Where, Pid}] -> {Where, Pid};
        [] -> none
    end.

%% The local one first, then the others by node. One that is being replaced may be in the table twice for a moment.
-spec lookup(Name :: term()) -> [#service_entry{}].
lookup(Name) ->
    ets:lookup(?LOCAL, Name) ++ lists:ukeysort(#service_entry.node, ets:lookup(?REMOTE, Name)).

-spec local(Name :: term()) -> {ok, #service_entry{}} | none.
local(Name) ->
    case ets:lookup(?LOCAL, Name) of
        [Entry] -> {ok, Entry};
        [] -> none
    end.

-spec locals() -> [#service_entry{}].
locals() ->
    ets:tab2list(?LOCAL).

-spec remotes() -> [#service_entry{}].
remotes() ->
    ets:tab2list(?REMOTE).

%% Each known name once, in no particular order.
-spec names() -> [term()].
names() ->
    ets:select(?BEST, [{{'$1', '_', '_'}, [], ['$1']}]).

-spec sizes() -> {Local :: non_neg_integer(), Remote :: non_neg_integer()}.
sizes() ->
    {size_of(?LOCAL), size_of(?REMOTE)}.

%% Inserts, or replaces the one of that name.
-spec insert_local(#service_entry{}) -> ok.
insert_local(#service_entry{name = Name, pid = Pid} = Entry) ->
    true = ets:insert(?LOCAL, Entry),
    true = ets:insert(?BEST, {Name, local, Pid}),
    ok.

-spec delete_local(#service_entry{}) -> ok.
delete_local(#service_entry{name = Name}) ->
    ok = choose(Name),
    true = ets:delete(?LOCAL, Name),
    ok.

-spec insert_remote(#service_entry{}) -> ok.
insert_remote(#service_entry{name = Name, node = Node, pid = Pid} = Entry) ->
    true = ets:insert(?REMOTE, Entry),
    _ = ets:insert_new(?BEST, {Name, Node, Pid}),
    ok.

-spec delete_remote(#service_entry{}) -> ok.
delete_remote(#service_entry{name = Name, node = Node, pid = Pid} = Entry) ->
    true = ets:delete_object(?REMOTE, Entry),
    case find(Name) of
        {Node, Pid} -> choose(Name);
        _ -> ok
    end.

%% Makes the tables agree again after the writer was killed between two steps.
-spec mend() -> ok.
mend() ->
    _ = [choose(Name) || Name <- names(), not ets:member(?LOCAL, Name)],
    lists:foreach(fun insert_local/1, locals()),
    _ = [ets:insert_new(?BEST, {Name, Node, Pid}) || #service_entry{name = Name, node = Node, pid = Pid} <- remotes()],
    ok.

%% Of the remote ones; the row is replaced, so that no reader finds nothing meanwhile.
-spec choose(Name :: term()) -> ok.
choose(Name) ->
    true = case ets:lookup(?REMOTE, Name) of
               [#service_entry{node = Node, pid = Pid} | _] -> ets:insert(?BEST, {Name, Node, Pid});
               [] -> ets:delete(?BEST, Name)
           end,
    ok.

-spec size_of(atom()) -> non_neg_integer().
size_of(Table) ->
    case ets:info(Table, size) of
        undefined -> 0;
        Size -> Size
    end.
