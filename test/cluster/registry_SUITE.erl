%% SPDX-License-Identifier: Apache-2.0
-module(registry_SUITE).
-moduledoc """
Services of real nodes: found once and told once on every node, gone with their node, back with it after a silence, and never of a former life.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([own_registration_is_found_once_and_told_once/1, eviction_from_a_view_removes_nothing/1, death_of_a_stranger_removes_its_entries/1,
         tuple_names_are_found_on_other_nodes/1, late_comer_learns_and_is_told_everything/1, silence_hides_and_return_shows/1,
         former_life_never_comes_back/1, node_that_leaves_takes_its_services_along/1, killed_registry_is_not_noticed_by_others/1,
         garbage_of_a_member_harms_nobody/1, distribution_that_starts_later_publishes/1, same_name_on_many_nodes/1,
         crash_of_the_membership_process_hides_nobody_but_the_dead/1, node_that_returns_too_late_puts_its_services_back/1]).

-import(barrel_p2p_test, [on/2, kill/1, freeze/1, thaw/1, start/3, wait_until/3]).
-import(barrel_p2p_test_members, [alone/3, started/1, address/1, join/2, active/1, until_members/3]).
-import(barrel_p2p_test_services, [cluster_of/2, cluster_of/3, hold/2, hold/3, found/2, where/2, until_found/3, until_found/4,
                                   record_services/1, told/2, until_told/3]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [own_registration_is_found_once_and_told_once, eviction_from_a_view_removes_nothing, death_of_a_stranger_removes_its_entries,
     tuple_names_are_found_on_other_nodes, late_comer_learns_and_is_told_everything, silence_hides_and_return_shows,
     former_life_never_comes_back, node_that_leaves_takes_its_services_along, killed_registry_is_not_noticed_by_others,
     garbage_of_a_member_harms_nobody, distribution_that_starts_later_publishes, same_name_on_many_nodes,
     crash_of_the_membership_process_hides_nobody_but_the_dead, node_that_returns_too_late_puts_its_services_back].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

%% A node that took in its own broadcast had two entries and two events.
own_registration_is_found_once_and_told_once(Config) ->
    [#{node := NodeA} = A, B, C] = All = cluster_of(Config, 3),
    Pid = hold(A, chat, #{room => 1}),
    ok = until_found(All, chat, [NodeA]),
    {ok, Pid} = where(A, chat),
    [{ok, NodeA, Pid}, {ok, NodeA, Pid}] = [where(P, chat) || P <- [B, C]],
    ok = until_told(All, chat, [{service_registered, chat, NodeA}]),
    ok = on(A, fun() -> barrel_p2p:unregister_service(chat) end),
    ok = until_found(All, chat, []),
    Ended = [{service_registered, chat, NodeA}, {service_unregistered, chat, NodeA}],
    ok = until_told(All, chat, Ended),
    %% A death is told as such where it happened.
    Mortal = hold(A, mortal),
    ok = until_found(All, mortal, [NodeA]),
    true = on(A, fun() -> exit(Mortal, kill) end),
    ok = until_told([A], mortal, [{service_registered, mortal, NodeA}, {service_down, mortal, NodeA, killed}]),
    ok = until_told([B, C], mortal, [{service_registered, mortal, NodeA}, {service_unregistered, mortal, NodeA}]),
    %% What was told late would be here by now: the events of another name went the same way.
    ok = until_told(All, chat, Ended).

%% Losing a neighbour was taken for its death.
eviction_from_a_view_removes_nothing(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B, C] = All = cluster_of(Config, 3),
    _ = hold(B, kept),
    ok = until_found(All, kept, [NodeB]),
    ok = on(A, fun() -> barrel_p2p_hyparview:block_peers([NodeB]) end),
    ok = wait_until(no_neighbours, fun() -> not lists:member(NodeB, active(A)) andalso not lists:member(NodeA, active(B)) end, 10_000),
    %% What comes later still arrives, by the third node, and the first one was told nothing else.
    _ = hold(B, later),
    ok = until_found([A, C], later, [NodeB]),
    ok = until_found(All, kept, [NodeB]),
    ok = until_told(All, kept, [{service_registered, kept, NodeB}]).

%% Only neighbours noticed a death, so entries of others stayed for ever.
death_of_a_stranger_removes_its_entries(Config) ->
    All = cluster_of(Config, 8, [{active_size, 3}]),
    [#{node := Dead} = Victim | Survivors] = lists:reverse(All),
    Names = [{worker, N} || N <- lists:seq(1, 20)],
    _ = [hold(Victim, Name) || Name <- Names],
    _ = [until_found(All, Name, [Dead]) || Name <- Names],
    ok = kill(Victim),
    _ = [until_found(Survivors, Name, []) || Name <- Names],
    _ = [ok = until_told(Survivors, Name, [{service_registered, Name, Dead}, {service_down, Name, Dead, nodedown}]) || Name <- Names],
    [] = lists:append([on(P, fun barrel_p2p:list_services/0) || P <- Survivors]).

%% They were accepted where they were registered and dropped everywhere else.
tuple_names_are_found_on_other_nodes(Config) ->
    [#{node := NodeA} = A | _] = All = cluster_of(Config, 3),
    Names = [{chat_room, 7}, {worker, NodeA}, 1, 1.0, "text", <<"text">>, #{a => 1}, '_', []],
    _ = [hold(A, Name, #{name => Name}) || Name <- Names],
    _ = [ok = until_found(All, Name, [NodeA]) || Name <- Names],
    _ = [ok = until_told(All, Name, [{service_registered, Name, NodeA}]) || Name <- Names],
    [[], [], []] = [Names -- on(P, fun barrel_p2p:list_services/0) || P <- All],
    ok = on(A, fun() -> barrel_p2p:unregister_service(1) end),
    ok = until_found(All, 1, []),
    ok = until_found(All, 1.0, [NodeA]).

%% A full exchange added entries without a word.
late_comer_learns_and_is_told_everything(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = cluster_of(Config, 2),
    Names = [{service, N} || N <- lists:seq(1, 500)],
    _ = [hold(P, Name) || P <- [A, B], Name <- Names],
    C = alone(proplists:get_value(cluster, Config), late, []),
    ok = record_services(C),
    #{node := NodeC} = C,
    _ = hold(C, {service, 1}),
    ok = join(C, A),
    ok = wait_until(all_known, fun() -> length(on(C, fun barrel_p2p:list_services/0)) =:= length(Names) end, 10_000),
    _ = [ok = until_found([C], Name, [NodeA, NodeB]) || Name <- tl(Names)],
    _ = [true = lists:sort(told(C, Name)) =:= [{service_registered, Name, Node} || Node <- lists:sort([NodeA, NodeB])] || Name <- tl(Names)],
    ok = until_found([A, B, C], {service, 1}, [NodeA, NodeB, NodeC]),
    [NodeC | _] = found(C, {service, 1}).

%% A node that is not heard of is as good as dead; when it turns out that it was not, its services are back without anyone registering them again.
silence_hides_and_return_shows(Config) ->
    [A, B, #{node := Silent} = C] = All = cluster_of(Config, 3),
    _ = hold(C, patient, #{a => 1}),
    ok = until_found(All, patient, [Silent]),
    ok = freeze(C),
    ok = until_found([A, B], patient, []),
    ok = until_told([A, B], patient, [{service_registered, patient, Silent}, {service_down, patient, Silent, nodedown}]),
    ok = thaw(C),
    ok = until_members(All, All, 30_000),
    ok = until_found(All, patient, [Silent]),
    ok = until_told([A, B], patient, [{service_registered, patient, Silent}, {service_down, patient, Silent, nodedown},
                                      {service_registered, patient, Silent}]),
    ok = on(C, fun() -> barrel_p2p:unregister_service(patient) end),
    ok = until_found(All, patient, []).

%% The others still have what the node has forgotten.
former_life_never_comes_back(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    [A, B, #{node := Node} = C] = cluster_of(Config, 3),
    _ = [hold(C, Name) || Name <- [lost, found_again]],
    _ = [ok = until_found([A, B, C], Name, [Node]) || Name <- [lost, found_again]],
    ok = kill(C),
    Again = alone(Cluster, n3, []),
    ok = record_services(Again),
    Second = hold(Again, found_again),
    ok = join(Again, A),
    Now = [A, B, Again],
    ok = until_members(Now, Now, 15_000),
    ok = wait_until(successor_found, fun() -> [where(P, found_again) || P <- [A, B]] =:= [{ok, Node, Second}, {ok, Node, Second}] end, 15_000),
    ok = until_found(Now, found_again, [Node]),
    ok = until_found(Now, lost, []),
    %% A link to the former life may have to be noticed as dead before the first message goes through.
    Call = fun() -> try gen_server:call({via, barrel_p2p, found_again}, hello) catch exit:Reason -> Reason end end,
    Answer = fun(P) -> on(P, Call) end,
    ok = wait_until(answered, fun() -> [Answer(P) || P <- [A, B]] =:= [{echo, hello}, {echo, hello}] end, 10_000),
    [{service_registered, lost, Node}, {service_down, lost, Node, nodedown}] = told(A, lost),
    %% The node itself has removed what it does not have.
    ok = wait_until(removed, fun() ->
                        Key = barrel_p2p_store:key({lost, Node}),
                        lists:all(fun(P) -> on(P, fun() -> barrel_p2p_store:get(barrel_p2p_registry_server:store(), Key) end) =:= removed end, Now)
                    end, 10_000),
    [] = told(Again, lost).

node_that_leaves_takes_its_services_along(Config) ->
    [#{node := Left} = A, B, #{node := Node} = C] = All = cluster_of(Config, 3),
    _ = hold(C, leaving),
    _ = hold(A, staying),
    ok = until_found(All, leaving, [Node]),
    ok = until_found(All, staying, [Left]),
    ok = on(C, fun barrel_p2p:leave/0),
    ok = until_told([A, B], leaving, [{service_registered, leaving, Node}, {service_down, leaving, Node, left}]),
    ok = until_found([A, B], leaving, []),
    ok = until_found([C], leaving, [Node]),
    ok = until_found([C], staying, []),
    ok = join(C, A),
    ok = until_found(All, leaving, [Node]),
    ok = until_found(All, staying, [Left]).

killed_registry_is_not_noticed_by_others(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B, C] = All = cluster_of(Config, 3),
    _ = hold(A, kept),
    _ = hold(B, theirs),
    _ = [ok = until_found(All, Name, [Node]) || {Name, Node} <- [{kept, NodeA}, {theirs, NodeB}]],
    Missed = on(A, fun() ->
                       Reader = spawn_monitor(fun() -> exit(lookups(100_000, 0)) end),
                       _ = [begin
                                exit(whereis(barrel_p2p_registry), kill),
                                receive after 200 -> ok end
                            end || _ <- [1, 2, 3]],
                       receive {'DOWN', _, process, Pid, Result} when Pid =:= element(1, Reader) -> Result end
                   end),
    0 = Missed,
    _ = hold(A, next),
    ok = until_found(All, next, [NodeA]),
    _ = hold(B, after_all),
    ok = until_found(All, after_all, [NodeB]),
    _ = [ok = until_told(All, Name, [{service_registered, Name, Node}]) || {Name, Node} <- [{kept, NodeA}, {theirs, NodeB}, {after_all, NodeB}]],
    [NodeA] = found(C, kept).

lookups(0, Missed) ->
    Missed;
lookups(Left, Missed) ->
    Found = [barrel_p2p:whereis_service(Name, #{retries => 0}) || Name <- [kept, theirs]],
    lookups(Left - 1, Missed + length([missing || {error, not_found} <- Found])).

%% Whoever is a member can write into the store what it likes.
garbage_of_a_member_harms_nobody(Config) ->
    [#{node := NodeA} = A, B, C] = cluster_of(Config, 3),
    Registries = [on(P, fun() -> whereis(barrel_p2p_registry) end) || P <- [B, C]],
    Count = on(A, fun() ->
                      {ok, Store} = barrel_p2p_store:open(barrel_p2p_registry, #{tombstone_ttl_ms => 3_600_000}),
                      Keys = [name, {name, other@node}, {name, NodeA, 1}, {{name, 1}, "n1"}],
                      Values = [none, {self(), #{}, 1}, {self(), [], {1, 1}}, {no_pid, #{}, {1, 1}}, [], <<131>>],
                      Terms = [{barrel_p2p_store:key(Key), barrel_p2p_store:value({self(), #{}, {1, 1}})} || Key <- Keys]
                          ++ [{barrel_p2p_store:key({{value, N}, NodeA}), barrel_p2p_store:value(Value)} || {N, Value} <- lists:enumerate(Values)],
                      Bytes = [{<<>>, <<>>}, {<<131>>, <<131, 106>>}, {<<"no term">>, <<131, 106>>},
                               {barrel_p2p_store:key({bytes, NodeA}), <<131, 80, 0>>}],
                      _ = [{ok, _} = barrel_p2p_store:put(Store, Key, Value) || {Key, Value} <- Terms ++ Bytes],
                      length(Terms ++ Bytes)
                  end),
    Rejected = fun(P) -> on(P, fun() -> maps:get(<<"barrel_p2p.registry.rejected">>, barrel_p2p_metrics:snapshot()) end) end,
    try wait_until(rejected, fun() -> [Rejected(P) || P <- [B, C]] =:= [Count, Count] end, 10_000)
    catch error:{not_within_ms, _, _} -> error({rejected, [Rejected(P) || P <- [B, C]], should_be, Count})
    end,
    Registries = [on(P, fun() -> whereis(barrel_p2p_registry) end) || P <- [B, C]],
    [[], []] = [on(P, fun barrel_p2p:list_services/0) || P <- [B, C]],
    %% The registry whose store was taken from it takes it back and removes what it has not registered.
    true = on(A, fun() -> exit(whereis(barrel_p2p_registry), kill) end),
    ok = wait_until(back, fun() -> on(A, fun() -> is_pid(whereis(barrel_p2p_registry)) end) end, 5_000),
    _ = hold(A, sensible),
    ok = until_found([A, B, C], sensible, [NodeA]).

%% Registered while there was no distribution, under no name; again after each new start.
distribution_that_starts_later_publishes(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    #{node := Seed} = First = alone(Cluster, seed, []),
    ok = record_services(First),
    _ = hold(First, theirs),
    P = started(start(Cluster, none, #{data => "late", config => [{discovery_backends, []}, {contact_nodes, [address(First)]},
                                                                 {contact_retry_ms, 200}]})),
    ok = record_services(P),
    Pid = hold(P, early),
    {ok, Pid} = where(P, early),
    _ = [begin
             {ok, _} = on(P, fun() -> net_kernel:start(Node, #{name_domain => longnames}) end),
             ok = until_found([First, P#{node := Node}], early, [Node]),
             ok = until_found([P#{node := Node}], theirs, [Seed]),
             {echo, hello} = on(First, fun() -> gen_server:call({via, barrel_p2p, early}, hello) end),
             ok = on(P, fun net_kernel:stop/0),
             ok = until_found([First], early, []),
             ok = until_found([P], early, [nonode@nohost]),
             ok = until_found([P], theirs, [])
         end || Node <- ['late@127.0.0.1', 'other@127.0.0.1', 'late@127.0.0.1']],
    {ok, Pid} = where(P, early).

same_name_on_many_nodes(Config) ->
    [#{node := NodeA} = A | Rest] = All = cluster_of(Config, 5),
    Nodes = [Node || #{node := Node} <- All],
    _ = [hold(P, worker, #{at => Node}) || #{node := Node} = P <- All],
    ok = until_found(All, worker, Nodes),
    true = lists:all(fun(#{node := Node} = P) -> hd(found(P, worker)) =:= Node end, All),
    ok = on(A, fun() -> barrel_p2p:unregister_service(worker) end),
    ok = until_found(All, worker, Nodes -- [NodeA]),
    {ok, _, _} = where(A, worker),
    _ = [ok = on(P, fun() -> barrel_p2p:unregister_service(worker) end) || P <- tl(Rest)],
    [#{node := Last} | _] = Rest,
    ok = until_found(All, worker, [Last]),
    {ok, Last, _} = where(A, worker).

%% For a moment the node knows no member at all, and nobody tells it afterwards who died meanwhile.
crash_of_the_membership_process_hides_nobody_but_the_dead(Config) ->
    [A, #{node := NodeB} = B, #{node := NodeC} = C] = All = cluster_of(Config, 3),
    _ = [hold(P, Name) || {P, Name} <- [{B, alive}, {C, dead}]],
    _ = [ok = until_found(All, Name, [Node]) || {Name, Node} <- [{alive, NodeB}, {dead, NodeC}]],
    ok = kill(C),
    true = on(A, fun() -> exit(whereis(barrel_p2p_membership), kill) end),
    [NodeB] = found(A, alive),
    ok = until_found([A, B], dead, [], 30_000),
    ok = until_members([A, B], [A, B], 15_000),
    ok = until_told([A, B], dead, [{service_registered, dead, NodeC}, {service_down, dead, NodeC, nodedown}]),
    _ = hold(B, later),
    ok = until_found([A], later, [NodeB]),
    ok = until_told([A], alive, [{service_registered, alive, NodeB}]).

%% The others have removed what it had registered; what it has is for itself to say.
node_that_returns_too_late_puts_its_services_back(Config) ->
    [A, B, #{node := Node} = C] = All = cluster_of(Config, 3),
    _ = hold(C, patient),
    ok = until_found(All, patient, [Node]),
    ok = freeze(C),
    ok = until_found([A, B], patient, []),
    %% It has been away for two days.
    _ = on(A, fun() ->
                  Since = erlang:monotonic_time(millisecond) - 172_800_000,
                  {_, [], Long} = barrel_p2p_registry_absence:audited([Node], true, Since, 1_000, barrel_p2p_registry_absence:new()),
                  _ = sys:replace_state(barrel_p2p_registry, fun(State) -> setelement(tuple_size(State), State, Long) end),
                  barrel_p2p_registry ! audit
              end),
    Key = barrel_p2p_store:key({patient, Node}),
    ok = wait_until(pruned, fun() -> on(A, fun() -> barrel_p2p_store:get(barrel_p2p_registry_server:store(), Key) end) =:= removed end, 5_000),
    ok = thaw(C),
    ok = until_members(All, All, 30_000),
    ok = until_found(All, patient, [Node], 30_000),
    {value, _, Node} = on(A, fun() -> barrel_p2p_store:get(barrel_p2p_registry_server:store(), Key) end).
