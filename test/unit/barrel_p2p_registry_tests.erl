%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_tests).
-moduledoc """
The registry of one node, here without distribution: what is registered is found once and told once, whatever dies.
""".
-include_lib("eunit/include/eunit.hrl").
-include("barrel_p2p.hrl").

-define(AT_ONCE_MS, 50).

registry_test_() ->
    {foreach, fun started/0, fun stopped/1,
     [{Name, {timeout, 30, Test}} || {Name, Test} <- tests()]}.

tests() ->
    [{"registration is found and told once", fun registration_is_found_and_told_once/0},
     {"any term is a name", fun any_term_is_a_name/0},
     {"name is taken until it is given back", fun name_is_taken_until_it_is_given_back/0},
     {"wrong arguments are refused", fun wrong_arguments_are_refused/0},
     {"registration too large for others is refused before they are there", fun registration_too_large_for_others_is_refused/0},
     {"death of the process is told", fun death_of_the_process_is_told/0},
     {"dead process can be registered", fun dead_process_can_be_registered/0},
     {"name of a dead process is free at once", fun name_of_a_dead_process_is_free_at_once/0},
     {"miss without retries answers at once", fun miss_without_retries_answers_at_once/0},
     {"retries wait and look again", fun retries_wait_and_look_again/0},
     {"via starts, calls and stops", fun via_starts_calls_and_stops/0},
     {"send to nobody raises", fun send_to_nobody_raises/0},
     {"fresh via name starts without waiting", fun fresh_via_name_starts_without_waiting/0},
     {"killed registry comes back with its services", fun killed_registry_comes_back_with_its_services/0},
     {"lookups go on without the registry process", fun lookups_go_on_without_the_registry_process/0},
     {"services of the dead are let go after a crash", fun services_of_the_dead_are_let_go_after_a_crash/0},
     {"holder holds and stops", fun holder_holds_and_stops/0},
     {"malformed entries are rejected and counted", fun malformed_entries_are_rejected_and_counted/0},
     {"many callers at once", fun many_callers_at_once/0}].

registration_is_found_and_told_once() ->
    ok = barrel_p2p:subscribe_services(),
    Self = self(),
    ok = barrel_p2p:register_service(chat, #{room => 1}),
    Entry = #service_entry{name = chat, pid = Self, node = node(), meta = #{room => 1}},
    ?assertEqual({ok, [Entry]}, barrel_p2p:lookup(chat)),
    ?assertEqual({ok, Self}, barrel_p2p:lookup_local(chat)),
    ?assertEqual({ok, Self}, barrel_p2p:whereis_service(chat)),
    ?assertEqual([chat], barrel_p2p:list_services()),
    ?assertEqual([Entry], barrel_p2p_registry:get_all_local()),
    ok = barrel_p2p:unregister_service(chat),
    ok = barrel_p2p:unregister_service(chat),
    ?assertEqual({error, not_found}, barrel_p2p:lookup(chat)),
    ?assertEqual({error, not_found}, barrel_p2p:lookup_local(chat)),
    ?assertEqual([], barrel_p2p:list_services()),
    ?assertEqual([{service_registered, chat, node()}, {service_unregistered, chat, node()}], heard(2)),
    ok = barrel_p2p:unsubscribe_services(self()).

any_term_is_a_name() ->
    Names = [1, 1.0, '_', '$1', atom, {chat, room, 1}, <<"binary">>, "string", [], #{a => {b}}, self(), make_ref(), fun lists:map/2],
    [?assertEqual(ok, barrel_p2p:register_service(Name, #{name => Name})) || Name <- Names],
    [?assertMatch({ok, [#service_entry{name = Name, meta = #{name := Name}}]}, barrel_p2p:lookup(Name)) || Name <- Names],
    ?assertEqual(lists:sort(Names -- [1.0]), barrel_p2p:list_services() -- [1.0]),
    ?assert(lists:member(1.0, barrel_p2p:list_services())),
    ok = barrel_p2p:unregister_service('_'),
    ok = barrel_p2p:unregister_service(1),
    ?assertEqual(lists:sort(Names -- ['_', 1]), barrel_p2p:list_services()),
    [ok = barrel_p2p:unregister_service(Name) || Name <- Names],
    ?assertEqual([], barrel_p2p:list_services()).

name_is_taken_until_it_is_given_back() ->
    Other = idle(),
    ok = barrel_p2p:register_service(taken),
    ?assertEqual({error, already_registered}, barrel_p2p:register_service(taken)),
    ?assertEqual({error, already_registered}, barrel_p2p:register_service(taken, Other, #{})),
    ?assertEqual(no, barrel_p2p:register_name(taken, Other)),
    ok = barrel_p2p:unregister_service(taken),
    ?assertEqual(yes, barrel_p2p:register_name(taken, Other)),
    ?assertEqual({ok, Other}, barrel_p2p:lookup_local(taken)).

wrong_arguments_are_refused() ->
    ?assertError(function_clause, barrel_p2p:register_service(name, not_a_pid, #{})),
    ?assertError(function_clause, barrel_p2p:register_service(name, self(), [])).

%% Once distribution starts nobody could be told, and the end of it would end the registry.
registration_too_large_for_others_is_refused() ->
    Large = {name, binary:copy(<<0>>, 70_000)},
    ?assertEqual([{error, too_large}, {error, too_large}, {error, too_large}, ok],
                 [barrel_p2p:register_service(Large), barrel_p2p:register_service(binary:copy(<<0>>, 65_400)),
                  barrel_p2p:register_service(large, #{meta => binary:copy(<<0>>, 524_000)}),
                  barrel_p2p:register_service(large, #{meta => binary:copy(<<0>>, 520_000)})]),
    ok = barrel_p2p:unregister_service(Large),
    ?assertEqual([large], barrel_p2p:list_services()).

death_of_the_process_is_told() ->
    ok = barrel_p2p:subscribe_services(),
    Pid = idle(),
    [ok = barrel_p2p:register_service(Name, Pid, #{}) || Name <- [one, two]],
    Pid ! {exit, because},
    Told = heard(4),
    ?assertEqual([{service_down, one, node(), because}, {service_down, two, node(), because}], lists:sort(lists:nthtail(2, Told))),
    ?assertEqual([], barrel_p2p:list_services()).

dead_process_can_be_registered() ->
    ok = barrel_p2p:subscribe_services(),
    Pid = idle(),
    end_it(Pid),
    ok = barrel_p2p:register_service(ghost, Pid, #{}),
    ?assertEqual([{service_registered, ghost, node()}, {service_down, ghost, node(), noproc}], heard(2)).

%% A supervisor starts the successor before anybody has noticed the death.
name_of_a_dead_process_is_free_at_once() ->
    ok = barrel_p2p:subscribe_services(),
    [begin
         Pid = idle(),
         yes = barrel_p2p:register_name(successor, Pid),
         end_it(Pid),
         ?assertEqual(undefined, barrel_p2p:whereis_name(successor))
     end || _ <- lists:seq(1, 100)],
    %% The emulator may hold the monitor back until its owner has answered: one in 200,000 comes after the death, and tells of no process.
    Told = [case Event of {service_down, Name, Node, noproc} -> {service_down, Name, Node, killed}; _ -> Event end || Event <- heard(200)],
    Each = [{service_registered, successor, node()}, {service_down, successor, node(), killed}],
    ?assertEqual(lists:append(lists:duplicate(100, Each)), Told).

miss_without_retries_answers_at_once() ->
    {Microseconds, Result} = timer:tc(fun() -> barrel_p2p:whereis_service(nobody, #{retries => 0}) end),
    ?assertEqual({error, not_found}, Result),
    ?assert(Microseconds < 1000 * ?AT_ONCE_MS).

retries_wait_and_look_again() ->
    Self = self(),
    Searcher = spawn_link(fun() -> Self ! {self(), barrel_p2p:whereis_service(late)} end),
    barrel_p2p_test:wait_until(waiting, fun() -> process_info(Searcher, status) =:= {status, waiting} end, 1_000),
    ok = barrel_p2p:register_service(late),
    receive {Searcher, Result} -> ?assertEqual({ok, Self}, Result) after 5_000 -> error(not_found_again) end,
    {Microseconds, {error, not_found}} = timer:tc(fun() -> barrel_p2p:whereis_service(nobody, #{retries => 2}) end),
    ?assert(Microseconds >= 300_000),
    ?assertEqual([], flushed()).

via_starts_calls_and_stops() ->
    Via = {via, barrel_p2p, {server, 1}},
    {ok, Pid} = gen_server:start(Via, registry_echo, [], []),
    ?assertEqual({error, {already_started, Pid}}, gen_server:start(Via, registry_echo, [], [])),
    ?assertEqual({echo, hello}, gen_server:call(Via, hello)),
    ok = gen_server:cast(Via, {tell, self(), cast}),
    Pid = barrel_p2p:send({server, 1}, {tell, self(), sent}),
    ?assertEqual([cast, sent], [receive M -> M after 1_000 -> nothing end || _ <- [1, 2]]),
    ok = gen_server:stop(Via),
    ?assertEqual(undefined, barrel_p2p:whereis_name({server, 1})),
    {ok, Second} = gen_server:start(Via, registry_echo, [], []),
    ?assertNotEqual(Pid, Second),
    ok = gen_server:stop(Via).

send_to_nobody_raises() ->
    ?assertError({badarg, {nobody, hello}}, barrel_p2p:send(nobody, hello)).

%% A fresh name costs no retries and no question to anybody.
fresh_via_name_starts_without_waiting() ->
    Count = 100,
    {Microseconds, _} = timer:tc(fun() -> [{ok, _} = gen_server:start({via, barrel_p2p, {fresh, N}}, registry_echo, [], [])
                                           || N <- lists:seq(1, Count)] end),
    ?assert(Microseconds div Count < 1000 * ?AT_ONCE_MS),
    [ok = gen_server:stop({via, barrel_p2p, {fresh, N}}) || N <- lists:seq(1, Count)].

killed_registry_comes_back_with_its_services() ->
    ok = barrel_p2p:register_service(kept, #{a => 1}),
    ok = barrel_p2p:subscribe_services(),
    Before = barrel_p2p:lookup(kept),
    kill_registry(),
    ?assertEqual({error, already_registered}, barrel_p2p:register_service(kept)),
    ?assertEqual(Before, barrel_p2p:lookup(kept)),
    Pid = idle(),
    ok = barrel_p2p:register_service(next, Pid, #{}),
    kill_registry(),
    end_it(Pid),
    ?assertEqual([{service_registered, next, node()}, {service_down, next, node(), killed}], heard(2)),
    ok = barrel_p2p:unregister_service(kept),
    ?assertEqual([{service_unregistered, kept, node()}], heard(1)).

lookups_go_on_without_the_registry_process() ->
    ok = barrel_p2p:register_service(kept),
    Self = self(),
    ok = sys:suspend(barrel_p2p_registry),
    ?assertEqual({ok, Self}, barrel_p2p:whereis_service(kept)),
    ?assertMatch({ok, [_]}, barrel_p2p:lookup(kept)),
    ?assertEqual({error, not_found}, barrel_p2p:whereis_service(other, #{retries => 0})),
    ?assertEqual([kept], barrel_p2p:list_services()),
    ok = sys:resume(barrel_p2p_registry).

services_of_the_dead_are_let_go_after_a_crash() ->
    Pid = idle(),
    ok = barrel_p2p:register_service(lost, Pid, #{}),
    ok = barrel_p2p:subscribe_services(),
    ok = sys:suspend(barrel_p2p_registry),
    end_it(Pid),
    kill_registry(),
    ?assertEqual([{service_down, lost, node(), noproc}], heard(1)),
    ?assertEqual([], barrel_p2p:list_services()).

holder_holds_and_stops() ->
    {ok, Pid} = barrel_p2p:start_service_holder(held),
    ?assertEqual({ok, Pid}, barrel_p2p:lookup_local(held)),
    ?assertEqual({error, already_registered}, barrel_p2p:start_service_holder(held)),
    ok = barrel_p2p:subscribe_services(),
    ok = barrel_p2p:stop_service_holder(Pid),
    ?assertEqual([{service_down, held, node(), normal}], heard(1)).

%% Whatever a member sends as a registration.
malformed_entries_are_rejected_and_counted() ->
    Pid = self(),
    Pairs = [{{name, 'a@h'}, Value} || Value <- [none, {Pid, #{}}, {Pid, [], unknown}, {none, #{}, unknown}, {Pid, #{}, {1}}, {Pid, #{}, {-1, 1}},
                                                 {Pid, #{}, {1, a}}, {Pid, #{}, 7}, #{}, [Pid]]]
        ++ [{Key, {Pid, #{}, unknown}} || Key <- [name, {name}, {name, 'b@h'}, {name, "a@h"}, {name, 'a@h', 1}, []]],
    Rejected = fun() -> maps:get(<<"barrel_p2p.registry.rejected">>, barrel_p2p_metrics:snapshot()) end,
    Before = Rejected(),
    Store = barrel_p2p_registry_server:store(),
    [begin
         Stamp = barrel_p2p_hlc:now(),
         ok = barrel_p2p_store:stage_ormap(Store, #{Key => {value, Value, #{{'a@h', Stamp} => true}}}),
         barrel_p2p_test:wait_until({rejected, Key, Value}, fun() -> Rejected() =:= Before + Count end, 2_000)
     end || {Count, {Key, Value}} <- lists:enumerate(Pairs)],
    [?assertEqual(ok, barrel_p2p_registry:merge_remote(Entries))
     || Entries <- [none, [], #{a => b}, #{{name, 'a@h'} => {value, none, #{}}},
                    #{{name, 'a@h'} => {value, {Pid, #{}, unknown}, #{{'a@h', 1} => true}}}]],
    ?assertEqual({error, not_found}, barrel_p2p:lookup(name)),
    ?assertEqual([], barrel_p2p:list_services()).

many_callers_at_once() ->
    {Callers, Rounds} = {16, 500},
    Work = fun(Caller) ->
               [begin
                    ok = barrel_p2p:register_service({Caller, Round}),
                    {ok, [_]} = barrel_p2p:lookup({Caller, Round}),
                    ok = barrel_p2p:unregister_service({Caller, Round})
                end || Round <- lists:seq(1, Rounds)],
               exit(done)
           end,
    Running = [spawn_monitor(fun() -> Work(Caller) end) || Caller <- lists:seq(1, Callers)],
    [receive {'DOWN', Monitor, process, Pid, Why} -> ?assertEqual(done, Why) end || {Pid, Monitor} <- Running],
    ?assertEqual([], barrel_p2p:list_services()).

%% Helpers.

started() ->
    ok = config_fixture:reset(),
    {ok, _} = application:ensure_all_started(barrel_p2p),
    _ = flushed(),
    ok.

stopped(ok) ->
    ok = application:stop(barrel_p2p),
    _ = flushed(),
    ok.

kill_registry() ->
    end_it(whereis(barrel_p2p_registry)),
    barrel_p2p_test:wait_until(registry_is_back, fun() -> is_pid(whereis(barrel_p2p_registry)) end, 5_000),
    _ = barrel_p2p_registry_server:store(),
    ok.

idle() ->
    spawn(fun() -> receive {exit, Reason} -> exit(Reason) end end).

end_it(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

%% So many events, and no more.
heard(Count) ->
    Events = [receive {barrel_p2p_service_event, Event} -> Event after 2_000 -> nothing end || _ <- lists:seq(1, Count)],
    Events ++ [More || {barrel_p2p_service_event, More} <- flushed()].

flushed() ->
    receive
        Message -> [Message | flushed()]
    after 0 -> []
    end.
