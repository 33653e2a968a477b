%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_service_events_tests).
-moduledoc """
Every subscriber hears of exactly the services it asked for, once, whatever crashes in between.
""".
-include_lib("eunit/include/eunit.hrl").

events_test_() ->
    {foreach, fun started/0, fun stopped/1,
     [fun all_are_heard/0, fun one_name_is_heard/0, fun names_that_are_equal_but_not_the_same_are_apart/0, fun patterns_look_at_names_as_text/0,
      fun pattern_that_is_none_is_refused/0, fun filter_that_is_none_is_refused/0, fun later_filter_takes_the_place_of_the_first/0,
      fun pattern_that_takes_for_ever_does_not/0, fun unsubscribed_hears_nothing/0, fun dead_subscribers_are_forgotten/0,
      fun crash_of_the_server_loses_no_subscriber/0]}.

all_are_heard() ->
    ok = barrel_p2p_service_events:subscribe(self()),
    ok = barrel_p2p_service_events:subscribe(self(), all),
    Events = [{service_registered, a, n}, {service_unregistered, {b, 1}, n}, {service_down, <<"c">>, n, killed}],
    lists:foreach(fun barrel_p2p_service_events:notify/1, Events),
    ?assertEqual(Events, heard()).

one_name_is_heard() ->
    ok = barrel_p2p_service_events:subscribe(self(), {name, {chat, 1}}),
    notify_of([{chat, 2}, {chat, 1}, chat, '_']),
    ?assertEqual([{chat, 1}], names()).

names_that_are_equal_but_not_the_same_are_apart() ->
    ok = barrel_p2p_service_events:subscribe(self(), {name, 1}),
    notify_of([1.0, 1, '_']),
    ?assertEqual([1], names()).

patterns_look_at_names_as_text() ->
    ok = barrel_p2p_service_events:subscribe(self(), {pattern, "^wörker.[0-9]+$"}),
    Matching = ['wörker_1', <<"wörker_2"/utf8>>, "wörker_3"],
    notify_of([worker_1, <<"wörker"/utf8>>, 7, <<0, 255>>, [], [<<"wörker_4"/utf8>>, {x}], '' | Matching]),
    ?assertEqual(Matching, names()),
    ok = barrel_p2p_service_events:subscribe(self(), {pattern, <<"room,">>}),
    notify_of([{room, 1}, room, #{a => [{room, 2}]}]),
    ?assertEqual([{room, 1}, #{a => [{room, 2}]}], names()).

pattern_that_is_none_is_refused() ->
    ?assertMatch({error, {invalid_pattern, {_, _}}}, barrel_p2p_service_events:subscribe(self(), {pattern, "(unclosed"})),
    [?assertMatch({error, {invalid_pattern, _}}, barrel_p2p_service_events:subscribe(self(), {pattern, Regex})) || Regex <- [1, [a], <<255>>]],
    notify_of([a]),
    ?assertEqual([], names()).

filter_that_is_none_is_refused() ->
    [?assertError(badarg, barrel_p2p_service_events:subscribe(self(), Filter)) || Filter <- [some, {name}, {patterns, "a"}, "a"]].

later_filter_takes_the_place_of_the_first() ->
    ok = barrel_p2p_service_events:subscribe(self()),
    ok = barrel_p2p_service_events:subscribe(self(), {pattern, "^b"}),
    ok = barrel_p2p_service_events:subscribe(self(), {name, c}),
    notify_of([a, b, c]),
    ?assertEqual([c], names()),
    ?assertMatch({error, _}, barrel_p2p_service_events:subscribe(self(), {pattern, "("})),
    notify_of([c]),
    ?assertEqual([c], names()).

%% It would run for hours without a limit.
pattern_that_takes_for_ever_does_not() ->
    ok = barrel_p2p_service_events:subscribe(self(), {pattern, "^(a+)+$"}),
    {Microseconds, ok} = timer:tc(fun() -> notify_of([binary:copy(<<"a">>, 60_000), <<(binary:copy(<<"a">>, 5_000))/binary, "b">>]) end),
    ?assert(Microseconds < 5_000_000).

unsubscribed_hears_nothing() ->
    ok = barrel_p2p_service_events:unsubscribe(self()),
    ok = barrel_p2p_service_events:subscribe(self()),
    ok = barrel_p2p_service_events:unsubscribe(self()),
    notify_of([a]),
    ?assertEqual([], names()).

dead_subscribers_are_forgotten() ->
    end_it(subscriber({name, a})),
    ok = until_empty().

crash_of_the_server_loses_no_subscriber() ->
    ok = barrel_p2p_service_events:subscribe(self(), {name, a}),
    Died = subscriber(all),
    Other = subscriber({pattern, "a"}),
    crash(),
    end_it(Died),
    start(),
    notify_of([a, b]),
    ?assertEqual([a], names()),
    end_it(Other),
    ok = barrel_p2p_service_events:unsubscribe(self()),
    ok = until_empty().

started() ->
    ok = barrel_p2p_service_events:new_table(),
    start().

stopped(ok) ->
    crash(),
    true = ets:delete(barrel_p2p_service_events).

start() ->
    {ok, Server} = barrel_p2p_service_events:start_link(),
    true = unlink(Server),
    ok.

crash() ->
    end_it(whereis(barrel_p2p_service_events)).

end_it(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

subscriber(Filter) ->
    Pid = spawn(fun() -> receive never -> ok end end),
    ok = barrel_p2p_service_events:subscribe(Pid, Filter),
    Pid.

until_empty() ->
    barrel_p2p_test:wait_until(nobody_left, fun() -> ets:info(barrel_p2p_service_events, size) =:= 0 end, 1_000).

notify_of(Names) ->
    lists:foreach(fun(Name) -> barrel_p2p_service_events:notify({service_registered, Name, node()}) end, Names).

names() ->
    [Name || {service_registered, Name, _} <- heard()].

heard() ->
    receive
        {barrel_p2p_service_event, Event} -> [Event | heard()]
    after 0 -> []
    end.
