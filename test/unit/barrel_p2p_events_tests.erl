%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_events_tests).
-moduledoc """
Subscribers are told everything once, until they die or want no more, and a crash of the server between changes nothing.
""".
-include_lib("eunit/include/eunit.hrl").

events_test_() ->
    {foreach, fun started/0, fun stopped/1,
     [fun repeated_subscription_is_one/0, fun topics_are_apart/0, fun unsubscribed_hears_nothing/0, fun dead_subscribers_are_forgotten/0,
      fun crash_of_the_server_loses_no_subscriber/0, fun subscriber_that_died_during_the_crash_is_forgotten/0]}.

nobody_is_told_without_the_application_test() ->
    ok = barrel_p2p_events:publish(view, lost).

repeated_subscription_is_one() ->
    [ok = barrel_p2p_events:subscribe(view, self()) || _ <- [1, 2, 3]],
    ok = barrel_p2p_events:publish(view, hello),
    ?assertEqual([hello], heard()),
    ok = barrel_p2p_events:unsubscribe(view, self()),
    ok = barrel_p2p_events:publish(view, hello),
    ?assertEqual([], heard()).

topics_are_apart() ->
    ok = barrel_p2p_events:subscribe(view, self()),
    ok = barrel_p2p_events:subscribe({direct, '_'}, self()),
    [ok = barrel_p2p_events:publish(Topic, Topic) || Topic <- [broadcast, {direct, other}, view, {direct, '_'}]],
    ?assertEqual([view, {direct, '_'}], heard()).

unsubscribed_hears_nothing() ->
    ok = barrel_p2p_events:unsubscribe(view, self()),
    ok = barrel_p2p_events:subscribe(view, self()),
    ok = barrel_p2p_events:subscribe(broadcast, self()),
    ok = barrel_p2p_events:unsubscribe(view, self()),
    [ok = barrel_p2p_events:publish(Topic, Topic) || Topic <- [view, broadcast]],
    ?assertEqual([broadcast], heard()).

dead_subscribers_are_forgotten() ->
    Pid = subscriber(),
    end_it(Pid),
    ok = until_forgotten(Pid).

crash_of_the_server_loses_no_subscriber() ->
    ok = barrel_p2p_events:subscribe(view, self()),
    restart(),
    ok = barrel_p2p_events:publish(view, hello),
    ?assertEqual([hello], heard()),
    %% And it is watched again.
    Pid = subscriber(),
    restart(),
    end_it(Pid),
    ok = until_forgotten(Pid).

subscriber_that_died_during_the_crash_is_forgotten() ->
    Pid = subscriber(),
    true = ets:member(barrel_p2p_events, view),
    crash(),
    end_it(Pid),
    start(),
    ok = until_forgotten(Pid).

started() ->
    ok = barrel_p2p_events:new_table(),
    start().

stopped(ok) ->
    crash(),
    true = ets:delete(barrel_p2p_events).

restart() ->
    crash(),
    start().

start() ->
    {ok, Server} = barrel_p2p_events:start_link(),
    true = unlink(Server),
    ok.

crash() ->
    end_it(whereis(barrel_p2p_events)).

end_it(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

subscriber() ->
    Pid = spawn(fun() -> receive never -> ok end end),
    ok = barrel_p2p_events:subscribe(view, Pid),
    Pid.

until_forgotten(Pid) ->
    barrel_p2p_test:wait_until({forgotten, Pid}, fun() -> ets:match(barrel_p2p_events, {'_', Pid}) =:= [] end, 1_000).

heard() ->
    receive
        Message -> [Message | heard()]
    after 0 -> []
    end.
