%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_hlc_tests).
-moduledoc """
The clock goes forward only, follows what it is told, and refuses what cannot be.
""".
-include_lib("eunit/include/eunit.hrl").

hlc_test_() ->
    {setup, fun() -> ok = barrel_p2p_native:load() end,
     [fun now_always_goes_forward/0, fun now_goes_forward_for_all_processes/0, fun now_is_near_the_wall_clock/0,
      fun update_is_greater_than_both/0, fun far_future_is_refused_and_changes_nothing/0, fun update_with_the_past_is_harmless/0]}.

now_always_goes_forward() ->
    Stamps = [barrel_p2p_hlc:now() || _ <- lists:seq(1, 100_000)],
    ?assertEqual(Stamps, lists:usort(Stamps)).

%% No two are equal, and each process sees its own in order.
now_goes_forward_for_all_processes() ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), [barrel_p2p_hlc:now() || _ <- lists:seq(1, 10_000)]} end) || _ <- lists:seq(1, 8)],
    Each = [receive {Pid, Stamps} -> Stamps end || Pid <- Pids],
    ?assertEqual([], [Stamps || Stamps <- Each, Stamps =/= lists:usort(Stamps)]),
    ?assertEqual(80_000, length(lists:usort(lists:append(Each)))).

now_is_near_the_wall_clock() ->
    Ahead = barrel_p2p_hlc:wall_time(barrel_p2p_hlc:now()) - erlang:system_time(millisecond),
    ?assert(Ahead >= -1 andalso Ahead =< 1_000).

update_is_greater_than_both() ->
    {timestamp, Wall, Logical} = barrel_p2p_hlc:now(),
    Remote = {timestamp, Wall + 500, Logical + 7},
    Updated = barrel_p2p_hlc:update(Remote),
    ?assertEqual(gt, barrel_p2p_hlc:compare(Updated, Remote)),
    ?assertEqual(gt, barrel_p2p_hlc:compare(barrel_p2p_hlc:now(), Updated)).

far_future_is_refused_and_changes_nothing() ->
    Before = barrel_p2p_hlc:now(),
    Far = {timestamp, barrel_p2p_hlc:wall_time(Before) + 100_000, 0},
    ?assertEqual({error, too_far_ahead}, barrel_p2p_hlc:update(Far)),
    ?assertEqual({error, too_far_ahead}, barrel_p2p_hlc:update({timestamp, 1 bsl 62, 0})),
    ?assertEqual(lt, barrel_p2p_hlc:compare(barrel_p2p_hlc:now(), Far)).

update_with_the_past_is_harmless() ->
    Before = barrel_p2p_hlc:now(),
    ?assertEqual(gt, barrel_p2p_hlc:compare(barrel_p2p_hlc:update({timestamp, 0, 0}), Before)).

%% The forms

order_test() ->
    ?assertEqual([lt, gt, eq, lt, gt], [barrel_p2p_hlc:compare({timestamp, A, B}, {timestamp, C, D})
                                        || {A, B, C, D} <- [{1, 9, 2, 0}, {2, 0, 1, 9}, {1, 1, 1, 1}, {1, 1, 1, 2}, {1, 2, 1, 1}]]).

forms_keep_the_order_test() ->
    Stamps = [{timestamp, Wall, Logical} || Wall <- [0, 1, 255, 256, 1 bsl 43], Logical <- [0, 1, 256, 16#ffffffff]],
    [?assertEqual(Stamps, [S || {_, S} <- lists:sort([{Form(S), S} || S <- Stamps])])
     || Form <- [fun barrel_p2p_hlc:pack/1, fun barrel_p2p_hlc:to_binary/1]].

binary_is_twelve_bytes_and_comes_back_test() ->
    Stamp = {timestamp, 1_700_000_000_123, 42},
    ?assertEqual(<<1_700_000_000_123:64, 42:32>>, barrel_p2p_hlc:to_binary(Stamp)),
    ?assertEqual(Stamp, barrel_p2p_hlc:from_binary(barrel_p2p_hlc:to_binary(Stamp))),
    ?assertEqual({1_700_000_000_123, 42, 1_700_000_000_123 bsl 32 bor 42},
                 {barrel_p2p_hlc:wall_time(Stamp), barrel_p2p_hlc:logical(Stamp), barrel_p2p_hlc:pack(Stamp)}).
